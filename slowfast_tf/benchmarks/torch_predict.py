"""Score a video with PyTorch, as a program of its users does: `python -m slowfast_tf.benchmarks.torch_predict REQUEST`.

It loads saved weights into the network, decodes with torchcodec (or with PyAV, if torchcodec is not installed) and
scores K clips of C crops with eager PyTorch. It imports nothing that it does not need, and no TensorFlow.
With a second argument, the time when it was started, it prints the times of its stages in place of the scores.
"""

import dataclasses
import json
import sys
import time
from typing import Any

import numpy as np
import torch

from .torch_slowfast import SlowFast


@dataclasses.dataclass(frozen=True)
class Request:
    """What to score, in values that can be sent as JSON.

    Attributes:
        weights: a file of `torch.save` with the network's weights.
        video: a video file.
        network: arguments of `torch_slowfast.SlowFast`.
        clips, crops: views of the video; one clip lies in the middle.
        frames: frames of a clip in the Fast pathway.
        stride: frames of the video per frame of the Fast pathway.
        alpha: frames of the Fast pathway per frame of the Slow pathway.
        size: height and width of a crop, pixels.
        mean, std: of the normalization, for pixels from 0 to 255.
    """

    weights: str
    video: str
    network: dict[str, Any]
    clips: int
    crops: int
    frames: int
    stride: int
    alpha: int
    size: int
    mean: list[float]
    std: list[float]


def load(request: Request) -> SlowFast:
    """Return the network with its weights."""
    with torch.device("meta"):  # no random weights: those of the file take their place
        network = SlowFast(**request.network)
    network.load_state_dict(torch.load(request.weights, mmap=True, weights_only=True), assign=True)
    return network.eval().to(memory_format=torch.channels_last_3d)  # pyright: ignore[reportCallIssue]


def score(network: SlowFast, request: Request) -> torch.Tensor:
    """Return the mean of the views' scores, `[classes]`."""
    mean, std = (torch.tensor(values).view(3, 1, 1, 1) for values in (request.mean, request.std))
    scores = []
    with torch.inference_mode():
        for frames in read_clips(request):
            height, width = frames.shape[-2:]
            scale = request.size / min(height, width)
            shape = [round(height * scale), round(width * scale)]
            clip = torch.nn.functional.interpolate(frames.float(), shape, mode="bilinear").movedim(0, 1)
            fast = (torch.stack(crops(clip, request.size, request.crops)) - mean) / std
            fast = fast.contiguous(memory_format=torch.channels_last_3d)
            scores.append(network(fast[:, :, :: request.alpha], fast).softmax(-1))
    return torch.cat(scores).mean(0)


def read_clips(request: Request) -> Any:
    """Yield the frames of each clip, uint8 `[F, 3, H, W]`."""
    try:
        from torchcodec.decoders import VideoDecoder  # pyright: ignore[reportMissingImports]
    except (ImportError, OSError, RuntimeError):
        import av

        with av.open(request.video) as container:
            video = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
        for indices in clip_indices(request, len(video)):
            yield torch.from_numpy(video[indices]).movedim(-1, 1)
        return
    decoder = VideoDecoder(request.video)
    for indices in clip_indices(request, len(decoder)):
        yield decoder.get_frames_at(indices.tolist()).data


def clip_indices(request: Request, count: int) -> list[np.ndarray]:
    """Return the frame numbers of each clip of a video of `count` frames: clip k of K starts at k / K of the rest."""
    rest = max(count - request.frames * request.stride, 0)
    shares = [0.5] if request.clips == 1 else [k / request.clips for k in range(request.clips)]
    offsets = request.stride * np.arange(request.frames)
    return [np.minimum(int(share * rest) + offsets, count - 1) for share in shares]


def crops(clip: torch.Tensor, size: int, count: int) -> list[torch.Tensor]:
    """Return the middle crop of a clip `[3, F, H, W]`, or three crops along its longer side."""
    height, width = clip.shape[-2:]
    shares = [0.5] if count == 1 else [0.0, 0.5, 1.0]
    places = [(int((height - size) * share), int((width - size) * share)) for share in shares]
    return [clip[..., y : y + size, x : x + size] for y, x in places]


def main(content: str, began: str = "") -> None:
    request, times = Request(**json.loads(content)), [time.time()]
    network = load(request)
    times.append(time.time())
    scores = score(network, request)
    if not began:
        return print(json.dumps(scores.tolist()))
    times.append(time.time())
    score(network, request)
    print(json.dumps(np.diff([float(began), *times, time.time()]).tolist()))


if __name__ == "__main__":
    main(*sys.argv[1:])
