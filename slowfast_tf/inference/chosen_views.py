"""Test views that a user chooses in place of the model's own. Needs no TensorFlow."""

import dataclasses

from ..errors import InputError
from ..models.spec import SlowFastSpec

SLIDING = "sliding"


def with_views(spec: SlowFastSpec, views: str | None) -> SlowFastSpec:
    """Return a spec with other test views.

    Args:
        spec: spec of the network.
        views: "middle" for one clip and crop, "KxC" for K clips and C crops. None and "sliding" (windows over the whole
            video) keep the model's own views.

    Raises:
        InputError: if `views` has another form or does not fit the network, or for a detection network.

    Example:
        >>> with_views(get_spec("slowfast_8x8_r50"), "4x1").views.clips
        4
    """
    if views in (None, SLIDING):
        return spec
    if spec.head == "roi":
        raise InputError("a detection network has one view, the whole frames around a key frame", argument="views")
    try:
        return dataclasses.replace(spec, views=spec.views.parse(views))
    except ValueError as error:
        raise InputError(f"{error}", argument="views") from error
