"""From frames to scores."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .clip import read_clip
    from .predictor import Predictor
    from .views import score_video

__all__ = ["Predictor", "read_clip", "score_video"]


def __getattr__(name: str):
    # Loaded on use: they need TensorFlow, and a command checks its options before it imports TensorFlow.
    if name == "Predictor":
        from .predictor import Predictor

        return Predictor
    if name == "score_video":
        from .views import score_video

        return score_video
    if name == "read_clip":
        from .clip import read_clip

        return read_clip
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
