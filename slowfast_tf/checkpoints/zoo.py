"""Load published models by name: download them, and keep a converted copy in Keras' cache directory."""

import contextlib
import pathlib
from typing import TYPE_CHECKING

from ..errors import InputError
from ..files.atomic import atomic
from ..files.cache import cache_directory
from .download import download
from .loading import build_model, read_checkpoint
from .published import MODELS, published_name

if TYPE_CHECKING:
    from ..models.slowfast import SlowFast


def from_pretrained(name: str) -> "SlowFast":
    """Return a published model by name, downloaded and converted on first use.

    Files are kept in the `slowfast_tf` folder of Keras' cache directory (`$KERAS_HOME`, or `~/.keras`). An
    interrupted download is resumed. The published file is converted again if the converted copy is damaged, or if an
    earlier version wrote the copy without the full protocol.

    Args:
        name: a name that `python -m slowfast_tf.describe` lists, such as "slowfast_8x8_r50_k400_pyslowfast". A name
            without publisher, such as "slowfast_8x8_r50_k400", means the recommended file.

    Returns:
        A `SlowFast` with the published weights, protocol and class names.

    Raises:
        InputError: if the name is unknown, if the download fails, or if the file differs from the published file.

    Example:
        >>> model = slowfast_tf.from_pretrained("slowfast_8x8_r50_k400")  # doctest: +SKIP
    """
    name = published_name(name)
    known = MODELS[name]
    converted = converted_copy(name)
    if converted.exists():
        from ..models.slowfast import load_model

        with contextlib.suppress(InputError):  # a damaged copy is converted again
            model = load_model(converted)
            if not model.unstated:
                return model
    published = converted.with_suffix(pathlib.PurePosixPath(known.address).suffix)
    download(known.address, published)
    try:
        model = build_model(read_checkpoint(published, **known.fields))
    except InputError as error:
        if isinstance(error.__cause__, ImportError):  # PyTorch is missing
            raise
        raise InputError(f"{error}; remove the file and run again") from error
    with atomic(converted) as temporary:
        model.save(temporary)
    return model


def converted_copy(name: str) -> pathlib.Path:
    """Return the path of the converted copy of a network in the cache, given its key in `MODELS`.

    Example:
        >>> converted_copy("slowfast_8x8_r50_k400_pyslowfast").name
        'slowfast_8x8_r50_k400_pyslowfast.keras'
    """
    return cache_directory() / f"{name}.keras"
