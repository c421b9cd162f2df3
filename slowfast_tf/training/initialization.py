"""Start a network from the weights of another network (`train.init`)."""

import json

import keras

from ..checkpoints.names import load
from ..checkpoints.variables import variables
from ..errors import InputError
from ..models.spec import NONLOCAL, SlowFastSpec


def initialize(model: keras.Model, path: str) -> None:
    """Copy the weights of a saved model, without its classifier if the number of classes differs.

    Args:
        model: the network to change.
        path: path of the model, or its name, as `slowfast_tf.load` takes it.

    Raises:
        InputError: if the architecture, channel order, normalization, Fast input or kind of non-local block differs.
    """
    source = load(path)
    names = {layer.name for layer in source.layers}
    for name in _shapeless(source.spec, model.spec):
        there, here = getattr(source.spec, name), getattr(model.spec, name)
        if there != here:
            value = json.dumps(there)
            raise InputError(
                f"train.init {path}: was trained with {name} {value}, the configuration has {json.dumps(here)}; set"
                f" model.{name} to {value} as well"
            )
    for layer in model.layers:
        if not layer.weights:  # such as the input of boxes, which a classification network lacks
            continue
        if layer.name == "head" and source.spec.num_classes != model.spec.num_classes:
            continue
        # Match weights by name, not by order: Keras 2 lists the weights of frozen layers after all others.
        here = variables(layer)
        there = variables(source.get_layer(layer.name)) if layer.name in names else {}
        if {name: v.shape for name, v in here.items()} != {name: v.shape for name, v in there.items()}:
            raise InputError(
                f"train.init {path}: is another network than the configuration's, at {layer.name}; its depth, width,"
                f" pathways and lateral connections must be the same"
            )
        for name, variable in here.items():
            variable.assign(there[name])


def _shapeless(source: SlowFastSpec, spec: SlowFastSpec) -> list[str]:
    """Return the fields that must be equal for the weights to fit, but that do not change their shapes."""
    names = ["channel_order", "mean", "std"]
    if "fast" in source.pathways and "fast" in spec.pathways:
        names.append("fast_input")
    if "none" not in (source.nonlocal_kind, spec.nonlocal_kind):
        names.extend(NONLOCAL)
    return names
