"""From a video file to a network's inputs and from logits to labels, with NumPy and PyAV alone."""

import av
import av.error
import av.logging
import numpy as np

av.logging.set_level(av.logging.PANIC)


def read_inputs(path, about):
    """The network's inputs for the middle clip of a video.

    Args:
        path: a file that FFmpeg can open.
        about: the metadata that the exported file holds.

    Returns:
        A dictionary of float32 arrays `[1, T, S, S, C]` by input.

    Raises:
        ValueError: where the file cannot be read as a video, in one line.
    """
    count = count_frames(path)
    start = max(count - about["clip_span"], 0) // 2
    return network_inputs(read_frames(path, [min(start + i, count - 1) for i in about["frames"]]), about)


def network_inputs(clip, about):
    """As `read_inputs`, of frames uint8 `[F, H, W, 3]`."""
    clip = crop(clip.astype(np.float32), about["crop_size"])
    if about["channel_order"] == "bgr":
        clip = clip[..., ::-1]
    mean, std = np.float32(about["mean"]), np.float32(about["std"])
    clip = ((clip / 255 - mean) / std)[None]
    inputs = {}
    if "slow" in about["inputs"]:
        inputs["slow"] = np.ascontiguousarray(clip[:, about["slow_index"]])
    if "fast" in about["inputs"]:
        inputs["fast"] = _fast_input(clip, about)
    return inputs


def count_frames(path):
    """Frames of a video; counts packets and decodes nothing.

    Raises:
        ValueError: where the file cannot be read as a video, in one line.
    """
    with _open(path) as container:
        count = sum(1 for p in container.demux(container.streams.video[0]) if p.size and not p.is_discard)
    if not count:
        raise ValueError(f"{path}: holds no frame")
    return count


def read_frames(path, indices):
    """Frames of a video by rising index, uint8 `[len(indices), H, W, 3]`; the last one again past the end."""
    images, wanted = {}, set(indices)
    with _open(path) as container:
        try:
            for i, frame in enumerate(container.decode(video=0)):
                if i in wanted or not images:
                    images[i] = np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90))
                if i >= indices[-1]:
                    break
        except av.error.FFmpegError as error:
            if not images:
                raise ValueError(f"{path}: no frame can be decoded: {error.strerror}") from error
    if not images:
        raise ValueError(f"{path}: no frame can be decoded")
    known = sorted(images)
    # A damaged frame is the last good one before it.
    return np.stack([images[known[max(np.searchsorted(known, i, "right") - 1, 0)]] for i in indices])


def _open(path):
    try:
        container = av.open(str(path))
    except (av.error.FFmpegError, OSError) as error:
        raise ValueError(f"{path}: cannot be read as a video: {error.strerror}") from error
    if not container.streams.video:
        raise ValueError(f"{path}: holds no video")
    return container


def crop(frames, size):
    """Bilinear resize of the shorter side to `size` and the middle square: float32 `[N, H, W, 3]`."""
    shape = np.array(frames.shape[1:3])
    resized = np.where(shape == shape.min(), size, shape * size // shape.min())
    for axis, (old, new) in enumerate(zip(shape, resized), 1):
        start = -(-(new - size) // 2)
        places = np.clip((np.arange(start, start + size) + 0.5) * old / new - 0.5, 0, old - 1)
        low = np.floor(places).astype(int)
        share = (places - low).astype(np.float32).reshape((-1,) + (1,) * (3 - axis))
        high = np.minimum(low + 1, old - 1)
        frames = frames.take(low, axis) * (1 - share) + frames.take(high, axis) * share
    return frames


def _fast_input(clip, about):
    kind = about["fast_input"]
    if kind == "rgb":
        return np.ascontiguousarray(clip)
    if kind not in ("gray", "difference"):
        raise ValueError(f"the network's Fast input is of kind {kind!r}, which this program cannot make of a video")
    weights = np.array([0.299, 0.587, 0.114][:: -1 if about["channel_order"] == "bgr" else 1], np.float32)
    gray = (clip * weights).sum(-1, keepdims=True)
    return gray if kind == "gray" else np.diff(gray, axis=1, prepend=gray[:, :1])


def best(logits, about, top=5):
    """(label, score) of the best classes of logits `[classes]`, the best first."""
    logits = np.asarray(logits, np.float64)
    if about["activation"] == "softmax":
        scores = np.exp(logits - logits.max())
        scores /= scores.sum()
    else:
        scores = 1 / (1 + np.exp(-logits))
    return [(about["labels"][i], float(scores[i])) for i in np.argsort(-scores, kind="stable")[:top]]
