"""Sources of clips: video files and directories of images, or records."""

from .base import Source
from .files import Files
from .records import Records

__all__ = ["Files", "Records", "Source"]
