"""What a run does, as JSON: a typed schema, inheritance ("base"), overrides, and errors in one clear line.

No TensorFlow here: a typing mistake is answered at once.
"""

import json
import pathlib
from typing import Annotated, Literal

import pydantic

from .cli import UserError, write_text
from .models.presets import get_spec, nearest
from .models.spec import SlowFastSpec

Positive = Annotated[int, pydantic.Field(ge=1)]
Rate = Annotated[float, pydantic.Field(ge=0)]
KINDS = {tuple: "a list", int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


class Section(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Model(Section):
    """The network: a preset, and any field of `slowfast_tf.SlowFastSpec` to change in it.

    Number and names of the classes come from the data set.
    """

    model_config = pydantic.ConfigDict(extra="allow", frozen=True, strict=True, allow_inf_nan=False)
    preset: str


class Data(Section):
    """The videos and how training clips are cut from them.

    dataset: "demo" (made on first use), "folder" (`root/train/CLASS/*.mp4`, `root/val/CLASS/*.mp4`) or "charades".
    root: directory of the data set, from where the command is run.
    crop_size: height and width of a training crop, in pixels.
    short_sides: range of the shorter side that a training video is resized to.
    short_side_draw: whether the shorter side is drawn "uniform", or its inverse is ("inverse", as for Charades).
    flip: mirror half of the training clips; off where left and right are classes.
    """

    dataset: Literal["demo", "folder", "charades"]
    root: str
    crop_size: Positive = 224
    short_sides: Annotated[list[Positive], pydantic.Field(min_length=2, max_length=2)] = [256, 320]
    short_side_draw: Literal["uniform", "inverse"] = "uniform"
    flip: bool = True

    @pydantic.model_validator(mode="after")
    def _crop_fits(self):
        if not self.crop_size <= self.short_sides[0] <= self.short_sides[1]:
            raise ValueError(
                f"short_sides {self.short_sides} must rise, and from at least crop_size {self.crop_size} on"
            )
        return self


class Train(Section):
    """Optimisation: SGD with Nesterov momentum; defaults are the paper's for Kinetics.

    batch_size: clips a step, over all devices.
    learning_rate: the highest, for this batch size.
    warmup_epochs, warmup_learning_rate: linear from this rate over so many epochs.
    schedule: "cosine" (half a period) or "steps".
    step_epochs, step_rates: from each of these epochs on, this share of learning_rate.
    momentum, weight_decay: decay is added to the gradient, of everything but BatchNorm.
    label_smoothing: as Keras has it.
    precision: a Keras dtype policy.
    init: a `.keras` file to start from; its classifier is left out where the classes differ.
    """

    epochs: Positive
    batch_size: Positive
    learning_rate: Rate
    warmup_epochs: Rate = 34.0
    warmup_learning_rate: Rate = 0.01
    schedule: Literal["cosine", "steps"] = "cosine"
    step_epochs: list[Rate] = []
    step_rates: list[Rate] = []
    momentum: Annotated[float, pydantic.Field(ge=0, lt=1)] = 0.9
    weight_decay: Rate = 1e-4
    label_smoothing: Annotated[float, pydantic.Field(ge=0, lt=1)] = 0.0
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    init: str | None = None

    @pydantic.model_validator(mode="after")
    def _steps_match(self):
        if len(self.step_epochs) != len(self.step_rates):
            raise ValueError(f"{len(self.step_epochs)} step_epochs for {len(self.step_rates)} step_rates")
        if (self.schedule == "steps") != bool(self.step_epochs):
            raise ValueError("step_epochs and step_rates go with schedule 'steps', and it with them")
        return self


class Test(Section):
    """Views of a video in testing, and how their scores become one.

    clips, crops: clips uniform in time, and crops of each along its longer side.
    fuse: "mean" or "max" over the views' scores.
    """

    clips: Positive = 10
    crops: Positive = 3
    fuse: Literal["mean", "max"] = "mean"


class Config(Section):
    """A run. `seed` decides every random draw; `export` names what is exported at the end."""

    name: str
    seed: int = 0
    model: Model
    data: Data
    train: Train
    test: Test = Test()
    export: list[Literal["saved_model"]] = []

    @pydantic.model_validator(mode="after")
    def _network_fits(self):
        for name, value in self.model.model_extra.items():
            default = getattr(SlowFastSpec, name, None)
            kinds = {tuple: (list,), float: (int, float)}.get(type(default), (type(default),))
            if default is not None and type(value) not in kinds:
                raise ValueError(f"{name} takes {KINDS[type(default)]}, such as {default!r}; received {value!r}")
        try:
            self.spec()
        except TypeError as error:  # deeper in a list
            raise ValueError(f"a list holds a value of a wrong type: {error}") from error
        return self

    def spec(self, labels=()):
        """The `SlowFastSpec` of the network, for class names `labels`."""
        changes = dict(self.model.model_extra)
        if labels:
            changes.update(labels=tuple(labels), num_classes=len(labels))
        return get_spec(self.model.preset, **changes)

    def save(self, path):
        """Writes the resolved configuration: everything that is needed to repeat the run."""
        write_text(path, self.model_dump_json(indent=2) + "\n")


def load(path, overrides=()):
    """Reads a configuration.

    Args:
        path: a JSON file. Its "base" names a file, relative to it, whose values it changes.
        overrides: texts such as "train.epochs=3"; the value is JSON, or else a string.

    Returns:
        A `Config`.

    Raises:
        UserError: for a missing file, bad JSON, an unknown key (names the nearest known one), or a value of a
            wrong type or range (says what was received).
    """
    values = _read(pathlib.Path(path), ())
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals:
            raise UserError(f"--set takes KEY=VALUE, such as train.epochs=3; got {override!r}")
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        *parents, last = key.strip().split(".")
        section = values
        for parent in parents:
            section = section.setdefault(parent, {})
            if not isinstance(section, dict):
                raise UserError(f"--set {override}: {parent!r} holds a value, not further keys")
        section[last] = value
    try:
        return Config.model_validate(values)
    except pydantic.ValidationError as error:
        raise UserError(f"{path}: {_explain(error.errors()[0])}") from error


def _read(path, readers):
    if path.resolve() in readers:
        raise UserError(f"{path}: is its own base")
    try:
        values = json.loads(path.read_text())
    except OSError as error:
        raise UserError(
            f"cannot read the configuration {path}: {error.strerror}; give the path of a JSON file"
        ) from error
    except ValueError as error:
        raise UserError(f"{path}: not JSON: {error}") from error
    if not isinstance(values, dict):
        raise UserError(f"{path}: a configuration is an object {{...}}; got {type(values).__name__}")
    if "base" in values:
        base = values.pop("base")
        if not isinstance(base, str):
            raise UserError(f"{path}: base names a file; received {base!r}")
        base = _read(path.parent / base, (*readers, path.resolve()))
        values = _merge(base, values)
    return values


def _merge(base, values):
    merged = dict(base)
    for key, value in values.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        merged[key] = _merge(base[key], value) if both else value
    return merged


def _explain(error):
    """One line about the first thing that is wrong."""
    where = ".".join(map(str, error["loc"]))
    if error["type"] == "extra_forbidden":
        *parents, key = error["loc"]
        section = Config
        for parent in parents:
            section = section.model_fields[parent].annotation
        return f"unknown key {where!r}{nearest(key, section.model_fields)}"
    if error["type"] == "missing":
        return f"key {where!r} is missing"
    message = error["msg"].removeprefix("Value error, ")
    where = f"{where}: " if where else "model: "
    return f"{where}{message}" + ("" if error["type"] == "value_error" else f"; received {error['input']!r}")
