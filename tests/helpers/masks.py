"""How much two masks differ."""

import numpy as np


def difference(first: np.ndarray, second: np.ndarray) -> float:
    """Return the differing part of two masks, from 0 to 1, at the shift of best agreement (a hand shakes)."""
    shares = []
    for dy in range(-4, 5):
        for dx in range(-4, 5):
            moved = np.roll(second, (dy, dx), (0, 1))
            shares.append((first != moved).sum() / max((first | moved).sum(), 1))
    return min(shares)
