"""Limits of a spec's fields. A file that exceeds them is rejected before a network is built."""

from typing import Any

# The limits are far above published networks, which have up to 64 channels, 64 frames of 312 pixels and 710 classes.
MOST = {
    "width": 1024,
    "frames": 1024,
    "stride": 4096,
    "alpha": 1024,
    "beta_inv": 1024,
    "num_classes": 100_000,
    "crop_size": 4096,
    "roi_bins": 64,
    "roi_dilation": 64,
}
MOST_KERNEL = 99
MOST_PIXELS = 2**27  # in a clip: 1.6 GB as float32 RGB
RATES = (1e-4, 1e4)
MEANS, STDS = (-1000, 1000), (1e-4, 1000)


def check_limits(values: Any) -> None:
    """Check that the sizes in a spec are whole numbers within bounds.

    Args:
        values: a `SlowFastSpec`, whose fields may have values of any type.

    Raises:
        ValueError: if a size is out of bounds; the message has the field, its bounds and its value.
    """
    for name, most in MOST.items():
        value = getattr(values, name)
        if type(value) is not int or not 1 <= value <= most:
            raise ValueError(f"{name} must be a whole number from 1 to {most}; got {value!r}")
    for kernel in (*values.slow_kernels, *values.fast_kernels, values.lateral_kernel):
        if type(kernel) is not int or not 1 <= kernel <= MOST_KERNEL or kernel % 2 == 0:
            raise ValueError(f"a kernel size in time must be odd, positive and at most {MOST_KERNEL}; got {kernel!r}")
    pixels = values.clip_frames * values.crop_size**2
    if pixels > MOST_PIXELS:
        raise ValueError(
            f"a clip must have at most {MOST_PIXELS} pixels; {values.clip_frames} frames of crop_size"
            f" {values.crop_size} have {pixels}"
        )


def within(values: Any, bounds: tuple[float, float]) -> bool:
    """Return whether all values are numbers within bounds, both included; False for NaN and for booleans.

    Example:
        >>> within((0.45, 0.45), (0, 1)), within((0.45, float("nan")), (0, 1)), within((True,), (0, 1))
        (True, False, False)
    """
    return all(
        isinstance(value, (int, float)) and not isinstance(value, bool) and bounds[0] <= value <= bounds[1]
        for value in values
    )
