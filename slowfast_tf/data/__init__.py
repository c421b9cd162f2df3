"""From video files to batches."""

from .pipeline import Clips, load

__all__ = ["Clips", "load"]
