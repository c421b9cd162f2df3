"""The values of a configuration, and the answers to mistakes."""

import pytest

from slowfast_tf.errors import InputError


@pytest.mark.parametrize(
    "overrides, message",
    [
        (["test.crops=1"], "tested on one clip of whole frames: set test.clips to 1 and test.crops to 0; got 1 and 1"),
        (["data.mixup=0.8"], "boxes cannot follow data.mixup; set it to 0, got 0.8"),
        (["data.rand_augment_layers=2"], "boxes cannot follow data.rand_augment_layers"),
        (["data.dataset=folder"], "head 'roi' needs boxes: dataset ava, demo_detection or records; got 'folder'"),
        (["model.activation=softmax"], "head 'roi' needs activation 'sigmoid'"),
        (["model.head=pool"], "dataset 'demo_detection' has labels of boxes only, which need head 'roi'"),
    ],
)
def test_misfits_are_named(configure_detection, overrides, message):
    with pytest.raises(InputError, match=message) as error:
        configure_detection(*overrides)
    assert "\n" not in str(error.value)
