"""Views that replace the views of the model's own test."""

import pytest

from slowfast_tf.errors import InputError
from slowfast_tf.inference.chosen_views import SLIDING, with_views
from slowfast_tf.models.presets import get_spec
from slowfast_tf.models.spec import Views


def test_views_are_fused_like_the_models():
    spec = get_spec("slowfast_8x8_r50", views=Views(10, 3, to_the_end=True, fuse="max"))
    assert with_views(spec, "4x1").views == Views(4, 1, to_the_end=True, fuse="max")
    assert with_views(spec, None) == with_views(spec, SLIDING) == spec
    assert with_views(get_spec("slowfast_8x8_r50_ava"), None).views == Views(1, 0)


@pytest.mark.parametrize(
    "changes, views, message",
    [
        ({}, "10", "views are middle or KxC"),
        ({"frame_index": "segments", "views": Views(1, 1)}, "2x1", "it has one clip"),
        ({"head": "roi"}, "10x3", "a detection network has one view, the whole frames around a key frame"),
        ({"fast_input": "half"}, "1xwhole", "fast_input half do not align with those of the Slow pathway"),
    ],
)
def test_views_that_the_network_cannot_have(changes, views, message):
    with pytest.raises(InputError, match=message) as error:
        with_views(get_spec("slowfast_8x8_r50", **changes), views)
    assert error.value.argument == "views"
