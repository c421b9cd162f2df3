"""An image network inflated into a Slow pathway."""

import keras
import numpy as np
import pytest

from slowfast_tf import checkpoints, convert
from slowfast_tf.errors import InputError
from slowfast_tf.models.saved import read_saved_spec
from slowfast_tf.models.slowfast import SlowFast

# ImageNet.


@pytest.fixture(scope="module")
def resnet50(tmp_path_factory):
    """A ResNet50 of Keras Applications with random weights and statistics, and its file in the published layout."""
    import h5py

    rng = np.random.default_rng(0)
    image = keras.applications.ResNet50(weights=None, include_top=False)
    path = tmp_path_factory.mktemp("imagenet") / "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in image.layers]
        file.attrs["keras_version"] = b"2.2.4"
        for layer in image.layers:
            weights = layer.get_weights()
            if len(weights) == 2:
                weights[0] /= 10 if layer.name == "conv1_conv" else 1  # its inputs are of the order of 100
                weights[1] = rng.normal(size=weights[1].shape, scale=0.5)
            elif weights:
                weights = [rng.uniform(0.5, 1.5, w.shape) + (i in (1, 2)) * rng.normal() for i, w in enumerate(weights)]
            layer.set_weights(weights)
            names = [f"{layer.name}/{weight.name}:0" for weight in layer.weights]
            group = file.create_group(layer.name)
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, weight in zip(names, weights):
                group[name] = weight
    return image, path


@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_imagenet_on_a_still_video(resnet50, order):
    """Up to the first stride inside a stage, a still video has the same features as the image."""
    image, path = resnet50
    model = SlowFast("slow_8x8_r50", num_classes=3, frames=5, slow_kernels=(3, 1, 1, 3, 3), channel_order=order)
    checkpoints.inflate_imagenet(path, model)
    frame = np.random.default_rng(1).integers(0, 256, (1, 96, 96, 3)).astype("float32")
    features = keras.Model(image.input, image.get_layer("conv2_block3_out").output)
    expected = np.asarray(features(keras.applications.resnet50.preprocess_input(frame.copy())))
    clip = (frame[..., ::-1] if order == "bgr" else frame) / 255
    clip = np.repeat(((clip - 0.45) / 0.225)[:, None], 5, axis=1)
    features = keras.Model(model.input, model.get_layer("slow_res2").output)
    # Compare only the middle: both ends and all borders of a clip are padded with zeros, and a zero is another color
    # for the image network than for the video network.
    found = np.asarray(features({"slow": clip}))[:, 2, 5:-5, 5:-5]
    expected = expected[:, 5:-5, 5:-5]
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()

    found = checkpoints.variables(model)["slow_res4/block1/a/conv/kernel"].numpy()
    kernel = image.get_layer("conv4_block2_1_conv").get_weights()[0]
    for time in range(3):
        np.testing.assert_allclose(found[time], kernel[0][None] / 3, rtol=1e-6)


def test_imagenet_under_lateral_connections(resnet50, tmp_path, capsys):
    image, path = resnet50
    arguments = [str(path), "--output", str(tmp_path / "model.keras")]
    with pytest.raises(InputError, match="--preset slow_8x8_r50"):
        convert.main(arguments)
    convert.main([*arguments, "--preset", "slowfast_8x8_r50", "--num-classes", "4"])
    model = keras.models.load_model(tmp_path / "model.keras")
    assert model.spec.num_classes == 4
    found = checkpoints.variables(model)["slow_res3/block0/shortcut/conv/kernel"].numpy()
    assert found.shape == (1, 1, 1, 256 + 64, 512)
    expected = image.get_layer("conv3_block1_0_conv").get_weights()[0]
    np.testing.assert_allclose(found[0, :, :, :256], expected, rtol=1e-6)
    assert not found[0, :, :, 256:].any()

    # A published name as the preset, and multi-label classes.
    name = ("--preset", "slow_8x8_r50_imagenet_k400_mmaction2", "--overwrite", "--num-classes", "4")
    convert.main([*arguments, *name, "--activation", "sigmoid"])
    spec = read_saved_spec(tmp_path / "model.keras")[0]
    assert (spec.pathways, spec.num_classes, spec.labels, spec.activation) == (("slow",), 4, (), "sigmoid")
    assert spec.mean == pytest.approx((0.485, 0.456, 0.406)) and spec.views.to_the_end
    with pytest.raises(InputError, match="nor a preset; did you mean 'slow_8x8_r50'"):
        convert.main([*arguments, "--overwrite", "--preset", "slow_8x8_r5"])

    with pytest.raises(InputError, match="fits a Slow pathway of depth 50 and width 64"):
        checkpoints.inflate_imagenet(path, SlowFast("slow_8x8_r50", depth=10))
    (tmp_path / "other.h5").write_bytes(path.read_bytes()[:5000])
    with pytest.raises(InputError, match="does not hold the weights of keras.applications.ResNet50"):
        checkpoints.inflate_imagenet(tmp_path / "other.h5", model)


def test_imagenet_takes_color(tmp_path):
    model = SlowFast("slow_8x8_r50", num_classes=3, frames=2, slow_input="flow")
    with pytest.raises(InputError, match="takes RGB video; the network has slow_input 'flow'"):
        checkpoints.inflate_imagenet(tmp_path / "none.h5", model)


def test_an_output_that_cannot_be_written(tmp_path):
    (tmp_path / "image.h5").write_bytes(b"")
    (tmp_path / "model.keras").mkdir()
    command = [str(tmp_path / "image.h5"), "--output", str(tmp_path / "model.keras"), "--overwrite"]
    with pytest.raises(InputError, match="--output .*model.keras cannot be written; give a file in a writable"):
        convert.main(command)
