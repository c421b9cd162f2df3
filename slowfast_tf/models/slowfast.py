"""Build a Keras model from a spec, or load it from a file."""

import dataclasses
import fnmatch
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from ..errors import InputError
from ..files import remote
from ..files.formats import FORMAT
from .base import register, without_random_weights
from .heads import ClassificationHead, RoIHead
from .keras_compat import FitModel, dtype_policy
from .lateral import Lateral
from .pathways import Stage, Stem
from .presets import get_spec
from .saved import first_line, read_saved_spec
from .spec import SlowFastSpec, saved_spec


@register
class SlowFast(FitModel):
    """A SlowFast network (arXiv 1812.03982) as a functional Keras model.

    Inputs are float32, normalized (see `slowfast_tf.data.transforms.normalize`), channels last:
        `slow`: `[B, T, S, S, 3]`; `fast`: `[B, alpha * T, S, S, C]` (at half resolution, S / 2 rounded up).
        A network with one pathway has only one of them. Height and width may vary between calls.
        `boxes`, for head "roi" only: `[B, N, 4]`, x1, y1, x2, y2 in pixels of S x S; all-zero rows are padding.
    Output: logits, float32: `[B, num_classes]`, or `[B, N, num_classes]` for head "roi".

    Args:
        preset: a name such as "slowfast_8x8_r50" (see `slowfast_tf.PRESETS`) or a `SlowFastSpec`.
        lowering: "conv3d", or "conv2d" for TFLite; the weights are the same.
        folded: build the network without BatchNorm, for weights that were folded into the convolutions.
        synchronized: compute BatchNorm statistics over all replicas.
        frozen: names of layers, at any depth, that are not trained. "fast_*" means all layers whose names start with
            fast_, "norm" means every BatchNorm, "slow_res2/block0" means one layer inside another.
        dtype: a Keras dtype policy or its name, such as "mixed_bfloat16"; by default the global policy.
        **changes: fields of `SlowFastSpec` to set, such as `num_classes=157`.

    Attributes:
        spec: the `SlowFastSpec`, with all settings that prediction needs.
        unstated: fields of the spec that are missing in the file of an earlier version; usually empty.

    Raises:
        ValueError: if a preset or field is unknown, or if fields contradict each other. When the model is called: if
            inputs have the wrong number of frames or channels, or sizes that do not match.

    Example:
        >>> model = slowfast_tf.SlowFast("slowfast_8x8_r50", num_classes=157)
        >>> model.input_names
        ['slow', 'fast']
    """

    def __init__(
        self,
        preset: str | SlowFastSpec = "slowfast_8x8_r50",
        lowering: str = "conv3d",
        folded: bool = False,
        synchronized: bool = False,
        frozen: Sequence[str] = (),
        dtype: Any = None,
        name: str = "slowfast",
        **changes: Any,
    ):
        spec = get_spec(preset, **changes)
        dtype = getattr(dtype, "name", dtype) or dtype_policy()
        options = {"lowering": lowering, "folded": folded, "synchronized": synchronized}
        inputs, outputs = _network(spec, {"options": options, "dtype": dtype})
        super().__init__(inputs=inputs, outputs=outputs, name=name)
        self.spec = spec
        self.unstated: tuple[str, ...] = ()
        self._build = {**options, "frozen": list(frozen), "dtype": dtype}
        for layer in self._matching(frozen):
            layer.trainable = False

    def _matching(self, patterns: Sequence[str]) -> list[Any]:
        """Return the layers that patterns of names or paths mean; raise a ValueError if a pattern means none."""
        found = []
        for pattern in patterns:
            layers = _by_path(self).items()
            here = [x for path, x in layers if fnmatch.fnmatchcase(path if "/" in pattern else x.name, pattern)]
            if not here:
                known = ", ".join(layer.name for layer in self.layers if layer.name not in self.spec.inputs)
                raise ValueError(f"no layer to freeze is called {pattern!r}; layers: {known}, and those inside them")
            found += here
        return found

    def _frozen(self) -> list[str]:
        """Return the argument `frozen` that gives the present state: a user may set `layer.trainable` at any time."""
        trained = {id(weight) for weight in self.trainable_weights}
        weights = {path: {id(weight) for weight in layer.weights} for path, layer in _by_path(self).items()}
        frozen = {path: found for path, found in weights.items() if found and not found & trained}
        given = {id(weight) for layer in self._matching(self._build["frozen"]) for weight in layer.weights}
        if given == set().union(*frozen.values()):
            return list(self._build["frozen"])
        return [path for path in frozen if path.rpartition("/")[0] not in frozen]

    def state(self, spec: SlowFastSpec | None) -> None:
        """Set the fields in `unstated` to those of `spec`; do nothing if `spec` is None."""
        if spec:
            self.spec = dataclasses.replace(self.spec, **{name: getattr(spec, name) for name in self.unstated})
            self.unstated = ()

    def get_config(self) -> dict[str, Any]:
        stated = {name: value for name, value in self.spec.as_dict().items() if name not in self.unstated}
        return {"preset": {**stated, "format": FORMAT}, "name": self.name, **self._build, "frozen": self._frozen()}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "SlowFast":
        spec, unstated = saved_spec(config["preset"])
        model = cls(**{**config, "preset": spec})
        model.unstated = unstated
        return model


def load_model(path: str | os.PathLike, compile: bool = False) -> SlowFast:
    """Read a saved model, with its spec (alpha, frame indices, labels, normalization) as `model.spec`.

    Args:
        path: a `.keras` file, local or at an address such as `s3://bucket/model.keras`; or the directory of a run with
            `model.keras`.
        compile: whether to compile the model as it was saved, with the optimizer's state.

    Returns:
        A `SlowFast`.

    Raises:
        InputError: if the file is missing, is not a model of this package, or is from a newer version; if its spec is
            out of bounds or does not fit its weights; or if its weights are not finite.

    Example:
        >>> model = slowfast_tf.load("runs/demo")  # doctest: +SKIP
        >>> model.spec.labels[:2]  # doctest: +SKIP
        ('circle_left', 'circle_right')
    """
    path = pathlib.Path(remote.fetch_file(str(path)) if remote.is_remote(path) else path)
    if path.is_dir():
        path = path / "model.keras"
    if not path.exists():
        raise InputError(f"{path}: no such file; give a .keras file or the directory of a run that holds model.keras")
    if path.suffix != ".keras":
        raise InputError(f"{path}: not a .keras file; `slowfast_tf.checkpoints` makes one of other checkpoints")
    read_saved_spec(path)
    try:
        with without_random_weights():
            model: Any = keras.models.load_model(path, compile=compile)
    except Exception as error:  # what `read_saved_spec` has not checked, such as the optimizer, can be anything
        raise InputError(f"{path}: cannot be read as a Keras model: {first_line(error)}") from error
    for weight in model.weights:
        if not np.isfinite(weight.numpy()).all():
            name = getattr(weight, "path", weight.name)
            raise InputError(f"{path}: {name} holds NaN or infinite values, which give no scores; give another model")
    return model


def _by_path(layer: Any, parent: str = "") -> dict[str, Any]:
    """Return all layers inside a layer by path, such as "slow_res2/block0/a"."""
    found = {}
    # Keras 2 has no paths of layers, and no public way to iterate over inner layers.
    for inner in layer._flatten_layers(include_self=False, recursive=False):
        found[f"{parent}{inner.name}"] = inner
        found.update(_by_path(inner, f"{parent}{inner.name}/"))
    return found


def _network(spec: SlowFastSpec, options: dict[str, Any]) -> tuple[list[Any], Any]:
    """Return the inputs and the logits. `options` are the arguments of all layers: `options` and `dtype`."""
    inputs, features = [], {}
    for pathway in spec.pathways:
        x = keras.Input(spec.input_shape(pathway), name=pathway, dtype="float32")
        inputs.append(x)
        kernel = (spec.fast_kernels if pathway == "fast" else spec.slow_kernels)[0]
        features[pathway] = Stem(spec.pathway_width(pathway), kernel, name=f"{pathway}_stem", **options)(x)
    _fuse(spec, features, "stem", options)
    for stage in (2, 3, 4, 5):
        for pathway in spec.pathways:
            features[pathway] = _stage(spec, pathway, stage, options)(features[pathway])
        if stage < 5:
            _fuse(spec, features, f"res{stage}", options)
    last = [features[pathway] for pathway in spec.pathways]
    if spec.head == "pool":
        head = ClassificationHead(spec.num_classes, spec.dropout, name="head", dtype=options["dtype"])
        return inputs, head(last)
    boxes = keras.Input((None, 4), name="boxes", dtype="float32")
    # Boxes are in pixels of the Slow input, even if the Fast pathway's input has half the size.
    half = [2 if pathway == "fast" and spec.fast_input == "half" else 1 for pathway in spec.pathways]
    strides = [spec.feature_stride(5) * scale for scale in half]
    head = RoIHead(
        spec.num_classes,
        strides,
        spec.dropout,
        spec.roi_aligned,
        spec.roi_bins,
        spec.roi_time,
        spec.roi_context,
        spec.roi_hidden,
        name="head",
        dtype=options["dtype"],
    )
    return [*inputs, boxes], head([*last, boxes])


def _stage(spec: SlowFastSpec, pathway: str, stage: int, options: dict[str, Any]) -> Stage:
    width = spec.pathway_width(pathway, stage)
    return Stage(
        4 * width,
        width,
        spec.temporal_kernels(pathway, stage),
        stride=spec.stage_stride(stage),
        dilation=spec.stage_dilation(stage),
        nonlocal_blocks=spec.nonlocal_places(pathway, stage),
        nonlocal_kind=spec.nonlocal_kind,
        nonlocal_pool=spec.nonlocal_pool,
        nonlocal_pool_last=spec.nonlocal_pool_last,
        name=f"{pathway}_res{stage}",
        **options,
    )


def _fuse(spec: SlowFastSpec, features: dict[str, Any], after: str, options: dict[str, Any]) -> None:
    """Add the lateral connection after a stage to the Slow feature, if the network has lateral connections."""
    if len(spec.pathways) == 2 and spec.lateral != "none":
        lateral = Lateral(
            spec.lateral,
            spec.alpha,
            spec.lateral_kernel,
            spec.lateral_norm,
            scale=2 if spec.fast_input == "half" else 1,
            name=f"lateral_{after}",
            **options,
        )
        features["slow"] = lateral([features["slow"], features["fast"]])
