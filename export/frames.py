"""Compute a network's inputs from a video file, and labels from logits. Needs only NumPy and PyAV."""

import contextlib

import av
import av.error
import av.logging
import av.video.reformatter
import numpy as np

av.logging.set_level(av.logging.PANIC)

# Values for files of earlier versions, which lack these keys.
EARLIER = {
    "frame_rate": None,
    "frame_index": "strided",
    "slow_input": "rgb",
    "views": {"clips": 1, "crops": 1, "to_the_end": False, "fuse": "mean"},
}


def read_views(path, about, views=None):
    """Yield the network's inputs for every view of a video, one crop of one clip at a time.

    Args:
        path: a file that FFmpeg can open.
        about: the metadata of the exported file.
        views: (clips, crops); those of the metadata by default.

    Yields:
        A dictionary of float32 arrays `[1, T, S, S, C]` by input.

    Raises:
        ValueError: if the file cannot be read as a video, in one line.
    """
    clips, crops = views or (about["views"]["clips"], about["views"]["crops"])
    count, rate = probe(path)
    indices = clip_indices(count, rate, about, clips)
    wanted = sorted(set(indices.ravel().tolist()))
    held = dict(zip(wanted, read_frames(path, wanted, about["crop_size"])))
    for clip in indices:
        frames = np.stack([held[index] for index in clip.tolist()]).astype(np.float32)
        for place in [0.5] if crops == 1 else np.arange(crops) / (crops - 1):
            yield network_inputs(frames, about, place)


def check_inputs(about):
    """Raise a ValueError if the inputs of a network cannot be computed from a video.

    Args:
        about: the metadata of the exported file.
    """
    for name, known in (("slow", ("rgb",)), ("fast", ("rgb", "gray", "difference"))):
        kind = about[f"{name}_input"]
        if name in about["inputs"] and kind not in known:
            raise ValueError(f"the network's {name} input is of kind {kind!r}, which this program does not compute")


def clip_indices(count, rate, about, clips=1):
    """Return the indices of the raw frames that the densest pathway sees, int `[clips, F]`.

    Args:
        count: number of frames of the video.
        rate: frames per second of the video.
        about: the metadata of the exported file.
        clips: number of clips, uniform over the video; a single clip lies in the middle.
    """
    frames, kind = len(about["frames"]), about["frame_index"]
    if kind == "segments":
        edges = np.round((count - 1) / frames * np.arange(frames + 1))
        return np.repeat((edges[None, :-1] + edges[None, 1:]).astype(int) // 2, clips, 0)
    ratio = rate / about["frame_rate"] if about["frame_rate"] else 1.0
    room = max(count - about["clip_span"] * ratio, 0)
    to_the_end = about["views"]["to_the_end"]
    starts = np.array([0.5] if clips == 1 else [k / (clips - to_the_end) for k in range(clips)])[:, None] * room
    if ratio == 1 and "clip_stride" not in about:  # of an earlier version
        index = np.floor(starts + 1e-4) + about["frames"]
    elif kind == "strided":
        index = np.floor(starts + 1e-4) + np.arange(frames) * about["clip_stride"] * ratio
    else:
        index = starts + np.linspace(0, about["clip_span"] * ratio - 1, frames)
    return np.clip(np.floor(index + 1e-4), 0, count - 1).astype(int)


def network_inputs(clip, about, place=0.5):
    """Return the network's inputs of one crop of a clip.

    Args:
        clip: frames `[F, H, W, 3]`, RGB, 0 to 255.
        about: the metadata of the exported file.
        place: position of the crop along the longer side, 0 to 1.
    """
    clip = crop(clip.astype(np.float32), about["crop_size"], place)
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


def probe(path):
    """Return the number of frames of a video and its mean frame rate: count packets, decode nothing.

    Raises:
        ValueError: if the file cannot be read as a video, in one line.
    """
    times, exact, base, told = _read_times(path)
    if not times:
        raise ValueError(f"{path}: holds no frame")
    if exact and len(times) > 1:
        told.insert(0, (len(times) - 1) / ((times[-1] - times[0]) * base))
    return len(times), next((float(rate) for rate in told if rate and 1e-4 <= rate <= 1000), 25.0)


def _read_times(path):
    """Return the times of all frames, whether they are exact (then they ascend), their unit, and the stated rates."""
    with _open(path) as container:
        stream = container.streams.video[0]
        codec = stream.codec_context.name
        times = [
            packet.pts
            for packet in _demux(container)
            # In VP8, a bit of the first byte marks frames that are never shown.
            if packet.size and not packet.is_discard and not (codec == "vp8" and not bytes(packet)[0] & 16)
        ]
        # AVI has no display times; those of MPEG-4 that was copied from AVI are guessed, which fails with B-frames.
        guessed = container.format.name == "avi" or codec == "mpeg4" and stream.codec_context.has_b_frames
        exact = not guessed and None not in times and len(set(times)) == len(times)
        return sorted(times) if exact else times, exact, stream.time_base, [stream.average_rate, stream.guessed_rate]


def read_frames(path, indices, short_side=None):
    """Return frames of a video, uint8 `[len(indices), H, W, 3]`; the frame before it replaces a damaged frame.

    Args:
        path: a file that FFmpeg can open.
        indices: ascending frame numbers; past the end of the video, the last frame is repeated.
        short_side: larger frames are downscaled by the largest power of 2 that leaves their shorter side at least this
            long, as in a test.
    """
    images, wanted, converter = {}, set(indices), av.video.reformatter.VideoReformatter()
    times, exact, *_ = _read_times(path)
    position, reason = 0, "it is damaged"
    with _open(path) as container:
        for packet in _demux(container):
            try:
                decoded = packet.decode()
            except av.error.FFmpegError as error:
                position, reason = position + 1, error.strerror  # the next packet may be intact
                continue
            for frame in decoded:
                # Count frames only without exact times: the decoder may drop further frames, and reports no error.
                if exact and frame.pts is not None:
                    position = int(np.searchsorted(times, frame.pts))
                if position in wanted or not images:
                    images[position] = _to_rgb(frame, converter, short_side)
                position += 1
            if position > indices[-1]:
                break
    if not images:
        raise ValueError(f"{path}: no frame can be decoded: {reason}")
    known = sorted(images)
    # Replace a damaged frame by the last good frame before it.
    return np.stack([images[known[max(np.searchsorted(known, i, "right") - 1, 0)]] for i in indices])


def _to_rgb(frame, converter, short_side):
    shorter = min(frame.height, frame.width)
    smaller = 1 << (shorter // min(short_side or shorter, shorter)).bit_length() - 1
    scaling = "AREA" if smaller > 1 else "BILINEAR"
    image = converter.reformat(
        frame, frame.width // smaller, frame.height // smaller, "rgb24", interpolation=scaling, threads=1
    )
    return np.rot90(image.to_ndarray(), round(frame.rotation / 90))


def _open(path):
    try:
        container = av.open(f"file:{path}", metadata_errors="replace")
    except (av.error.FFmpegError, OSError) as error:
        raise ValueError(f"{path}: cannot be read as a video: {error.strerror}") from error
    if not container.streams.video:
        raise ValueError(f"{path}: holds no video")
    return container


def _demux(container):
    with contextlib.suppress(IndexError):  # PyAV raises it at the end of a file with damage that looks like a stream
        yield from container.demux(container.streams.video[0])


def crop(frames, size, place=0.5):
    """Return a square crop, float32 `[N, size, size, 3]`, of frames resized (bilinear) to a shorter side of `size`."""
    shape = np.array(frames.shape[1:3])
    resized = np.where(shape == shape.min(), size, shape * size // shape.min())
    for axis, (old, new) in enumerate(zip(shape, resized), 1):
        start = int(np.ceil(np.float32(new - size) * np.float32(place)))  # in float32, as the package does
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
    weights = np.array([0.299, 0.587, 0.114][:: -1 if about["channel_order"] == "bgr" else 1], np.float32)
    gray = (clip * weights).sum(-1, keepdims=True)
    return gray if kind == "gray" else np.diff(gray, axis=1, prepend=gray[:, :1])


def scores_of(logits, about):
    """Return the scores of logits `[..., classes]`."""
    logits = np.asarray(logits, np.float64)
    if about["activation"] != "softmax":
        return 1 / (1 + np.exp(-logits))
    scores = np.exp(logits - logits.max(-1, keepdims=True))
    return scores / scores.sum(-1, keepdims=True)


def best(scores, about, top=5):
    """Return (label, score) of the best classes of scores `[classes]`, the best first."""
    return [(about["labels"][i], float(scores[i])) for i in np.argsort(-scores, kind="stable")[:top]]
