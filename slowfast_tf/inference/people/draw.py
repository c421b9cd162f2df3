"""Draw people on a frame: boxes, actions and scores."""

import colorsys
from collections.abc import Sequence

import numpy as np

from ..drawing import canvas
from ..labels import best_classes
from .person import Person


def draw(image: np.ndarray, people: Sequence[Person], labels: Sequence[str], lines: int = 3) -> np.ndarray:
    """Draw boxes, track numbers, the best actions and their scores, in a color for each track.

    Args:
        image: uint8 `[H, W, 3]`; it is not changed.
        people: the people to draw.
        labels: a name for each class.
        lines: number of actions to draw for each person.

    Returns:
        uint8 `[H, W, 3]`; `image` itself if there are no people.

    Example:
        >>> draw(frame, [Person(0.5, (0.1, 0.2, 0.3, 0.9), track=0, actions=np.array([0.9]))], ["walk"]).shape
        (256, 340, 3)
    """
    if not people:
        return image
    drawn = canvas(image)
    width, height = drawn.picture.size
    colors = [_color(person.track) for person in people]
    places = [np.array(person.corners) * [width, height, width, height] for person in people]
    for color, place in zip(colors, places):
        drawn.box(place.tolist(), color)
    taken = []
    for person, color, (x1, y1, _, _) in zip(people, colors, places):
        best = [] if person.actions is None else best_classes(person.actions, labels, lines)
        texts = [f"#{person.track}", *(f"{score:.2f} {label}" for label, score in best)]
        texts = [" ".join(texts[:2]), *texts[2:]]
        wide, tall = drawn.measure(texts)
        left = min(max(x1, 0), max(width - wide, 0))
        # Place the text above the box if there is room, else inside it, and below the text of other people.
        top = y1 - tall if y1 >= tall else y1 + 2 * drawn.line
        for other in sorted(taken, key=lambda place: place[1]):
            if other[0] < left + wide and left < other[2] and other[1] < top + tall and top < other[3]:
                top = other[3]
        top = min(max(top, 0), max(height - tall, 0))
        taken.append((left, top, left + wide, top + tall))
        drawn.words(texts, (left, top), color)
    return drawn.image()


def _color(track: int) -> tuple[int, int, int]:
    """Return a bright color; steps of the golden angle give successive tracks different hues."""
    red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(track * 0.381966 % 1, 0.85, 1.0))
    return red, green, blue
