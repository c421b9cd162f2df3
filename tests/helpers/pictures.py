"""Frames whose colors are the numbers of their video and of their frame."""

import numpy as np

CLASSES = ("ant", "bee", "cat", "dog")
SIZES = ((40, 48), (48, 40), (36, 64))


def picture(number, time, height=40, width=48):
    """A frame: red is the number of the video, green the number of the frame, and blue the column."""
    image = np.empty((height, width, 3), np.uint8)
    image[..., 0] = 20 + 15 * number
    image[..., 1] = 20 + 4 * time
    image[..., 2] = 20 + 3 * np.arange(width)
    return image


def told(frames):
    """Return the video and frame numbers, int `[...]`, that `picture` encoded, from the network's input."""
    means = (np.asarray(frames)[..., :2].mean((-3, -2)) * 0.225 + 0.45) * 255 - 20
    return np.round(means[..., 0] / 15).astype(int), np.round(means[..., 1] / 4).astype(int)
