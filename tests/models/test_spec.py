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


def test_slow_frames_of_a_clip():
    """As paper.md has them from the two codebases."""
    assert get_spec("slowfast_8x8_r50").slow_index == (0, 4, 8, 12, 16, 20, 24, 28)
    assert get_spec("slowfast_8x8_r50", frame_index="linspace").slow_index == (0, 4, 8, 13, 17, 22, 26, 31)
    assert get_spec("slowfast_4x16_r50", frame_index="linspace").slow_index == (0, 10, 20, 31)
    assert get_spec("slow_8x8_r50", frame_index="linspace").slow_index == tuple(range(8))
