"""Count multiply-adds and trainable parameters of a network from the shapes in its spec. Needs no TensorFlow.

The count follows the paper: convolutions and the classifier only (of a detection network, for one box). It does not
include the two matrix products of a non-local block, which `nonlocal_products` counts. 16x8 R101 with non-local blocks
has 229.1 G without these products and 242.0 G with them; the paper says 234 G.
"""

import math

from .spec import SlowFastSpec

Sizes = tuple[int, ...]
PARTS = ("slow", "fast", "lateral", "head")


def cost(spec: SlowFastSpec, size: int = 256) -> dict[str, dict[str, int]]:
    """Count multiply-adds and parameters of each part of a network for one clip.

    Args:
        spec: a `SlowFastSpec`.
        size: height and width of the Slow input, in pixels; for a single pathway, of its input.

    Returns:
        `{"slow": {"parameters": ..., "multiply_adds": ...}, "fast": ..., "lateral": ..., "head": ...}`, whole
        numbers. Parameters are trainable parameters, including BatchNorm's two per channel.

    Raises:
        ValueError: if the network cannot take an input of that size.

    Example:
        >>> cost(get_spec("slowfast_8x8_r50"))["lateral"]["parameters"]
        302880
    """
    spec.check_size(size)
    parts = {part: {"parameters": 0, "multiply_adds": 0} for part in PARTS}

    def conv(
        part: str, kernel: Sizes, channels: int, filters: int, shape: Sizes, norm: bool = True, bias: bool = False
    ) -> int:
        """Count a convolution and return its filters; `shape` starts with the output's time, height and width."""
        weights = math.prod(kernel) * channels * filters
        parts[part]["parameters"] += weights + filters * (2 * norm + bias)
        parts[part]["multiply_adds"] += weights * math.prod(shape[:3])
        return filters

    def fuse(channels: int, stage: int) -> int:
        """Count the lateral connection after `stage` and return the Slow pathway's channels after it."""
        if len(spec.pathways) == 1:
            return channels
        fast = spec.feature_shape("fast", stage, size)
        if spec.lateral == "conv":
            kernel, output = (spec.lateral_kernel, 1, 1), (spec.frames, *fast[1:3])
            conv("lateral", kernel, fast[3], 2 * fast[3], output, norm=spec.lateral_norm)
        return channels + spec.lateral_channels(fast[3])

    channels = {}
    for pathway in spec.pathways:
        kernel = (spec.fast_kernels if pathway == "fast" else spec.slow_kernels)[0]
        side = -(-spec.input_size(pathway, size) // 2)
        frames, _, _, width = spec.feature_shape(pathway, 1, size)
        channels[pathway] = conv(pathway, (kernel, 7, 7), spec.input_channels(pathway), width, (frames, side, side))
    for stage in (2, 3, 4, 5):
        if "slow" in channels:
            channels["slow"] = fuse(channels["slow"], stage - 1)
        for pathway in spec.pathways:
            inner, shape = spec.pathway_width(pathway, stage), spec.feature_shape(pathway, stage, size)
            before = spec.feature_shape(pathway, stage - 1, size)  # the size of the first convolution's output
            for i, kernel in enumerate(spec.temporal_kernels(pathway, stage)):
                conv(pathway, (kernel, 1, 1), channels[pathway], inner, before if i == 0 else shape)
                conv(pathway, (1, 3, 3), inner, inner, shape)
                conv(pathway, (1, 1, 1), inner, shape[3], shape)
                if channels[pathway] != shape[3] or (i == 0 and spec.stage_stride(stage) > 1):
                    conv(pathway, (1, 1, 1), channels[pathway], shape[3], shape)  # the shortcut
                channels[pathway] = shape[3]
            for _ in spec.nonlocal_places(pathway, stage):
                keys = shape if spec.nonlocal_pool_last else _pooled(spec, shape)
                half = shape[3] // 2
                for output in (shape, keys, keys):
                    conv(pathway, (1, 1, 1), shape[3], half, output, norm=False, bias=True)
                conv(pathway, (1, 1, 1), half, shape[3], shape)
    features = sum(channels.values()) * (2 if spec.head == "roi" and spec.roi_context else 1)
    if spec.head == "roi" and spec.roi_hidden:
        conv("head", (), features, features, (), norm=False, bias=True)
    conv("head", (), features, spec.num_classes, (), norm=False, bias=True)
    return parts


def total(spec: SlowFastSpec, size: int = 256) -> dict[str, int]:
    """Return `cost` summed over the parts: `{"parameters": ..., "multiply_adds": ...}`."""
    parts = cost(spec, size).values()
    return {key: sum(part[key] for part in parts) for key in ("parameters", "multiply_adds")}


def nonlocal_products(spec: SlowFastSpec, size: int = 256) -> int:
    """Count multiply-adds of the two matrix products of every non-local block, which `cost` does not include."""
    products = 0
    for stage in (2, 3, 4, 5):
        shape = spec.feature_shape("slow", stage, size)
        queries, keys, channels = math.prod(shape[:3]), math.prod(_pooled(spec, shape)), shape[3]
        products += len(spec.nonlocal_places("slow", stage)) * 2 * queries * keys * (channels // 2)
    return products


def _pooled(spec: SlowFastSpec, shape: Sizes) -> Sizes:
    """Return time, height and width of a non-local block's keys."""
    return tuple(n // pool for n, pool in zip(shape, spec.nonlocal_pool))
