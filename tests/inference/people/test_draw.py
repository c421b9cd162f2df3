"""People drawn on frames."""

import numpy as np
import pytest

from slowfast_tf.inference.people import Person
from slowfast_tf.inference.people.draw import draw


@pytest.mark.parametrize("height, width", [(256, 340), (1080, 1920), (60, 40)])
def test_words_are_readable(height, width):
    """Words are white on dark, their height follows the picture's, and all other pixels stay."""
    image = np.full((height, width, 3), 128, np.uint8)
    person = Person(0, (0.4, 0.5, 0.6, 0.9), track=3, actions=np.array([0.871, 0.5]))
    drawn = draw(image, [person], ["talk to (e.g., a person)", "sit"])
    white = (drawn == 255).all(-1)
    rows = np.flatnonzero(white.any(1))
    assert len(rows) and np.ptp(rows) >= max(14, min(height, width) / 25)
    assert (drawn[:, : width // 3][: height // 4] == 128).all() or height == 60
    assert (image == 128).all()
    many = [Person(0, (0, 0, 1, 1), track=i, actions=np.array([0.1])) for i in range(20)]
    assert draw(image, many, ["a"]).shape == image.shape
