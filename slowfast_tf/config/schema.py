"""The schema of a configuration: one class per section, and checks across sections. It does not import TensorFlow."""

import os
import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import pydantic

from ..data import multigrid
from ..data.datasets import DATASETS
from ..errors import InputError
from ..files.atomic import write_text
from ..models.presets import get_spec
from ..models.spec import SlowFastSpec
from ..models.views import Views

Positive = Annotated[int, pydantic.Field(ge=1)]
Rate = Annotated[float, pydantic.Field(ge=0)]
Share = Annotated[float, pydantic.Field(ge=0, le=1)]
KINDS = {tuple: "a list", int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


class Section(pydantic.BaseModel):
    """A section of a configuration. It rejects unknown keys and does not convert types."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def _is_dataset(value: str) -> str:
    known = [*DATASETS, "records"]
    if value not in known:
        raise ValueError(f"takes one of {', '.join(map(repr, known))}; received {value!r}")
    return value


def _is_optimizer(value: Any) -> Any:
    if value in ("sgd", "adamw"):
        return value
    fits = isinstance(value, dict) and set(value) <= {"class_name", "config"}
    if fits and isinstance(value.get("class_name"), str) and isinstance(value.get("config", {}), dict):
        return value
    raise ValueError(f'takes "sgd", "adamw" or {{"class_name": NAME, "config": {{...}}}}; received {value!r}')


class Model(Section):
    """The network: a preset, and any field of `slowfast_tf.SlowFastSpec` to change in it.

    preset: a network of `slowfast_tf.PRESETS`, such as "slowfast_8x8_r50".

    The data set gives the number and the names of the classes, and the section `test` the views. A trained model keeps
    all of it, and `evaluate` follows the model.
    """

    model_config = pydantic.ConfigDict(extra="allow", frozen=True, strict=True, allow_inf_nan=False)
    preset: str


class Data(Section):
    """The videos and how training clips are cut from them.

    dataset: "demo", "strokes" and "demo_detection" (made on first use), "folder" (`root/train/CLASS/*.mp4`,
        `root/val/CLASS/*.mp4`), "lists" (`root/train.csv`, `root/val.csv` of paths and labels), "kinetics",
        "charades", "ssv2" (Something-Something v2), "egogestar", "ava" or "people" (your own boxes); docs/datasets.md.
        "records" reads the output of `slowfast_tf.prepare` for any of them.
    root: directory of the data set, relative to the working directory.
    reader: decoder of video files: "pyav", or "tensorflow_io" (docs/stacks.md).
    fold: [K, N] for cross-validation: of N folds of the training videos, fold K (from 0) is "val" and the others are
        "train". The data set's own "val" is not read.
    groups: regular expression for the part of a video's id that names its group, such as a person or a scene. Folds
        do not divide groups.
    crop_size: height and width of a training crop, in pixels.
    short_sides: range of the shorter side that a training video is resized to, in pixels.
    short_side_draw: distribution of the shorter side: "uniform", or "inverse" (its inverse is uniform, as for
        Charades and AVA).
    flip: mirror half of the training clips; turn it off if left and right are classes.
    color_jitter: strength of changes of brightness, contrast and saturation (0: none; 0.4 is usual).
    rand_augment_layers: operations of RandAugment per clip (0: none; 2 is usual). Some move pixels, so they do not
        work with boxes or optical flow.
    rand_augment_magnitude: strength of RandAugment's operations.
    random_erasing: probability of noise over a rectangle (0: never; 0.25 is usual).
    mixup: alpha of mixup between the clips of a batch (0: none; 0.8 is usual).
    cutmix: alpha of CutMix (0: none; 1 is usual). If both are above 0, each applies to half of the batches.
    """

    dataset: Annotated[str, pydantic.AfterValidator(_is_dataset)]
    root: str
    reader: Literal["pyav", "tensorflow_io"] = "pyav"
    fold: Annotated[list[int], pydantic.Field(min_length=2, max_length=2)] | None = None
    groups: str | None = None
    crop_size: Positive = 224
    short_sides: Annotated[list[Positive], pydantic.Field(min_length=2, max_length=2)] = [256, 320]
    short_side_draw: Literal["uniform", "inverse"] = "uniform"
    flip: bool = True
    color_jitter: Share = 0.0
    rand_augment_layers: Annotated[int, pydantic.Field(ge=0)] = 0
    rand_augment_magnitude: Annotated[float, pydantic.Field(ge=0, le=10)] = 9.0
    random_erasing: Share = 0.0
    mixup: Rate = 0.0
    cutmix: Rate = 0.0

    @pydantic.model_validator(mode="after")
    def _reader_reads_files(self):
        if self.reader != "pyav" and self.dataset == "records":
            raise ValueError(f"reader {self.reader!r} is for video files; dataset 'records' holds images")
        return self

    @pydantic.model_validator(mode="after")
    def _folds_fit(self):
        if self.fold and not 0 <= self.fold[0] < self.fold[1] >= 2:
            raise ValueError(f"fold is [K, N], with N at least 2 and K from 0 to N - 1; got {self.fold}")
        if self.fold and self.dataset in DATASETS and DATASETS[self.dataset].has_boxes:
            raise ValueError("fold is not for boxes; set it to null")
        try:
            re.compile(self.groups or "")
        except re.error as error:
            raise ValueError(f"groups is a regular expression; got {self.groups!r}: {error}") from error
        return self

    @pydantic.model_validator(mode="after")
    def _crop_fits(self):
        if not self.crop_size <= self.short_sides[0] <= self.short_sides[1]:
            raise ValueError(f"short_sides {self.short_sides} must ascend and be at least crop_size {self.crop_size}")
        return self


class Train(Section):
    """Optimization; the defaults are the paper's for Kinetics.

    epochs: passes over the training videos.
    batch_size: clips per step of all devices together; a multiple of their number.
    learning_rate: the peak learning rate, for a batch of `learning_rate_batch` clips.
    learning_rate_batch: the batch size of learning_rate and warmup_learning_rate: both are multiplied by batch_size /
        learning_rate_batch; null: not scaled.
    warmup_epochs: length of the linear warm-up.
    warmup_learning_rate: the rate at which the warm-up starts.
    schedule: "cosine" (half a period) or "steps".
    step_epochs: epochs at which the rate changes, ascending, for schedule "steps".
    step_rates: factor of learning_rate from each of these epochs on.
    multigrid: small clips in large batches first, for fewer steps (arXiv 1912.00998); for one device. Give epochs,
        step_epochs and batch_size of a run without multigrid; the run takes 1.5 times the epochs.
    optimizer: "sgd", with Nesterov momentum, or "adamw"; or any optimizer registered with Keras, as
        {"class_name": "Addons>LAMB", "config": {...}}. A learning rate in its config replaces learning_rate; momentum
        and weight_decay are for "sgd" and "adamw".
    momentum: momentum of SGD, or beta_1 of AdamW.
    weight_decay: weight decay of all weights except BatchNorm's; SGD adds it to the gradient.
    clip_norm: maximum global norm of the gradients; null: no limit.
    gradient_accumulation: number of parts that each device splits its clips of a step into, to save memory.
    ema_decay: decay of the running average of the weights that is tested and saved (0: none; 0.9999 is usual).
    precise_batchnorm: training batches that give BatchNorm's statistics before each validation (0: none).
    label_smoothing: label smoothing, as in Keras' cross-entropies (0: none; 0.1 is usual).
    class_weights: "balanced" weighs each class by the inverse of its number of training videos (scikit-learn's rule);
        null: all clips count the same.
    keep: the epoch whose model is kept as the best: that with the highest "top1", "macro_f1" (the mean F1 of the
        classes) or "pr_auc", or the lowest "loss", in validation. Of equal epochs, the one with the lowest loss is
        kept. "last" keeps the last epoch, for validation videos that also test the network, as in cross-validation.
        null: "top1", or "pr_auc" for several labels.
    patience: stop after this number of epochs without a better one; null: train all epochs.
    precision: dtype policy of Keras.
    synchronize_batchnorm: compute BatchNorm statistics over all devices, not per device.
    init: path or name of a model to start from (see `slowfast_tf.load`); its classifier is left out if the number of
        classes differs.
    freeze: names of layers that are not trained ("fast_*": all that start with fast_; "norm": every BatchNorm;
        "slow_res2/block0": a layer inside another).
    """

    epochs: Positive
    batch_size: Positive
    learning_rate: Rate
    learning_rate_batch: Positive | None = None
    warmup_epochs: Rate = 34.0
    warmup_learning_rate: Rate = 0.01
    schedule: Literal["cosine", "steps"] = "cosine"
    step_epochs: list[Rate] = []
    step_rates: list[Rate] = []
    multigrid: bool = False
    optimizer: Annotated[Any, pydantic.AfterValidator(_is_optimizer)] = "sgd"
    momentum: Annotated[float, pydantic.Field(ge=0, lt=1)] = 0.9
    weight_decay: Rate = 1e-4
    clip_norm: Annotated[float, pydantic.Field(gt=0)] | None = None
    gradient_accumulation: Positive = 1
    ema_decay: Annotated[float, pydantic.Field(ge=0, lt=1)] = 0.0
    precise_batchnorm: Annotated[int, pydantic.Field(ge=0)] = 0
    label_smoothing: Annotated[float, pydantic.Field(ge=0, lt=1)] = 0.0
    class_weights: Literal["balanced"] | None = None
    keep: Literal["top1", "macro_f1", "pr_auc", "loss", "last"] | None = None
    patience: Positive | None = None
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    synchronize_batchnorm: bool = False
    init: str | None = None
    freeze: list[str] = []

    @pydantic.model_validator(mode="after")
    def _optimizer_takes(self):
        if isinstance(self.optimizer, dict) and (self.clip_norm or self.ema_decay):
            raise ValueError(
                "clip_norm and ema_decay are for sgd and adamw; give an optimizer by name what it takes in its config"
            )
        # Keras overwrites the weights with their averages at the end of `fit`; a resumed run would train these.
        if isinstance(self.optimizer, dict) and self.optimizer.get("config", {}).get("use_ema"):
            raise ValueError("use_ema is not supported; use train.ema_decay with sgd or adamw")
        return self

    @pydantic.model_validator(mode="after")
    def _patience_has_a_measure(self):
        if self.patience and self.keep == "last":
            raise ValueError("patience waits for a better epoch, and keep 'last' has none; set one of them to null")
        return self

    @pydantic.model_validator(mode="after")
    def _parts_are_equal(self):
        if self.batch_size % self.gradient_accumulation:
            raise ValueError(
                f"batch_size {self.batch_size} cannot be divided into gradient_accumulation"
                f" {self.gradient_accumulation} equal parts"
            )
        return self

    @pydantic.model_validator(mode="after")
    def _steps_match(self):
        if len(self.step_epochs) != len(self.step_rates):
            raise ValueError(f"{len(self.step_epochs)} step_epochs for {len(self.step_rates)} step_rates")
        if (self.schedule == "steps") != bool(self.step_epochs):
            raise ValueError(
                "schedule 'steps' needs step_epochs and step_rates, and no other schedule takes them; got schedule"
                f" {self.schedule!r} with {len(self.step_epochs)} step_epochs"
            )
        bounds = [0, *self.step_epochs, self.epochs]
        if self.multigrid and (self.schedule != "steps" or any(a >= b for a, b in zip(bounds, bounds[1:]))):
            raise ValueError(
                "multigrid needs schedule 'steps', with step_epochs that rise and lie between 0 and epochs"
                f" {self.epochs}; got schedule {self.schedule!r}, step_epochs {self.step_epochs}"
            )
        if any(a >= b for a, b in zip(self.step_epochs, self.step_epochs[1:])):
            raise ValueError(f"step_epochs must ascend; got {self.step_epochs}")
        return self


class Evaluation(Section):
    """The views of a video in the test of a run, which the trained model keeps; see `slowfast_tf.models.spec.Views`.

    A detection network has one view of each key frame: 1 clip around it, and 0 crops, the whole frame.
    """

    clips: Positive = 10
    crops: Annotated[int, pydantic.Field(ge=0)] = 3
    to_the_end: bool = False
    fuse: Literal["mean", "max"] = "mean"


class Prepare(Section):
    """How `slowfast_tf.prepare` stores videos.

    short_side: the shorter side that larger frames are scaled down to, in pixels.
    quality: quality of the JPEG images.
    frame_rate: frames per second; null: the video's own rate.
    shards: files per split; null: files of about 150 MB.
    flow: also store optical flow, which can be the Fast pathway's input.
    """

    short_side: Positive = 256
    quality: Annotated[int, pydantic.Field(ge=1, le=100)] = 85
    frame_rate: Annotated[float, pydantic.Field(gt=0, le=1000)] | None = None
    shards: Positive | None = None
    flow: bool = False


class Config(Section):
    """A run.

    name: name of the run; the work directory is runs/NAME by default.
    seed: seed of every random draw.
    export: formats to export at the end.
    plugins: modules that register classes with Keras or TensorFlow, such as "tensorflow_addons".
    """

    name: str
    seed: Annotated[int, pydantic.Field(ge=0, lt=2**32)] = 0
    plugins: list[str] = []
    model: Model
    data: Data
    train: Train
    test: Evaluation = Evaluation()
    prepare: Prepare = Prepare()
    export: list[Literal["saved_model"]] = []

    @pydantic.model_validator(mode="after")
    def _network_fits(self):
        for name, value in (self.model.model_extra or {}).items():
            if name == "views":
                raise ValueError("model.views is not a key of a configuration; set the section test")
            default = getattr(SlowFastSpec, name, None)
            kinds = {tuple: (list,), float: (int, float)}.get(type(default), (type(default),))
            if default is not None and type(value) not in kinds:
                raise ValueError(f"model: {name} takes {KINDS[type(default)]}, such as {default!r}; received {value!r}")
        try:
            self.spec()
        except ValueError as error:
            raise ValueError(f"model: {error}") from error
        return self

    @pydantic.model_validator(mode="after")
    def _network_fits_training(self):
        spec = self.spec()
        if self.data.rand_augment_layers and not spec.takes_video:
            raise ValueError("optical flow would not follow data.rand_augment_layers, which moves pixels; set it to 0")
        if self.train.multigrid and spec.frames % 4:
            raise ValueError(
                f"train.multigrid takes frames in multiples of 4, to begin with a quarter; got {spec.frames}"
            )
        return self

    @pydantic.model_validator(mode="after")
    def _measures_fit(self):
        one, several = ("top1", "macro_f1"), ("pr_auc",)
        activation = self.spec().activation
        if self.train.keep in (several if activation == "softmax" else one):
            raise ValueError(f"train.keep {self.train.keep!r} does not go with model.activation {activation!r}")
        if self.train.class_weights and activation != "softmax":
            raise ValueError("train.class_weights needs one class per video: model.activation 'softmax'")
        return self

    @pydantic.model_validator(mode="after")
    def _boxes_fit(self):
        spec, data = self.spec(), self.data
        with_boxes = sorted(name for name, dataset in DATASETS.items() if dataset.has_boxes)
        if spec.head != "roi":
            if data.dataset in with_boxes:
                raise ValueError(f"dataset {data.dataset!r} has labels of boxes only, which need head 'roi'")
            return self
        if data.dataset not in (*with_boxes, "records"):
            raise ValueError(
                f"head 'roi' needs boxes: dataset {', '.join(with_boxes)} or records; got {data.dataset!r}"
            )
        self._detection_fits(spec)
        return self

    def _detection_fits(self, spec: SlowFastSpec) -> None:
        if spec.activation != "sigmoid":
            raise ValueError(
                f"people do several things at once: head 'roi' needs activation 'sigmoid'; got {spec.activation!r}"
            )
        for name in ("rand_augment_layers", "mixup", "cutmix"):
            if getattr(self.data, name):
                raise ValueError(f"boxes cannot follow data.{name}; set it to 0, got {getattr(self.data, name)}")
        if self.data.fold:  # `Data` checks files; only the head tells whether records have boxes
            raise ValueError("data.fold is not for boxes; set it to null")
        if self.train.multigrid:
            raise ValueError("train.multigrid is for head 'pool'; set it to false")
        if (self.test.clips, self.test.crops) != (1, 0):
            raise ValueError(
                "head 'roi' is tested on one clip of whole frames: set test.clips to 1 and test.crops to 0;"
                f" got {self.test.clips} and {self.test.crops}"
            )

    def spec(self, labels: Sequence[str] = ()) -> SlowFastSpec:
        """Return the spec of the network, with its protocol.

        Args:
            labels: class names, which set the number of classes; if empty, the preset's number.
        """
        changes: dict[str, Any] = {**(self.model.model_extra or {}), "views": Views(**self.test.model_dump())}
        if labels:
            changes.update(labels=tuple(labels), num_classes=len(labels))
        return get_spec(self.model.preset, **changes)

    def check_new_run(self) -> None:
        """Check the rules that apply only to a new run; earlier versions accepted such configurations.

        Raises:
            InputError: if the warm-up is longer than the run, or if a SavedModel is to be exported of a network that
                takes optical flow or is tested on whole frames.
        """
        longest = self.train.epochs * (multigrid.EPOCH_FACTOR if self.train.multigrid else 1)
        if self.train.warmup_epochs > longest:
            raise InputError(
                f"train.warmup_epochs {self.train.warmup_epochs:g} is longer than the run of {longest:g} epochs;"
                " lower it"
            )
        if "saved_model" in self.export and self.spec().head == "pool" and not self.test.crops:
            raise InputError(
                "export: a SavedModel scores crops, and test.crops 0 is whole frames; set test.crops to 3, or set"
                " export to [] and export the trained network with other views, such as 10x3"
            )
        if "saved_model" in self.export and not self.spec().takes_video:
            raise InputError(
                "export: a SavedModel takes video, and the network needs optical flow; set export to [], and"
                " export the trained network as tflite or onnx"
            )

    def save(self, path: str | os.PathLike) -> None:
        """Write the resolved configuration with all values as JSON, so that the run can be repeated."""
        write_text(path, self.model_dump_json(indent=2) + "\n")
