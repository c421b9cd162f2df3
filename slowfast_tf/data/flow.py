"""Compute and decode optical flow, an input of the Fast pathway (Table 5c) that records store as JPEG images."""

import numpy as np
import tensorflow as tf

from . import transforms

LIMIT = 20.0  # pixels: largest displacement
_STEP = LIMIT / 127


def compute(previous: np.ndarray | None, gray: np.ndarray, quality: int) -> bytes:
    """Compute the optical flow from one frame to the next, as a JPEG image.

    The algorithm is OpenCV's dense inverse search (Kroeger et al., arXiv 1603.03590), preset medium. As in two-stream
    networks (Wang et al., arXiv 1608.00859; Carreira and Zisserman, arXiv 1705.07750), displacements are clipped to 20
    pixels and quantized to 8 bits.

    Args:
        previous: gray scale of the previous frame, uint8 `[H, W]`; None for the first frame, whose flow is zero.
        gray: gray scale of the frame, uint8 `[H, W]`.
        quality: quality of the JPEG image, 1 to 100.

    Returns:
        A JPEG image. Red is the displacement to the right, green the displacement downwards; 128 is zero. Blue is 128.
    """
    import cv2
    import simplejpeg

    cv2.setNumThreads(1)  # videos are prepared in parallel, so more threads per video would only compete
    image = np.full((*gray.shape, 3), 128, np.uint8)
    # The coarsest scale of the search needs a few patches of 8 pixels.
    if previous is not None and min(gray.shape) >= 16:
        frames = np.ascontiguousarray(previous), np.ascontiguousarray(gray)
        search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)  # pyright: ignore[reportAttributeAccessIssue]
        flow = search.calc(*frames, None)
        image[..., :2] = np.round(np.clip(flow, -LIMIT, LIMIT) / _STEP + 128)
    # Without chroma subsampling, which would blur the displacements.
    return simplejpeg.encode_jpeg(image, quality, "RGB", "444")


def decode(images: tf.Tensor) -> tf.Tensor:
    """Decode images of `compute` to displacements.

    Args:
        images: JPEG images of one size, string `[N]`.

    Returns:
        float32 `[N, H, W, 2]`: displacements from the previous frame, to the right and downwards, in pixels.
    """
    return displacements(tf.map_fn(transforms.decode, images, fn_output_signature=tf.uint8))


def displacements(pixels: tf.Tensor) -> tf.Tensor:
    """Return the displacements of decoded images of `compute`.

    Args:
        pixels: uint8 `[..., 3]`.

    Returns:
        float32 `[..., 2]`, in pixels.
    """
    return (tf.cast(pixels[..., :2], tf.float32) - 128.0) * _STEP  # pyright: ignore[reportArgumentType]
