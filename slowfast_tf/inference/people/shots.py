"""Cuts of a film, from small pictures of its frames."""

import numpy as np

SIZE = 32, 18  # pixels
CUT_COLORS, CUT_LIGHT = 0.7, 0.5  # below both, two frames are of different shots
SAME = 0.8  # above it in both, two shots are of the same view


def thumbnail(image: np.ndarray) -> np.ndarray:
    """Return a frame, uint8 `[H, W, 3]`, as 32 x 18 pixels, uint8 `[18, 32, 3]`."""
    from PIL import Image

    return np.asarray(Image.fromarray(image).resize(SIZE, Image.Resampling.BOX))


def is_cut(before: np.ndarray, after: np.ndarray) -> bool:
    """Return whether there is a cut between two frames, given by their thumbnails.

    A cut changes the colors and where the light is. A fast pan of the camera changes only the second.

    Example:
        >>> is_cut(thumbnail(street), thumbnail(kitchen))
        True
    """
    colors, light = _similarity(before, after)
    return colors < CUT_COLORS and light < CUT_LIGHT


def is_same_view(picture: np.ndarray, other: np.ndarray) -> bool:
    """Return whether two frames are of the same view, as before and after a shot of something else."""
    return min(_similarity(picture, other)) > SAME


def _similarity(picture: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Return the intersection of two color histograms, 0 to 1, and the correlation of two gray pictures, -1 to 1."""
    histograms = [np.bincount((x.reshape(-1, 3) // 64) @ [16, 4, 1], minlength=64) for x in (picture, other)]
    gray = [x.mean(-1).ravel() - x.mean() for x in (picture, other)]
    scale = np.sqrt((gray[0] ** 2).sum() * (gray[1] ** 2).sum())
    light = float(gray[0] @ gray[1] / scale) if scale else 1.0  # a single color: only the histograms tell
    return float(np.minimum(*histograms).sum() / histograms[0].sum()), light
