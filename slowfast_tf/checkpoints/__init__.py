"""Weights that others published: `read` and `build` for a file, `from_pretrained` for a name in the zoo."""

from .imagenet import inflate_imagenet
from .loading import Checkpoint, build, read
from .published import MODELS, published_name
from .variables import variables
from .zoo import from_pretrained

__all__ = [
    "MODELS",
    "Checkpoint",
    "build",
    "from_pretrained",
    "inflate_imagenet",
    "published_name",
    "read",
    "variables",
]
