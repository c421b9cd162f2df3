"""Optical flow as an input of the Fast pathway (Table 5c), computed once and stored as images."""

import numpy as np
import tensorflow as tf

from . import transforms

LIMIT = 20.0  # pixels
_STEP = LIMIT / 127


def compute(previous, gray, quality):
    """The flow from one frame to the next, as an image.

    Dense inverse search (Kroeger et al., arXiv 1603.03590) of OpenCV, preset medium. As in the two-stream networks
    (Wang et al., arXiv 1608.00859; Carreira and Zisserman, arXiv 1705.07750) displacements are cut off at 20
    pixels and brought to 8 bits, so that an image's compression takes them.

    Args:
        previous: gray scale of the frame before, uint8 `[H, W]`; None: there is none, and the flow is zero.
        gray: gray scale of the frame, uint8 `[H, W]`.
        quality: of the JPEG image, 1 to 100.

    Returns:
        A JPEG image: red is the displacement to the right, green downwards, 128 is none; blue is 128.
    """
    import cv2
    import simplejpeg

    cv2.setNumThreads(1)  # videos are prepared side by side; threads within one would only compete
    image = np.full((*gray.shape, 3), 128, np.uint8)
    # Its coarsest scale needs a few patches of 8 pixels.
    if previous is not None and min(gray.shape) >= 16:
        frames = np.ascontiguousarray(previous), np.ascontiguousarray(gray)
        search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)  # pyright: ignore[reportAttributeAccessIssue]
        flow = search.calc(*frames, None)
        image[..., :2] = np.round(np.clip(flow, -LIMIT, LIMIT) / _STEP + 128)
    # Without subsampling of chroma, which the displacements would be.
    return simplejpeg.encode_jpeg(image, quality, "RGB", "444")


def decode(images):
    """Images that `compute` made, as displacements.

    Args:
        images: JPEG images of one size, string `[N]`.

    Returns:
        float32 `[N, H, W, 2]`: pixels to the right and downwards, from the frame before.
    """
    return displacements(tf.map_fn(transforms.decode, images, fn_output_signature=tf.uint8))


def displacements(pixels):
    """As `decode`, of decoded images, uint8 `[..., 3]`."""
    return (tf.cast(pixels[..., :2], tf.float32) - 128.0) * _STEP
