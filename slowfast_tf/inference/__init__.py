"""From frames to scores."""

from .predictor import Predictor

__all__ = ["Predictor"]
