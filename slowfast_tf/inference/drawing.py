"""Draw text, boxes and heat maps on frames."""

import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..data import transforms

PANEL_SIDE = 320  # pixels: shorter side of a picture with a heat map

Color = tuple[int, int, int]  # red, green and blue, 0 to 255


class Canvas(NamedTuple):
    """An image to draw on.

    Attributes:
        picture: the PIL image.
        draw: its `PIL.ImageDraw.ImageDraw`.
        font: a PIL font that fits the size of the image.
        line: a line width, in pixels, that fits the size of the image.
    """

    picture: Any
    draw: Any
    font: Any
    line: int

    def measure(self, texts: Sequence[str]) -> tuple[float, float]:
        """Return the width and height in pixels of the text that `words` draws."""
        wide = max(self.draw.textlength(text, font=self.font) for text in texts) + 4 * self.line
        return wide, (self.font.size + 2 * self.line) * len(texts) + 2 * self.line

    def words(self, texts: Sequence[str], corner: tuple[float, float], color: Color = (255, 255, 255)) -> None:
        """Draw lines of text, white on dark, with a colored stripe at their left.

        Args:
            texts: the lines.
            corner: left and top of the text block, in pixels.
            color: color of the stripe.
        """
        left, top = corner
        wide, tall = self.measure(texts)
        self.draw.rectangle([left, top, left + wide, top + tall], fill=(0, 0, 0, 200))
        self.draw.rectangle([left, top, left + self.line, top + tall], fill=color)
        for i, text in enumerate(texts):
            place = left + 3 * self.line, top + self.line + i * (self.font.size + 2 * self.line)
            self.draw.text(place, text, fill=(255, 255, 255), font=self.font)

    def box(self, corners: Sequence[float], color: Color) -> None:
        """Draw the outline of a box: x1, y1, x2, y2 in pixels."""
        x1, y1, x2, y2 = corners
        self.draw.rectangle([x1, y1, max(x2 - 1, x1), max(y2 - 1, y1)], outline=color, width=2 * self.line)

    def image(self) -> np.ndarray:
        """Return the image, uint8 `[H, W, 3]`."""
        return np.asarray(self.picture)


def canvas(image: np.ndarray) -> Canvas:
    """Return a `Canvas` with a copy of an image, uint8 `[H, W, 3]`.

    Example:
        >>> drawn = canvas(np.zeros([256, 340, 3], np.uint8))
        >>> drawn.words(["0.93 surfing water"], (2, 2))
        >>> drawn.image().shape
        (256, 340, 3)
    """
    import matplotlib
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.fromarray(image)
    size = min(picture.size)
    path = pathlib.Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    font = ImageFont.truetype(path, max(10, round(size / 28)))
    return Canvas(picture, ImageDraw.Draw(picture, "RGBA"), font, max(1, round(size / 200)))


def titled(image: np.ndarray, texts: Sequence[str]) -> np.ndarray:
    """Return an image, uint8 `[H, W, 3]`, with lines of text at its top left.

    Example:
        >>> titled(np.zeros([64, 96, 3], np.uint8), ["surfing water"]).shape
        (64, 96, 3)
    """
    drawn = canvas(image)
    drawn.words(texts, (drawn.line, drawn.line))
    return drawn.image()


def resized(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return an image, uint8 `[H, W, 3]`, with another height and width in pixels (bilinear).

    Example:
        >>> resized(np.zeros([64, 96, 3], np.uint8), 32, 48).shape
        (32, 48, 3)
    """
    from PIL import Image

    return np.asarray(Image.fromarray(np.ascontiguousarray(image)).resize((width, height), Image.Resampling.BILINEAR))


def overlay(image: np.ndarray, heat: np.ndarray, crop_size: int) -> np.ndarray:
    """Draw a heat map over the middle crop of an image, and darken the area outside the crop.

    Args:
        image: uint8 `[H, W, 3]`.
        heat: float `[h, w]`, 0 to 1; it covers the middle crop.
        crop_size: crop size of the network, in pixels.

    Returns:
        uint8 `[H', W', 3]`, with a shorter side of 320 pixels.

    Example:
        >>> overlay(np.zeros([240, 320, 3], np.uint8), np.zeros([8, 8]), 256).shape
        (320, 427, 3)
    """
    import matplotlib
    from PIL import Image

    height, width = image.shape[:2]
    scale = PANEL_SIDE / min(height, width)
    pixels = resized(image, round(height * scale), round(width * scale)).astype(np.float32)
    # The middle crop of `transforms.test_crops`, in pixels of the resized image.
    shape = transforms.resized_shape([height, width], crop_size).numpy()
    top, left = np.round(np.ceil((shape - crop_size) / 2) / shape * pixels.shape[:2]).astype(int)
    seen = pixels[top : top + PANEL_SIDE, left : left + PANEL_SIDE]
    size = seen.shape[1], seen.shape[0]
    heat = np.asarray(Image.fromarray(np.asarray(heat, np.float32)).resize(size, Image.Resampling.BICUBIC))
    heat = np.clip(heat, 0, 1)
    # A lookup table is several times as fast as calling the color map for each pixel.
    table = (255 * matplotlib.colormaps["turbo"](np.arange(256))[:, :3]).astype(np.float32)
    share = 0.65 * heat[..., None]
    shown = pixels * np.float32(0.35)
    colors = table[(255 * heat).astype(np.uint8)]
    shown[top : top + PANEL_SIDE, left : left + PANEL_SIDE] = seen + (colors - seen) * share
    return (shown + 0.5).astype(np.uint8)
