"""What a network says of a video over time: a window that slides, and pictures and videos that show it."""

import dataclasses
import pathlib

import numpy as np
import tensorflow as tf
import tqdm

from ..data import sampling, transforms
from ..video.decode import iterate_frames
from ..video.probe import duration, frame_times, probe
from . import drawing
from .explain import grad_cam

_LEAST_SIDE, _PANEL_SIDE = 240, 320  # pixels: words on smaller frames could not be read


@dataclasses.dataclass
class Timeline:
    """What a network says of a video over time, a row for each of W windows.

    Attributes:
        edges: float64 `[W + 1]`: row i is for seconds `edges[i]` to `edges[i + 1]`, those nearest to its middle.
        times: float64 `[W, F]`, seconds of the frames of the densest pathway.
        scores: float32 `[W, classes]`.
        heat: of the best class of each window, float32 `[W, T, h, w]` by pathway; empty if it was not asked for.
    """

    edges: np.ndarray
    times: np.ndarray
    scores: np.ndarray
    heat: dict

    def at(self, time):
        """The row for a time in seconds."""
        return int(np.searchsorted(self.edges[1:-1], time, "right"))


class Slider:
    """Scores windows over all of a video: each as long as a clip, half a clip from one to the next.

    Frames are decoded once, and only those of a window are held: a video of any length takes the same memory.

    Args:
        predictor: a `slowfast_tf.inference.Predictor`.
        explain: also computes heat maps, see `slowfast_tf.inference.explain.grad_cam`.
    """

    def __init__(self, predictor, explain=False):
        self.predictor = predictor
        self.spec = predictor.spec
        self.explain = explain

    def slide(self, path):
        """A `Timeline` of a video file.

        Raises:
            VideoError: where the video cannot be read.
        """
        spec, info = self.spec, probe(path)
        clip = sampling.clip_frames([0.0], spec.clip_span, spec)[0].numpy()
        last = max(info.frames - spec.clip_span, 0)
        starts = np.unique([*range(0, last, max(spec.clip_span // 2, 1)), last])
        windows = np.minimum(starts[:, None] + clip, info.frames - 1)
        wanted = np.unique(windows)
        images = zip(wanted, iterate_frames(path, wanted))
        held, scores, heat = {}, [], {name: [] for name in spec.pathways if self.explain}
        for window in tqdm.tqdm(windows, pathlib.Path(path).name, unit="window", disable=None):
            held = {index: crop for index, crop in held.items() if index >= window[0]}
            while window[-1] not in held:
                index, image = next(images)
                held[index] = transforms.test_crops(image[None], spec.crop_size, 1)[0, 0]
            found, maps = self._score(tf.stack([held[index] for index in window]))
            scores.append(found.numpy())
            for name in heat:
                heat[name].append(maps[name].numpy())
        seconds = frame_times(info)
        times = seconds[windows]
        middles = (times[:, 0] + times[:, -1]) / 2
        edges = np.concatenate([[0.0], (middles[1:] + middles[:-1]) / 2, [duration(info)]])
        return Timeline(edges, times, np.stack(scores), {name: np.stack(maps) for name, maps in heat.items()})

    def warm_up(self):
        """Scores nothing, so that the first video does not wait for TensorFlow to get ready."""
        self._score(tf.zeros([self.spec.clip_frames, self.spec.crop_size, self.spec.crop_size, 3]))

    @tf.function(jit_compile=False, autograph=False)
    def _score(self, crops):
        """Scores `[classes]` and heat `[T, h, w]` of a clip's crops, float32 `[F, S, S, 3]`, 0 to 255."""
        inputs = transforms.pathways(transforms.normalize(crops[None], self.spec), self.spec)
        if not self.explain:
            return self.predictor.score_inputs(inputs)[0], {}
        logits, heat = grad_cam(self.predictor.model, inputs)
        return self.predictor.activate(logits)[0], {name: x[0] for name, x in heat.items()}


def best(scores, labels, count):
    """(label, score) pairs of the highest scores, the best first."""
    return [(labels[i], float(scores[i])) for i in np.argsort(-scores, kind="stable")[:count]]


def write_labels(path, timeline, labels, output, count=3):
    """Writes a video again with the best classes and their scores on its frames.

    Args:
        path: of the video.
        timeline: of a `Slider`.
        labels: class names.
        output: the file to write.
        count: how many classes.
    """

    def draw(image, time):
        texts = [f"{score:.2f} {label}" for label, score in best(timeline.scores[timeline.at(time)], labels, count)]
        height, width = image.shape[:2]
        scale = -(-_LEAST_SIDE // min(height, width))
        return _titled(_resized(image, scale * height, scale * width), texts)

    drawing.rewrite(path, output, draw)


def write_heat(path, timeline, labels, output, spec):
    """Writes a video again as one picture for each pathway: what speaks for the best class, as heat over the frames.

    Heat is shown as a share of the highest in the video, of each pathway for itself, in the part of the frames that
    the network sees; what it does not see is dark. Between a pathway's frames heat goes over from one to the next.

    Args:
        path: of the video.
        timeline: of a `Slider` with `explain`.
        labels: class names.
        output: the file to write.
        spec: of the network.
    """
    most = {name: max(float(heat.max()), 1e-12) for name, heat in timeline.heat.items()}

    def draw(image, time):
        row = timeline.at(time)
        ((label, score),) = best(timeline.scores[row], labels, 1)
        panels = []
        for name, heat in timeline.heat.items():
            seen = timeline.times[row, list(spec.slow_index)] if name == "slow" else timeline.times[row]
            now = _between(heat[row], seen, time) / most[name]
            panels.append(_titled(overlay(image, now, spec.crop_size), [name.capitalize(), f"{score:.2f} {label}"]))
        return np.concatenate(panels, 1)

    drawing.rewrite(path, output, draw)


def _between(maps, times, time):
    """Maps `[T, h, w]` of rising times, at a time: between the two nearest, the first or last beyond them."""
    after = int(np.clip(np.searchsorted(times, time), 1, max(len(times) - 1, 1)))
    if len(times) == 1 or times[after] == times[after - 1]:
        return maps[min(after, len(times) - 1)]
    share = np.clip((time - times[after - 1]) / (times[after] - times[after - 1]), 0, 1)
    return maps[after - 1] * (1 - share) + maps[after] * share


def overlay(image, heat, crop_size):
    """An image with heat over its middle crop, dark beside it; its shorter side becomes 320 pixels.

    Args:
        image: uint8 `[H, W, 3]`.
        heat: float `[h, w]`, 0 to 1, over the middle crop.
        crop_size: of the network, in pixels.

    Returns:
        uint8 `[H', W', 3]`.
    """
    import matplotlib
    from PIL import Image

    height, width = image.shape[:2]
    scale = _PANEL_SIDE / min(height, width)
    image = _resized(image, round(height * scale), round(width * scale)).astype(np.float32)
    # The middle crop of `transforms.test_crops`, in pixels of this image.
    shape = transforms.resized_shape([height, width], crop_size).numpy()
    top, left = np.round(np.ceil((shape - crop_size) / 2) / shape * image.shape[:2]).astype(int)
    seen = image[top : top + _PANEL_SIDE, left : left + _PANEL_SIDE]
    heat = Image.fromarray(np.asarray(heat, np.float32)).resize(seen.shape[1::-1], Image.Resampling.BICUBIC)
    heat = np.clip(np.asarray(heat), 0, 1)
    # A table of colors is several times as fast as the map itself.
    table = np.float32(255 * matplotlib.colormaps["turbo"](np.arange(256))[:, :3])
    share = 0.65 * heat[..., None]
    shown = image * np.float32(0.35)
    colors = table[np.uint8(255 * heat)]
    shown[top : top + _PANEL_SIDE, left : left + _PANEL_SIDE] = seen + (colors - seen) * share
    return np.uint8(shown + 0.5)


def _resized(image, height, width):
    from PIL import Image

    return np.asarray(Image.fromarray(np.ascontiguousarray(image)).resize((width, height), Image.Resampling.BILINEAR))


def _titled(image, texts):
    """An image with lines of text at its top left."""
    picture, canvas, font, line = drawing.start(image)
    drawing.words(canvas, texts, (line, line), font, line)
    return np.asarray(picture)
