"""Specifications and their derived values."""

import dataclasses
import json

import pytest

from slowfast_tf.models.presets import get_spec
from slowfast_tf.models.spec import SlowFastSpec, saved_spec
from slowfast_tf.models.views import Views


@pytest.mark.parametrize(
    "preset, fast_input, takes_video",
    [
        ("slowfast_4x16_r50", "rgb", True),
        ("slowfast_4x16_r50", "difference", True),
        ("slowfast_4x16_r50", "flow", False),
        ("fast_4x16_r50", "flow", False),
        ("slow_4x16_r50", "flow", True),  # there is no Fast pathway that would see it
    ],
)
def test_optical_flow_is_not_a_video(preset, fast_input, takes_video):
    assert get_spec(preset, fast_input=fast_input).takes_video is takes_video


def test_slow_frames_of_a_clip():
    """As paper.md has them from the two codebases."""
    assert get_spec("slowfast_8x8_r50").slow_index == (0, 4, 8, 12, 16, 20, 24, 28)
    assert get_spec("slowfast_8x8_r50", frame_index="linspace").slow_index == (0, 4, 8, 13, 17, 22, 26, 31)
    assert get_spec("slowfast_4x16_r50", frame_index="linspace").slow_index == (0, 10, 20, 31)
    assert get_spec("slow_8x8_r50", frame_index="linspace").slow_index == tuple(range(8))


def test_views_by_name():
    views = Views(10, 3, to_the_end=True, fuse="max")
    assert views.parse("middle") == Views(1, 1, to_the_end=True, fuse="max")
    assert views.parse("4x2") == Views(4, 2, to_the_end=True, fuse="max")
    assert views.parse("2xwhole").crops == 0 and str(views.parse("2xwhole")) == "2xwhole" and str(views) == "10x3"
    for text in ("", "10", "0x3", "10x0", "x3", "10x3x1", "sliding", "10 x 3"):
        with pytest.raises(ValueError, match="views are middle or KxC"):
            views.parse(text)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"clips": 0}, "clips must be a whole number from 1 to 9999; got 0"),
        ({"crops": -1}, "crops must be a whole number from 0 to 999"),
        ({"crops": 1.5}, "crops must be a whole number"),
        ({"fuse": "sum"}, "fuse must be mean or max; got 'sum'"),
    ],
)
def test_invalid_views(changes, message):
    with pytest.raises(ValueError, match=message):
        Views(**changes)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"frame_rate": 0}, "frame_rate must be from 0.0001 to 10000.0, or null"),
        ({"frame_rate": "30"}, "frame_rate must be from 0.0001 to 10000.0, or null"),
        ({"frame_rate": True}, "frame_rate must be from 0.0001 to 10000.0, or null"),
        ({"frame_rate": float("nan")}, "frame_rate must be from 0.0001 to 10000.0, or null"),
        ({"mean": [0.1, "a", 0.3]}, r"mean and std take 3 numbers, .*; got \(0.1, 'a', 0.3\)"),
        ({"mean": [0.1, True, 0.3]}, "mean and std take 3 numbers"),
        ({"std": [0.1, float("inf"), 0.3]}, "mean and std take 3 numbers"),
        ({"std": [0.1, 0, 0.3]}, "mean and std take 3 numbers"),
        ({"fast_input": "half", "views": Views(1, 0)}, "fast_input half .* test.crops 0"),
        ({"person_score": 1.5}, "person_score must be from 0 to 1; got 1.5"),
        ({"frame_index": "random"}, "frame_index must be one of strided, linspace, segments"),
        ({"frame_index": "segments"}, "it has one clip"),
    ],
)
def test_invalid_protocols(changes, message):
    with pytest.raises(ValueError, match=message):
        get_spec("slowfast_8x8_r50", **changes)


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(SlowFastSpec)])
def test_a_value_of_a_wrong_type_is_a_value_error(field):
    for value in (object(), [object()]):
        with pytest.raises(ValueError, match=field.split("_")[0] + "|kernel size"):
            SlowFastSpec(**{field: value})


def test_wrong_places_of_nonlocal_blocks():
    with pytest.raises(ValueError, match="nonlocal_blocks takes 4 lists"):
        SlowFastSpec(nonlocal_kind="softmax", nonlocal_blocks=(1, 2, 3, 4))


def test_whole_frames_fit_other_networks():
    assert get_spec("slow_8x8_r50", fast_input="half", views=Views(1, 0)).views.crops == 0
    assert get_spec("slowfast_8x8_r50", fast_input="half").views.crops == 3
    assert get_spec("slowfast_8x8_r50_ava", fast_input="half").views.crops == 0  # its head takes boxes


def test_a_spec_survives_json():
    spec = get_spec("slowfast_8x8_r50", frame_rate=29.97, views=Views(2, 0, True, "max"), labels=("a",), num_classes=1)
    assert saved_spec(json.loads(json.dumps(spec.as_dict()))) == (spec, ())


def test_a_detection_network_has_one_view():
    assert get_spec("slowfast_8x8_r50_ava", views=Views(10, 3)).views == Views(1, 0)
