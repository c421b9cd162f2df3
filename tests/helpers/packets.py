"""The packets of a video file, read by PyAV without the package."""

import av


def packets(path, kind):
    """Times in seconds and bytes of a stream's packets."""
    with av.open(str(path)) as container:
        (stream,) = getattr(container.streams, kind)
        found = [(float(p.pts * stream.time_base), bytes(p)) for p in container.demux(stream) if p.size]
        return stream.codec_context.name, sorted(found)
