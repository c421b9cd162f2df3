"""The spec of a network: one frozen dataclass that every builder reads. This module does not import TensorFlow."""

import dataclasses
import math
from typing import Any

from ..files.formats import check_format
from .limits import MEANS, RATES, STDS, check_limits, within
from .views import MIDDLE, Views

BLOCKS = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
CHANNELS = {"rgb": 3, "half": 3, "gray": 1, "difference": 1, "flow": 2}
LATERAL = ("conv", "sample", "channel_concat", "channel_sum", "none")
NONLOCAL = ("nonlocal_kind", "nonlocal_pool", "nonlocal_pool_last")  # not visible in the blocks' weights


@dataclasses.dataclass(frozen=True)
class SlowFastSpec:
    """A SlowFast, Slow-only or Fast-only network and its protocol: everything that affects a score except the pixels.

    The notation is the paper's (arXiv 1812.03982, section 3). The Slow pathway sees `frames` = T frames at a stride of
    `stride` = tau raw frames. The Fast pathway sees alpha * T frames at a stride of tau / alpha.

    The network:
        pathways: "slow", "fast" or both.
        depth: 10, 18, 50 or 101; bottleneck blocks at every depth (one in each of res2 to res5 at 10, two at 18).
        fast_depth: depth of the Fast pathway; None for the same depth (MMAction2 has a network with depths 101 and 50).
        width: channels of the Slow pathway's first convolution (64 in the paper).
        frames: T, the number of frames of the Slow pathway.
        stride: tau, the raw frames from one frame of the Slow pathway to the next.
        alpha: frames of the Fast pathway for each frame of the Slow one.
        beta_inv: 1 / beta; the Fast pathway has a `beta_inv`-th of the Slow one's channels, rounded.
        lateral: connection from Fast to Slow: time-strided convolution "conv" (the paper's choice), "sample",
            "channel_concat" and "channel_sum" (time-to-channel), or "none".
        lateral_kernel: kernel size of "conv" in time (5; 7 in the published R50 models of alpha 4).
        lateral_norm: whether BatchNorm and ReLU follow "conv" (False: the bare form of MMAction2).
        slow_kernels, fast_kernels: kernel sizes in time of conv1 and res2 to res5 of the pathway (Table 1).
        res4_temporal_blocks: number of the first blocks of res4 that have res4's kernel size in time; the other blocks
            have size 1 (0: all blocks have res4's size; 6 in the paper's R101).
        fast_res4_temporal_blocks: number of these blocks in the Fast pathway; None: as in the Slow pathway.
        nonlocal_kind: "none", "dot_product" or "softmax"; non-local blocks go into the Slow pathway.
        nonlocal_blocks: for each of res2 to res5, the indices (from 0) of the blocks that a non-local block follows.
        nonlocal_pool: factors by which time, height and width of keys and values are max-pooled; 2, 2, 2 in
            PySlowFast's networks for AVA and Kinetics-600.
        nonlocal_pool_last: whether keys and values are pooled after their convolutions (MMAction2) or before them
            (False; PySlowFast).
        slow_input: input of the Slow pathway: "rgb" or, in a Slow-only network, "flow" (2 channels; MMAction2).
        fast_input: input of the Fast pathway (Table 5c): "rgb", "half" (RGB at half the height and width, rounded
            up), "gray" (1 channel), "difference" (between neighboring gray frames, 1 channel, as the published 34.2 G
            implies) or "flow" (2 channels).
        head: "pool" (a label for the clip, Table 1) or "roi" (labels for boxes, section 5, by RoIAlign; res5 has
            spatial stride 1).
        roi_aligned: for head "roi", whether pixel centers are at one half (False: at whole numbers, as in PySlowFast's
            published models and PyTorchVideo).
        roi_bins: for head "roi", bins of a box in height and in width (7 in the paper; 8 in MMAction2).
        roi_dilation: for head "roi", the dilation in res5 (2 in the paper; 1 in MMAction2).
        roi_time: for head "roi", the pooling of features over time: "mean" (the paper) or "max".
        roi_context: for head "roi", whether the features of the whole frame are concatenated to those of the box.
        roi_hidden: for head "roi", whether a hidden layer, as wide as the features, precedes the classifier.
        dropout: dropout rate before the classifier.
        num_classes: outputs of the classifier.

    The protocol (a saved model contains it, so evaluation, prediction and export need no other settings):
        frame_rate: frames per second that `stride` counts (30 for Kinetics), so that a clip spans the same time in
            videos of all frame rates. If it is None, `stride` counts the frames of each video at the video's own rate.
        frame_index: how a clip's frames are selected from T * tau raw frames: "strided" (the paper, MMAction2) or
            "linspace" (PySlowFast, PyTorchVideo). "segments" selects the middle frame of each of alpha * T equal parts
            of the whole video (PySlowFast on Something-Something).
        views: see `Views`. A detection network always has one view, the whole frames around each key frame.
        person_score: lowest score of a person detector's box that is used in training and testing (head "roi";
            PySlowFast: 0.8 for SlowFast, 0.9 for Slow-only).
        crop_size: height and width in pixels of a test crop; the shorter side is resized to it.
        mean: mean of each input channel, on a 0..1 scale.
        std: standard deviation of each input channel; the input is (x - mean) / std.
        channel_order: "rgb" or "bgr".
        activation: function from logits to scores: "softmax" (one label per clip) or "sigmoid" (any number of labels).
        labels: class names, or empty.

    Raises:
        ValueError: if a field has a wrong value, or if fields contradict each other; the message says which and why.
    """

    pathways: tuple[str, ...] = ("slow", "fast")
    depth: int = 50
    fast_depth: int | None = None
    width: int = 64
    frames: int = 4
    stride: int = 16
    alpha: int = 8
    beta_inv: int = 8
    lateral: str = "conv"
    lateral_kernel: int = 5
    lateral_norm: bool = True
    slow_kernels: tuple[int, ...] = (1, 1, 1, 3, 3)
    fast_kernels: tuple[int, ...] = (5, 3, 3, 3, 3)
    res4_temporal_blocks: int = 0
    fast_res4_temporal_blocks: int | None = None
    nonlocal_kind: str = "none"
    nonlocal_blocks: tuple[tuple[int, ...], ...] = ((), (1, 3), (1, 3, 5), ())
    nonlocal_pool: tuple[int, ...] = (1, 2, 2)
    nonlocal_pool_last: bool = False
    slow_input: str = "rgb"
    fast_input: str = "rgb"
    head: str = "pool"
    roi_aligned: bool = True
    roi_bins: int = 7
    roi_dilation: int = 2
    roi_time: str = "mean"
    roi_context: bool = False
    roi_hidden: bool = False
    dropout: float = 0.5
    num_classes: int = 400

    frame_rate: float | None = None
    frame_index: str = "strided"
    views: Views = Views()
    person_score: float = 0.8
    crop_size: int = 256
    mean: tuple[float, ...] = (0.45, 0.45, 0.45)
    std: tuple[float, ...] = (0.225, 0.225, 0.225)
    channel_order: str = "rgb"
    activation: str = "softmax"
    labels: tuple[str, ...] = ()

    def __post_init__(self):
        for field in dataclasses.fields(self):  # JSON has lists, and a frozen spec needs tuples
            value = _tuples(getattr(self, field.name))
            for kind, name in ((tuple, "a list or tuple"), (bool, "True or False")):
                if isinstance(field.default, kind) and not isinstance(value, kind):
                    raise ValueError(f"{field.name} must be {name}; got {value!r}")
            object.__setattr__(self, field.name, value)
        if isinstance(self.views, dict):
            object.__setattr__(self, "views", Views(**self.views))
        if not isinstance(self.views, Views):
            raise ValueError(f"views must be Views, or a dictionary of its fields; got {self.views!r}")
        if self.head == "roi":
            object.__setattr__(self, "views", Views(1, 0))
        self._check_values()
        self._check_lengths()
        self._check_protocol()
        self._check_fast()
        self._check_nonlocal()
        self.check_size(self.crop_size)

    def _check_values(self) -> None:
        one_of = {
            "pathways": (("slow", "fast"), ("slow",), ("fast",)),
            "depth": tuple(BLOCKS),
            "fast_depth": (None, *BLOCKS),
            "lateral": LATERAL,
            "nonlocal_kind": ("none", "dot_product", "softmax"),
            "slow_input": ("rgb", "flow"),
            "fast_input": tuple(CHANNELS),
            "head": ("pool", "roi"),
            "roi_time": ("mean", "max"),
            "frame_index": ("strided", "linspace", "segments"),
            "channel_order": ("rgb", "bgr"),
            "activation": ("softmax", "sigmoid"),
        }
        for name, allowed in one_of.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(map(str, allowed))}; got {getattr(self, name)!r}")
        check_limits(self)
        for pathway in self.pathways:
            temporal, blocks = self._res4_temporal(pathway), self.blocks(pathway)[2]
            if not isinstance(temporal, int) or not 0 <= temporal <= blocks:
                name = "" if pathway == "slow" or self.fast_res4_temporal_blocks is None else "fast_"
                raise ValueError(
                    f"{name}res4_temporal_blocks must be 0 (all) to {blocks}, the blocks of res4 of the {pathway}"
                    f" pathway; got {temporal!r}"
                )
        if not within((self.dropout,), (0, 1)) or self.dropout == 1:
            raise ValueError(f"dropout must be at least 0 and below 1; got {self.dropout!r}")

    def _check_lengths(self) -> None:
        for name in ("slow_kernels", "fast_kernels"):
            if len(getattr(self, name)) != 5:
                raise ValueError(f"{name} takes 5 sizes (conv1, res2 to res5); got {getattr(self, name)!r}")
        if len(self.nonlocal_blocks) != 4 or not all(isinstance(places, tuple) for places in self.nonlocal_blocks):
            raise ValueError(f"nonlocal_blocks takes 4 lists (res2 to res5); got {self.nonlocal_blocks!r}")
        if not (len(self.mean) == len(self.std) == 3 and within(self.mean, MEANS) and within(self.std, STDS)):
            raise ValueError(
                f"mean and std take 3 numbers, {MEANS[0]} to {MEANS[1]} and {STDS[0]} to {STDS[1]}; got {self.mean!r}"
                f" and {self.std!r}"
            )
        if not all(isinstance(label, str) for label in self.labels):
            raise ValueError("labels must be class names, as strings")
        if self.labels and len(self.labels) != self.num_classes:
            raise ValueError(f"labels has {len(self.labels)} names for num_classes {self.num_classes}")

    def _check_protocol(self) -> None:
        rate = self.frame_rate
        if rate is not None and not within((rate,), RATES):
            raise ValueError(
                f"frame_rate must be from {RATES[0]} to {RATES[1]}, or null for each video's own rate; got {rate!r}"
            )
        if not within((self.person_score,), (0, 1)):
            raise ValueError(f"person_score must be from 0 to 1; got {self.person_score!r}")
        if self.frame_index == "segments" and (self.views.clips > 1 or self.head == "roi"):
            raise ValueError(
                "frame_index segments spreads a clip over the whole video: it has one clip (test.clips 1) and head"
                f" 'pool'; got {self.views.clips} clips and head {self.head!r}"
            )
        if not self.views.crops and self.head == "pool" and "fast" in self.pathways and self.fast_input == "half":
            raise ValueError(
                "features of fast_input half do not align with those of the Slow pathway, and test.crops 0 (whole"
                " frames) needs aligned features; use crops, such as test.crops 3"
            )

    def _check_fast(self) -> None:
        if "fast" in self.pathways:
            if self.stride % self.alpha:
                raise ValueError(
                    f"alpha {self.alpha} does not fit: the Fast pathway takes every (stride / alpha)-th frame, and"
                    f" stride {self.stride} is not a multiple of it; use one of {_divisors(self.stride)}"
                )
            if self.pathway_width("fast") < 1:
                raise ValueError(
                    f"beta_inv {self.beta_inv} leaves the Fast pathway no channel at width {self.width};"
                    f" use at most {self.width}"
                )
        unequal = self.alpha != self.beta_inv or self.width % self.beta_inv
        if self.slow_input == "flow" and self.pathways != ("slow",):
            raise ValueError("slow_input flow needs a Slow-only network; for a Fast pathway, set fast_input flow")
        if self.lateral == "channel_sum" and len(self.pathways) == 2 and unequal:
            raise ValueError(
                "lateral channel_sum adds alpha * beta * C channels to C: alpha must equal beta_inv and divide"
                f" width; got alpha {self.alpha}, beta_inv {self.beta_inv}, width {self.width}"
            )

    def _check_nonlocal(self) -> None:
        pool = self.nonlocal_pool
        if len(pool) != 3 or not all(isinstance(n, int) and n >= 1 for n in pool):
            raise ValueError(f"nonlocal_pool takes 3 whole numbers of at least 1; got {pool!r}")
        if self.nonlocal_kind == "none":
            return
        if pool[0] > self.frames:
            raise ValueError(f"nonlocal_pool {pool} pools {pool[0]} frames, and the Slow pathway has {self.frames}")
        if "slow" not in self.pathways:
            raise ValueError("non-local blocks are in the Slow pathway, which a Fast-only network does not have")
        for stage, (places, blocks) in enumerate(zip(self.nonlocal_blocks, self.blocks("slow")), 2):
            if any(place not in range(blocks) for place in places):
                raise ValueError(
                    f"nonlocal_blocks of res{stage} must lie in 0 to {blocks - 1}, its blocks at depth"
                    f" {self.depth}; got {places}"
                )

    def blocks(self, pathway: str) -> tuple[int, ...]:
        """Blocks of res2 to res5 of `pathway` ("slow" or "fast"), a tuple of four."""
        return BLOCKS[self.fast_depth or self.depth if pathway == "fast" else self.depth]

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the network's inputs, in order: the pathways, and "boxes" for head "roi"."""
        return (*self.pathways, *(("boxes",) if self.head == "roi" else ()))

    @property
    def takes_video(self) -> bool:
        """Whether all inputs can be computed from a video's frames. Optical flow ("flow") must be given."""
        return "flow" not in (self.slow_input, self.fast_input if "fast" in self.pathways else None)

    @property
    def clip_frames(self) -> int:
        """Frames that the densest pathway sees: alpha * T, or T for Slow-only."""
        return self.frames * (self.alpha if "fast" in self.pathways else 1)

    @property
    def clip_stride(self) -> int:
        """Raw frames from one frame of the densest pathway to the next: tau / alpha, or tau for Slow-only."""
        return self.stride // (self.alpha if "fast" in self.pathways else 1)

    @property
    def clip_span(self) -> int:
        """Raw frames that a clip covers: T * tau."""
        return self.frames * self.stride

    @property
    def slow_index(self) -> tuple[int, ...]:
        """Indices of the clip's frames that the Slow pathway sees, a tuple of T."""
        if self.frame_index == "strided" or self.frames == 1:  # "segments" is PySlowFast's, like "linspace"
            return tuple(range(0, self.clip_frames, self.clip_frames // self.frames))
        last = self.clip_frames - 1
        return tuple(math.floor(last * i / (self.frames - 1)) for i in range(self.frames))

    def input_channels(self, pathway: str) -> int:
        """Channels of the input of `pathway` ("slow" or "fast")."""
        return CHANNELS[self.fast_input if pathway == "fast" else self.slow_input]

    def input_size(self, pathway: str, size: int) -> int:
        """Height (or width) of the input of `pathway`, for frames of height (or width) `size`."""
        return -(-size // 2) if pathway == "fast" and self.fast_input == "half" else size

    def input_shape(self, pathway: str, size: int | None = None) -> tuple[int, Any, Any, int]:
        """Time, height, width and channels of the input of `pathway`; height and width vary if `size` is None."""
        side = size and self.input_size(pathway, size)
        return self.clip_frames if pathway == "fast" else self.frames, side, side, self.input_channels(pathway)

    def pathway_width(self, pathway: str, stage: int = 1) -> int:
        """Channels of conv1 of `pathway` (stage 1), and inside the blocks of res2 to res5 (stages 2 to 5)."""
        width = self.width * 2 ** max(stage - 2, 0)
        # Round to the nearest integer: only this rounding of beta 1/6 gives the recomputed cost of 41.2 G.
        return (2 * width + self.beta_inv) // (2 * self.beta_inv) if pathway == "fast" else width

    def feature_shape(self, pathway: str, stage: int, size: int) -> tuple[int, int, int, int]:
        """Time, height, width and channels of `pathway` after pool1 (stage 1) or res2 to res5 (stages 2 to 5).

        The channels are those that the pathway computes itself, without the channels that a lateral connection adds.
        """
        side = -(-self.input_size(pathway, size) // self.feature_stride(stage))
        frames = self.clip_frames if pathway == "fast" else self.frames
        return frames, side, side, self.pathway_width(pathway, stage) * (1 if stage == 1 else 4)

    def stage_stride(self, stage: int) -> int:
        """Spatial stride of res2 to res5 (`stage` 2 to 5)."""
        return 1 if stage == 2 or (stage == 5 and self.head == "roi") else 2

    def stage_dilation(self, stage: int) -> int:
        """Spatial dilation of the 3x3 convolutions of res2 to res5."""
        return self.roi_dilation if stage == 5 and self.head == "roi" else 1

    def feature_stride(self, stage: int) -> int:
        """Pixels of a pathway's input per pixel of its feature after pool1 (stage 1) or res2 to res5."""
        return math.prod([4, *(self.stage_stride(s) for s in range(2, stage + 1))])

    def nonlocal_places(self, pathway: str, stage: int) -> tuple[int, ...]:
        """Indices (from 0) of the blocks of `stage` (2 to 5) of `pathway` that a non-local block follows."""
        return self.nonlocal_blocks[stage - 2] if pathway == "slow" and self.nonlocal_kind != "none" else ()

    def check_size(self, size: int) -> None:
        """Raise a ValueError if an input of this height (or width) is too small for the network.

        Convolutions and pooling are padded, so 1 pixel is enough for them. A non-local block pools without padding.
        """
        if size < 1:
            raise ValueError(f"an input needs at least 1 pixel; got {size}")
        least = max(self.nonlocal_pool[1:])
        for stage in (2, 3, 4, 5):
            if self.nonlocal_places("slow", stage) and self.feature_shape("slow", stage, size)[1] < least:
                raise ValueError(
                    f"an input of {size} pixels is too small: the non-local blocks of res{stage} need features of at"
                    f" least {least}x{least}, so an input of at least {self.feature_stride(stage) * (least - 1) + 1}"
                )

    def lateral_channels(self, fast_channels: int) -> int:
        """Channels that a lateral connection adds to the Slow pathway, for a Fast feature of `fast_channels`."""
        if len(self.pathways) < 2:
            return 0
        return {
            "conv": 2 * fast_channels,
            "sample": fast_channels,
            "channel_concat": self.alpha * fast_channels,
            "channel_sum": 0,
            "none": 0,
        }[self.lateral]

    def temporal_kernels(self, pathway: str, stage: int) -> tuple[int, ...]:
        """Kernel size in time of the first convolution of each block of `stage` (2 to 5)."""
        kernel = (self.fast_kernels if pathway == "fast" else self.slow_kernels)[stage - 1]
        blocks = self.blocks(pathway)[stage - 2]
        temporal = (self._res4_temporal(pathway) if stage == 4 else 0) or blocks
        return tuple(kernel if i < temporal else 1 for i in range(blocks))

    def _res4_temporal(self, pathway: str) -> int:
        fast = pathway == "fast" and self.fast_res4_temporal_blocks is not None
        return self.fast_res4_temporal_blocks if fast else self.res4_temporal_blocks  # pyright: ignore[reportReturnType]

    def as_dict(self) -> dict[str, Any]:
        """The fields as a dictionary that JSON can hold and `SlowFastSpec(**...)` accepts."""
        return dataclasses.asdict(self)


# Values of the fields that earlier versions did not save: `predict` took the middle clip at any frame rate.
EARLIER: dict[str, Any] = {"frame_rate": None, "views": MIDDLE, "person_score": 0.8}


def saved_spec(fields: dict[str, Any]) -> tuple[SlowFastSpec, tuple[str, ...]]:
    """Return the spec that a file holds, and the fields that the file lacks because an earlier version wrote it.

    Args:
        fields: the result of `SlowFastSpec.as_dict`, with "format" (see `files.formats`) if the file has it.

    Raises:
        InputError: if a newer package wrote the file.
        TypeError, ValueError: if the fields are not those of a spec.

    Example:
        >>> saved_spec(get_spec("slowfast_8x8_r50").as_dict())[1]
        ()
    """
    fields = dict(fields)
    check_format(fields.pop("format", 0), "the model")
    return SlowFastSpec(**{**EARLIER, **fields}), tuple(name for name in EARLIER if name not in fields)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, (list, tuple)) else value


def _divisors(n: int) -> str:
    return ", ".join(str(d) for d in range(1, n + 1) if n % d == 0)
