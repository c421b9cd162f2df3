"""What a spec says of itself."""

import pytest

from slowfast_tf.models.presets import get_spec


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
def test_optical_flow_is_no_video(preset, fast_input, takes_video):
    assert get_spec(preset, fast_input=fast_input).takes_video is takes_video
