"""Published weights: `read_checkpoint` and `build_model` for a file, `from_pretrained` for a name in the zoo."""

from .imagenet import inflate_imagenet
from .loading import Checkpoint, build_model, read_checkpoint
from .published import MODELS, published_name
from .variables import variables
from .zoo import from_pretrained

__all__ = [
    "MODELS",
    "Checkpoint",
    "build_model",
    "from_pretrained",
    "inflate_imagenet",
    "published_name",
    "read_checkpoint",
    "variables",
]
