"""Videos with tags that are not UTF-8, as old cameras and archives write them."""

import av


def copy_with_latin_title(source, path):
    """Copy a video's packets to a file whose title is "caf\\xe9" in Latin-1: the path."""
    with av.open(str(source)) as old, av.open(str(path), "w") as new:
        streams = {stream.index: new.add_stream_from_template(stream) for stream in old.streams}
        new.metadata["title"] = "cafX-XfilmX"
        for packet in old.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                new.mux(packet)
    content = path.read_bytes()
    assert content.count(b"cafX-XfilmX") == 1
    path.write_bytes(content.replace(b"cafX-XfilmX", b"caf\xe9-\xe9film\xe9"))
    return str(path)
