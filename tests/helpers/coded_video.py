"""Videos whose frames carry their own number, and a reader of videos that shares nothing with the package."""

import fractions

import av
import numpy as np


def coded(number, height=32, width=64):
    """An image of eight upright bars, white for each 1 of a number's binary digits, black for each 0."""
    bars = np.repeat(np.unpackbits(np.array([number], np.uint8)), width // 8)
    row = np.pad(bars, (0, width - len(bars)), "edge") * 255
    return np.broadcast_to(row[None, :, None], (height, width, 3)).astype(np.uint8).copy()


def numbers(images):
    """The numbers in images of `coded`."""
    images = np.asarray(images)
    height, width = images.shape[1:3]
    step = width // 8
    # Compression blurs the edges of the bars, so only the middle of each is read.
    bars = [
        images[:, height // 4 : -(height // 4), i * step + step // 4 : i * step + step - step // 4] for i in range(8)
    ]
    bits = np.stack([bar.mean((1, 2, 3)) > 127 for bar in bars], -1)
    return [int(n) for n in np.packbits(bits, axis=-1)[:, 0]]


def write(
    path,
    images,
    codec="libx264",
    pix_fmt="yuv420p",
    rate=30,
    times=None,
    keys=(),
    audio=False,
    container=None,
    **options,
):
    """Encodes a video.

    Args:
        path: path of the file; its suffix selects the container.
        images: uint8 `[height, width, 3]` arrays.
        times: times of the images, in milliseconds; None: `rate` images per second.
        keys: indices of frames to make key frames, in addition to those that the encoder chooses.
        container: options of the container.
        audio: put a stream of silence in front.
        **options: options of the encoder; "bf" is the number of B-frames, "g" the distance of key frames.
    """
    with av.open(str(path), "w", options=container or {}) as container:
        if audio:
            sound = container.add_stream("aac", 16000)
        defaults = {
            "threads": "1",
            **({"preset": "veryfast", "forced-idr": "1"} if codec.startswith("libx264") else {}),
        }
        stream = container.add_stream(codec, rate, options={**defaults, **{k: str(v) for k, v in options.items()}})
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = pix_fmt
        if times is not None:
            stream.codec_context.time_base = fractions.Fraction(1, 1000)
        if audio:
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), "fltp", "mono")
            silence.sample_rate, silence.pts = 16000, 0
            container.mux(sound.encode(silence))
            container.mux(sound.encode())
        for i, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, "rgb24")
            if times is not None:
                frame.pts, frame.time_base = times[i], fractions.Fraction(1, 1000)
            if i in keys:
                frame.pict_type = av.video.frame.PictureType.I
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return str(path)


def decode(path):
    """Every frame of a video in display order, uint8 `[frames, height, width, 3]`: the plainest loop that PyAV has."""
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
