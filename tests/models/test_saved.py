"""Hostile and broken model files give one line before anything is built or executed."""

import io
import json
import zipfile

import h5py
import keras
import numpy as np
import pytest

import slowfast_tf
from slowfast_tf import SlowFast
from slowfast_tf.checkpoints.variables import assign, variables
from slowfast_tf.errors import InputError
from slowfast_tf.models.saved import read_saved_spec


@pytest.fixture
def changed(saved, tmp_path):
    """Copy the model's file with another configuration, weights or compression; return the path of the copy."""

    def changed(config=lambda whole, options, spec: None, weights=None, packing=zipfile.ZIP_STORED):
        path = tmp_path / "changed.keras"
        with zipfile.ZipFile(saved) as old, zipfile.ZipFile(path, "w", packing) as new:
            for name in old.namelist():
                content = old.read(name)
                if name == "config.json":
                    whole = json.loads(content)
                    config(whole, whole["config"], whole["config"]["preset"])
                    content = json.dumps(whole)
                elif name == "model.weights.h5" and weights is not None:
                    content = weights(content)
                new.writestr(name, content)
        return path

    return changed


NEVER_BUILT = {
    "width": (lambda w, o, s: s.update(width=10**6), "width must be a whole number from 1 to 1024; got 1000000"),
    "width of 20 GB": (lambda w, o, s: s.update(width=1024), "its spec has 5,.* parameters, and it holds .* weights"),
    "classes": (lambda w, o, s: s.update(num_classes=10**5, labels=[]), "its spec has .* parameters, and it holds"),
    "frames": (lambda w, o, s: s.update(frames=10**9), "frames must be a whole number from 1 to 1024; got 1000000000"),
    "pixels": (lambda w, o, s: s.update(frames=999, crop_size=999), "a clip must have at most 134217728 pixels"),
    "kernel": (lambda w, o, s: s.update(lateral_kernel=10**6 + 1), "a kernel size in time must be odd"),
    "not whole": (lambda w, o, s: s.update(alpha=True), "alpha must be a whole number"),
    "views": (lambda w, o, s: s["views"].update(clips=10**9), "views: clips must be a whole number from 1 to 9999"),
    "mean": (lambda w, o, s: s.update(mean=[float("nan")] * 3), "mean and std take 3 numbers"),
    "tiny std": (lambda w, o, s: s.update(std=[1e-300] * 3), "mean and std take 3 numbers"),
    "frame rate": (lambda w, o, s: s.update(frame_rate=1e-300), "frame_rate must be from 0.0001"),
    "labels": (lambda w, o, s: s.update(labels=[1, [2], None, {}]), "labels must be class names"),
    "unknown field": (lambda w, o, s: s.update(memory=1), "unexpected keyword argument 'memory'"),
    "dtype": (lambda w, o, s: o.update(dtype="float99"), "dtype must be one of float32, .*; got 'float99'"),
    "dtype object": (lambda w, o, s: o.update(dtype={"class_name": "DTypePolicy"}), "dtype must be one of"),
    "lowering": (lambda w, o, s: o.update(lowering=[]), "lowering must be one of conv3d, conv2d"),
    "folded": (lambda w, o, s: o.update(folded=1), "folded must be one of False, True; got '1'"),
    "frozen": (lambda w, o, s: o.update(frozen=[5]), "name and frozen take names"),
    "option": (lambda w, o, s: o.update(layers=[]), "it has 'layers', which no network has"),
    "another class": (lambda w, o, s: w.update(registered_name="Functional"), "it holds a SlowFast"),
    "no object": (lambda w, o, s: w.update(config=5), "not subscriptable"),
}


@pytest.mark.parametrize("name", NEVER_BUILT)
def test_a_hostile_spec_is_never_built(changed, monkeypatch, name):
    change, message = NEVER_BUILT[name]
    path = changed(change)
    monkeypatch.setattr(keras.models, "load_model", lambda *_, **__: pytest.fail("was built"))
    for read in (slowfast_tf.load, read_saved_spec):
        with pytest.raises(InputError, match=message) as error:
            read(path)
        assert str(error.value).startswith(str(path)) and "\n" not in str(error.value) and len(str(error.value)) < 600


def test_a_deeply_nested_spec(changed):
    path = changed()
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("config.json", "[" * 10**6)
    with pytest.raises(InputError, match="holds no network"):
        slowfast_tf.load(path)


def test_a_file_that_unpacks_to_a_thousand_times_its_size(changed):
    path = changed(weights=lambda content: content + bytes(300_000_000), packing=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 3_000_000
    with pytest.raises(InputError, match="it unpacks to more than 20 times its size"):
        slowfast_tf.load(path)


def with_h5(change):
    def weights(content):
        file = io.BytesIO(content)
        with h5py.File(file, "a") as store:
            names = []
            store.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
            change(store, names)
        return file.getvalue()

    return weights


def test_empty_shapes_have_no_cost(changed):
    """HDF5 stores a declared array of terabytes in a few bytes."""

    def declare(store, names):
        store.create_dataset("layers/more", (10**6, 10**6), "f4", chunks=(1024, 1024))

    path = changed(lambda w, o, s: s.update(width=512), with_h5(declare))
    with pytest.raises(InputError, match="its spec has .* parameters, and it holds 324,200 weights"):
        slowfast_tf.load(path)


def test_weights_in_another_file_are_not_read(changed, tmp_path):
    (tmp_path / "secret").write_bytes(bytes(1000))

    def refer(store, names):
        store.create_dataset("layers/more", (10,), "f4", external=[(str(tmp_path / "secret"), 0, 40)])

    with pytest.raises(InputError, match="its layers/more is in another file"):
        slowfast_tf.load(changed(weights=with_h5(refer)))


@pytest.mark.legacy
def test_weights_that_do_not_fit(changed):
    """The file holds enough weights for the network to be built, so Keras compares the shapes."""
    with pytest.raises(InputError, match="cannot be read as a Keras model: ") as error:
        slowfast_tf.load(changed(lambda w, o, s: s.update(lateral_kernel=7)))
    assert "\n" not in str(error.value)


@pytest.mark.legacy
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite(changed, saved, value):
    def spoil(store, names):
        store[names[len(names) // 2]][..., 0] = value

    with pytest.raises(InputError, match="holds NaN or infinite values, which give no scores"):
        slowfast_tf.load(changed(weights=with_h5(spoil)))
    assert slowfast_tf.load(saved).spec == read_saved_spec(saved)[0]


@pytest.mark.legacy
def test_loading_draws_no_weights(saved, monkeypatch):
    """Drawing takes a third of the time of building; a network that is built afterwards has random weights."""
    with monkeypatch.context() as patch:
        patch.setattr(keras.initializers.VarianceScaling, "__call__", lambda *_, **__: pytest.fail("drew weights"))
        spec = slowfast_tf.load(saved).spec
    kernels = [weight.numpy() for weight in SlowFast(spec).weights if weight.name.startswith("kernel")]
    assert all(kernel.std() > 0 for kernel in kernels)


def test_values_of_foreign_checkpoints_that_are_not_finite(model):
    targets = {"bias": variables(model)["head/classifier/bias"]}
    with pytest.raises(InputError, match="weights.pth do not fit the network: 1 with NaN or infinite values: bias"):
        assign(targets, {"bias": np.array([1, np.nan, 1, 1], np.float32)}, {}, "weights.pth")


@pytest.mark.legacy
def test_other_networks_load(tmp_path):
    """A folded network has fewer weights than parameters; a compressed file is smaller than its content."""
    policy = keras.mixed_precision.Policy("mixed_bfloat16")
    model = SlowFast("slowfast_2x16_demo", depth=10, width=8, folded=True, dtype=policy, frozen=["fast_*"])
    assert model.get_config()["dtype"] == "mixed_bfloat16" and model.get_config()["frozen"] == ["fast_*"]
    model.save(tmp_path / "folded.keras")
    with zipfile.ZipFile(tmp_path / "folded.keras") as old:
        with zipfile.ZipFile(tmp_path / "packed.keras", "w", zipfile.ZIP_DEFLATED) as new:
            for name in old.namelist():
                new.writestr(name, old.read(name))
    for name in ("folded", "packed"):
        assert slowfast_tf.load(tmp_path / f"{name}.keras").get_config() == model.get_config()
