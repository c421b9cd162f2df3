"""Detect cuts between shots from thumbnails of the frames."""

import numpy as np

SIZE = 32, 18  # pixels
CUT_COLORS, CUT_LIGHT = 0.7, 0.5  # if both similarities are lower, two frames are of different shots
SAME = 0.8  # if both similarities are higher, two shots are of the same view


def thumbnail(image: np.ndarray) -> np.ndarray:
    """Downscale a frame, uint8 `[H, W, 3]`, to 32 x 18 pixels, uint8 `[18, 32, 3]`."""
    from PIL import Image

    return np.asarray(Image.fromarray(image).resize(SIZE, Image.Resampling.BOX))


def is_cut(before: np.ndarray, after: np.ndarray) -> bool:
    """Return whether there is a cut between two frames, given by their thumbnails.

    A cut changes both the colors and the spatial layout of brightness. A fast camera pan changes only the layout.

    Example:
        >>> is_cut(thumbnail(street), thumbnail(kitchen))
        True
    """
    colors, light = _similarity(before, after)
    return colors < CUT_COLORS and light < CUT_LIGHT


def is_same_view(picture: np.ndarray, other: np.ndarray) -> bool:
    """Return whether two frames, given by their thumbnails, show the same view, as before and after another shot."""
    return min(_similarity(picture, other)) > SAME


def _similarity(picture: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Return the intersection of two color histograms, 0 to 1, and the correlation of two gray pictures, -1 to 1."""
    histograms = [np.bincount((x.reshape(-1, 3) // 64) @ [16, 4, 1], minlength=64) for x in (picture, other)]
    gray = [x.mean(-1).ravel() - x.mean() for x in (picture, other)]
    scale = np.sqrt((gray[0] ** 2).sum() * (gray[1] ** 2).sum())
    light = float(gray[0] @ gray[1] / scale) if scale else 1.0  # a single color has no layout to compare
    return float(np.minimum(*histograms).sum() / histograms[0].sum()), light
