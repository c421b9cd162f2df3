"""Files with damage that libraries handle in unusual ways."""

import pathlib

import av


def streams_with_another(path, kind="video", bit=1, every=1):
    """Yield after each change of an MPEG-TS file that adds a stream, at whose end PyAV raises an IndexError.

    A bit in the stream number of one packet is flipped, in every `every`-th packet after the third in turn.

    Args:
        path: the file, which is changed; it remains damaged.
        kind: "video" or "audio", the stream to read.
        bit: value of the flipped bit.
        every: distance of the packets.
    """
    path = pathlib.Path(path)
    content = path.read_bytes()
    for packet in range(188 * 3, len(content) - 188, 188 * every):
        flipped = bytearray(content)
        flipped[packet + 2] ^= bit
        path.write_bytes(flipped)
        try:
            with av.open(str(path)) as container:
                list(container.demux(**{kind: 0}))
        except IndexError:
            yield
