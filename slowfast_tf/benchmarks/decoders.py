"""Decode a clip with other libraries or with a plain loop, to compare with `slowfast_tf.video.decode.read_frames`.

Each function takes the path of a video and increasing frame indices, and returns uint8 `[N, H, W, 3]`, RGB.
"""

import importlib
import importlib.util
from collections.abc import Callable

import av
import numpy as np

from ..video.decode import read_frames
from ..video.probe import probe

Decode = Callable[..., np.ndarray]


def available() -> dict[str, Decode]:
    """Return the decoders that are installed, by their name in the table."""
    decoders = {"slowfast_tf": read_frames, "PyAV, plain loop": plain_loop}
    if importlib.util.find_spec("decord"):
        decoders["decord"] = with_decord
    try:
        importlib.import_module("torchcodec")
    except (ImportError, OSError, RuntimeError):  # not installed, or without the libraries of FFmpeg
        return decoders
    return {**decoders, "torchcodec": with_torchcodec}


def plain_loop(path: str, frames: np.ndarray, short_side: int | None = None) -> np.ndarray:
    """Decode from the start of the file, as most users of PyAV do."""
    images, wanted = [], set(frames.tolist())
    with av.open(path) as container:
        container.streams.video[0].thread_count = 1
        for i, frame in enumerate(container.decode(video=0)):
            if i in wanted:
                images.append(frame.to_ndarray(format="rgb24"))
            if i == frames[-1]:
                break
    return np.stack(images)


def with_decord(path: str, frames: np.ndarray, short_side: int | None = None) -> np.ndarray:
    """Decode with decord, in one thread."""
    import decord  # pyright: ignore[reportMissingImports]

    return decord.VideoReader(path, num_threads=1).get_batch(frames).asnumpy()


def with_torchcodec(path: str, frames: np.ndarray, short_side: int | None = None) -> np.ndarray:
    """Decode with torchcodec, in one thread."""
    from torchcodec.decoders import VideoDecoder  # pyright: ignore[reportMissingImports]

    decoder = VideoDecoder(path, dimension_order="NHWC", num_ffmpeg_threads=1)
    return decoder.get_frames_at(indices=frames.tolist()).data.numpy()


def without_rgb(path: str, frames: np.ndarray) -> None:
    """Decode every frame from the last key frame before the clip to the end of the clip, without converting to RGB."""
    info = probe(path)
    assert info.keys is not None and info.times is not None  # the benchmark writes its videos with key frames
    key = int(info.keys[np.searchsorted(info.keys, frames[0], "right") - 1])
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.thread_count = 1
        container.seek(int(info.times[key]), stream=stream)
        for i, _ in enumerate(container.decode(stream), key):
            if i >= frames[-1]:
                break
