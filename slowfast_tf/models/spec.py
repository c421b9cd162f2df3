"""What a network is: one frozen dataclass that every builder reads. No TensorFlow here."""

import dataclasses
import math
from typing import Any

from ..files.formats import check_format
from .limits import MEANS, RATES, STDS, check_limits, within
from .views import MIDDLE, Views

BLOCKS = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
CHANNELS = {"rgb": 3, "half": 3, "gray": 1, "difference": 1, "flow": 2}
LATERAL = ("conv", "sample", "channel_concat", "channel_sum", "none")
NONLOCAL = ("nonlocal_kind", "nonlocal_pool", "nonlocal_pool_last")  # of the blocks, without a trace in their weights


@dataclasses.dataclass(frozen=True)
class SlowFastSpec:
    """A SlowFast, Slow-only or Fast-only network and its protocol: all that decides a score besides the pixels.

    Notation is the paper's (arXiv 1812.03982, section 3): the Slow pathway sees `frames` = T frames at a
    stride of `stride` = tau raw frames, the Fast pathway alpha * T frames at a stride of tau / alpha.

    The network:
        pathways: "slow", "fast" or both.
        depth: 10, 18, 50 or 101; bottleneck blocks at every depth (one in each of res2 to res5 at 10, two at 18).
        fast_depth: depth of the Fast pathway; None: the same (MMAction2 has a network of 101 and 50).
        width: channels of the Slow pathway's first convolution (64 in the paper).
        frames: T, the frames of the Slow pathway.
        stride: tau, the raw frames from one frame of the Slow pathway to the next.
        alpha: frames of the Fast pathway for each frame of the Slow one.
        beta_inv: 1 / beta; the Fast pathway has a `beta_inv`-th of the Slow one's channels, rounded.
        lateral: Fast to Slow connection: time-strided convolution "conv" (the paper's choice), "sample",
            "channel_concat" and "channel_sum" (time-to-channel), or "none".
        lateral_kernel: kernel size of "conv" in time (5; 7 in the published R50 models of alpha 4).
        lateral_norm: whether BatchNorm and ReLU follow "conv" (False: the bare form of MMAction2).
        slow_kernels, fast_kernels: kernel sizes in time of conv1 and res2 to res5 of the pathway (Table 1).
        res4_temporal_blocks: number of res4's blocks with that kernel; the others have 1 (0: all; 6 in the paper's
            R101).
        fast_res4_temporal_blocks: the same number for the Fast pathway; None: as in the Slow one.
        nonlocal_kind: "none", "dot_product" or "softmax"; non-local blocks go into the Slow pathway.
        nonlocal_blocks: the blocks of res2 to res5, from 0, that a non-local block follows.
        nonlocal_pool: factors by which time, height and width of keys and values are max-pooled; 2, 2, 2 in
            PySlowFast's networks for AVA and Kinetics-600.
        nonlocal_pool_last: whether keys and values are pooled after their convolutions (MMAction2), not before
            (PySlowFast).
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

    The protocol (`slowfast_tf.load` gives it back, so that evaluation, prediction and export need nothing else):
        frame_rate: frames per second that `stride` counts (30 for Kinetics): a clip spans the same time in videos of
            all rates. None: `stride` counts the frames of each video, whatever its rate.
        frame_index: which frames of T * tau raw ones a clip has: "strided" (the paper, MMAction2) or "linspace"
            (PySlowFast, PyTorchVideo). "segments" has the middle one of each of alpha * T equal parts of the whole
            video (PySlowFast on Something-Something).
        views: see `Views`. A detection network has one view, the whole frame around each key frame, whatever is given.
        person_score: least score of a person detector's box that counts, in training and testing (head "roi";
            PySlowFast: 0.8 for SlowFast, 0.9 for Slow-only).
        crop_size: height and width in pixels of a test crop; the shorter side is resized to it.
        mean: mean of each input channel, on a 0..1 scale.
        std: standard deviation of each input channel; the input is (x - mean) / std.
        channel_order: "rgb" or "bgr".
        activation: "softmax" (one label a clip) or "sigmoid" (any number): from logits to scores.
        labels: class names, or empty.

    Raises:
        ValueError: where fields do not fit each other; the message says which and why.
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
        for field in dataclasses.fields(self):  # JSON has lists where a frozen spec wants tuples
            object.__setattr__(self, field.name, _tuples(getattr(self, field.name)))
        if isinstance(self.views, dict):
            object.__setattr__(self, "views", Views(**self.views))
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
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be at least 0 and below 1; got {self.dropout!r}")

    def _check_lengths(self) -> None:
        if len(self.slow_kernels) != 5 or len(self.fast_kernels) != 5:
            raise ValueError("slow_kernels and fast_kernels take 5 sizes (conv1, res2 to res5)")
        if len(self.nonlocal_blocks) != 4:
            raise ValueError(f"nonlocal_blocks takes 4 lists (res2 to res5); got {self.nonlocal_blocks!r}")
        good = len(self.mean) == len(self.std) == 3 and within(self.mean, MEANS) and within(self.std, STDS)
        if not good:
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
                f"frame_rate must be above 0, or null for each video's own, and {RATES[0]} to {RATES[1]}; got {rate!r}"
            )
        if not 0 <= self.person_score <= 1:
            raise ValueError(f"person_score must be from 0 to 1; got {self.person_score!r}")
        if self.frame_index == "segments" and (self.views.clips > 1 or self.head == "roi"):
            raise ValueError(
                "frame_index segments spreads a clip over the whole video: it has one clip (test.clips 1) and head"
                f" 'pool'; got {self.views.clips} clips and head {self.head!r}"
            )
        if not self.views.crops and self.head == "pool" and "fast" in self.pathways and self.fast_input == "half":
            raise ValueError(
                "features of fast_input half do not lie on those of the Slow pathway, as test.crops 0 (whole frames)"
                " needs; use crops, such as test.crops 3"
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
            raise ValueError("slow_input flow is of a Slow-only network; a Fast pathway has fast_input")
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
            raise ValueError("non-local blocks stand in the Slow pathway, which a Fast-only network has not")
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
        """Whether all inputs can be computed from a video's frames. Optical flow ("flow") has to be given."""
        return "flow" not in (self.slow_input, self.fast_input if "fast" in self.pathways else None)

    @property
    def clip_frames(self) -> int:
        """Frames that the densest pathway sees: alpha * T, or T for Slow-only."""
        return self.frames * (self.alpha if "fast" in self.pathways else 1)

    @property
    def clip_stride(self) -> int:
        """Raw frames from one of these to the next: tau / alpha, or tau for Slow-only."""
        return self.stride // (self.alpha if "fast" in self.pathways else 1)

    @property
    def clip_span(self) -> int:
        """Raw frames that a clip covers: T * tau."""
        return self.frames * self.stride

    @property
    def slow_index(self) -> tuple[int, ...]:
        """Which frames of the Fast clip the Slow pathway sees, a tuple of T indices."""
        if self.frame_index == "strided" or self.frames == 1:  # "segments" is PySlowFast's, as "linspace"
            return tuple(range(0, self.clip_frames, self.clip_frames // self.frames))
        last = self.clip_frames - 1
        return tuple(math.floor(last * i / (self.frames - 1)) for i in range(self.frames))

    def input_channels(self, pathway: str) -> int:
        """Channels of the input of `pathway` ("slow" or "fast")."""
        return CHANNELS[self.fast_input if pathway == "fast" else self.slow_input]

    def input_size(self, pathway: str, size: int) -> int:
        """Height (or width) of the input of `pathway`, where the Slow one's, or the only one's, is `size`."""
        return -(-size // 2) if pathway == "fast" and self.fast_input == "half" else size

    def pathway_width(self, pathway: str, stage: int = 1) -> int:
        """Channels of conv1 of `pathway` (stage 1), and inside the blocks of res2 to res5 (stages 2 to 5)."""
        width = self.width * 2 ** max(stage - 2, 0)
        # Rounded to the nearest: of the ways to have beta 1/6, the one whose cost is the recomputed 41.2 G.
        return (2 * width + self.beta_inv) // (2 * self.beta_inv) if pathway == "fast" else width

    def feature_shape(self, pathway: str, stage: int, size: int) -> tuple[int, int, int, int]:
        """Time, height, width and channels of `pathway` after pool1 (stage 1) or res2 to res5 (stages 2 to 5).

        Channels are those that the pathway computes itself, without what a lateral connection adds.
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
        """Pixels of a pathway's input for one of its feature after pool1 (stage 1) or res2 to res5."""
        return math.prod([4, *(self.stage_stride(s) for s in range(2, stage + 1))])

    def nonlocal_places(self, pathway: str, stage: int) -> tuple[int, ...]:
        """After which blocks of `stage` (2 to 5) of `pathway` a non-local block stands, from 0."""
        return self.nonlocal_blocks[stage - 2] if pathway == "slow" and self.nonlocal_kind != "none" else ()

    def check_size(self, size: int) -> None:
        """Raises a ValueError where an input of this height (or width) is too small for the network.

        Convolutions and pooling are padded, so that 1 pixel will do; a non-local block pools without.
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
        """The fields as a dictionary that JSON can hold and `SlowFastSpec(**...)` takes back."""
        return dataclasses.asdict(self)


# The values of these fields in models that were saved without them: `predict` took the middle clip at any frame rate.
EARLIER: dict[str, Any] = {"frame_rate": None, "views": MIDDLE, "person_score": 0.8}


def saved_spec(fields: dict[str, Any]) -> tuple[SlowFastSpec, tuple[str, ...]]:
    """Return the spec that a file holds, and the fields that it does not state since an earlier version wrote it.

    Args:
        fields: what `SlowFastSpec.as_dict` gave, with "format" (see `files.formats`) if a file states it.

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
