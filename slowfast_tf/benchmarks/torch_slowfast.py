"""SlowFast in PyTorch with PySlowFast's parameter names: an independent reference for tests and benchmarks.

It follows Table 1 of the paper and PySlowFast's parameter names, and shares no code with the rest of `slowfast_tf`.
"""

import torch
from torch import nn

BLOCKS = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
KERNELS = ((1, 1, 1, 3, 3), (5, 3, 3, 3, 3))  # temporal kernel sizes of conv1 and res2 to res5: Slow, Fast


def conv(
    inputs: int, outputs: int, kernel: tuple[int, int, int], stride: tuple[int, int, int] = (1, 1, 1)
) -> nn.Conv3d:
    """Return a convolution without bias, with "same" padding and He initialization."""
    layer = nn.Conv3d(inputs, outputs, kernel, stride, (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2), bias=False)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return layer


def norm(channels: int, gamma: float = 1.0) -> nn.BatchNorm3d:
    """Return a BatchNorm whose scale starts at `gamma`."""
    layer = nn.BatchNorm3d(channels, eps=1e-5, momentum=0.1)
    nn.init.constant_(layer.weight, gamma)
    return layer


class Stem(nn.Module):
    def __init__(self, inputs, outputs, time):
        super().__init__()
        self.conv = conv(inputs, outputs, (time, 7, 7), (1, 2, 2))
        self.bn = norm(outputs)
        self.pool = nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.pool(torch.relu(self.bn(self.conv(x))))


class Bottleneck(nn.Module):
    def __init__(self, inputs, inner, outputs, time, stride):
        super().__init__()
        self.a = conv(inputs, inner, (time, 1, 1))
        self.a_bn = norm(inner)
        self.b = conv(inner, inner, (1, 3, 3), (1, stride, stride))
        self.b_bn = norm(inner)
        self.c = conv(inner, outputs, (1, 1, 1))
        self.c_bn = norm(outputs, gamma=0.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.a_bn(self.a(x)))
        x = torch.relu(self.b_bn(self.b(x)))
        return self.c_bn(self.c(x))


class Block(nn.Module):
    def __init__(self, inputs, inner, outputs, time, stride):
        super().__init__()
        self.shortcut = inputs != outputs or stride > 1
        if self.shortcut:
            self.branch1 = conv(inputs, outputs, (1, 1, 1), (1, stride, stride))
            self.branch1_bn = norm(outputs)
        self.branch2 = Bottleneck(inputs, inner, outputs, time, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shortcut = self.branch1_bn(self.branch1(x)) if self.shortcut else x
        return torch.relu(shortcut + self.branch2(x))


class Lateral(nn.Module):
    def __init__(self, channels, kernel, alpha):
        super().__init__()
        self.conv_f2s = conv(channels, 2 * channels, (kernel, 1, 1), (alpha, 1, 1))
        self.bn = norm(2 * channels)

    def forward(self, slow: torch.Tensor, fast: torch.Tensor) -> torch.Tensor:
        return torch.cat([slow, torch.relu(self.bn(self.conv_f2s(fast)))], 1)


class Head(nn.Module):
    def __init__(self, channels, classes, dropout):
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.projection = nn.Linear(channels, classes)
        nn.init.normal_(self.projection.weight, std=0.01)
        nn.init.zeros_(self.projection.bias)

    def forward(self, features: list[torch.Tensor]) -> torch.Tensor:
        x = torch.cat([x.mean([2, 3, 4]) for x in features], 1)
        return self.projection(self.dropout(x))


class SlowFast(nn.Module):
    """SlowFast, or Slow-only if `beta_inv` is None.

    The first `res4_temporal_blocks` blocks of res4 have the temporal kernel size of res4, the other blocks 1. With 0,
    all blocks have it.

    Inputs: float32 `[B, 3, T, S, S]` for the Slow pathway and `[B, 3, alpha * T, S, S]` for the Fast pathway.
    Output: logits `[B, classes]`.
    """

    def __init__(
        self,
        depth: int = 50,
        width: int = 64,
        alpha: int = 4,
        beta_inv: int | None = 8,
        lateral_kernel: int = 7,
        classes: int = 400,
        dropout: float = 0.5,
        res4_temporal_blocks: int = 0,
    ):
        super().__init__()
        shares = [1] if beta_inv is None else [1, beta_inv]
        self.blocks = BLOCKS[depth]
        pathways = range(len(shares))
        self.s1 = nn.Module()
        channels = [int(width / share + 0.5) for share in shares]
        for p in pathways:
            self.s1.add_module(f"pathway{p}_stem", Stem(3, channels[p], KERNELS[p][0]))
        for stage in (2, 3, 4, 5):
            if beta_inv is not None:
                self.add_module(f"s{stage - 1}_fuse", Lateral(channels[1], lateral_kernel, alpha))
                channels[0] += 2 * channels[1]
            blocks = nn.Module()
            for p in pathways:
                inner = int(width * 2 ** (stage - 2) / shares[p] + 0.5)
                for i in range(self.blocks[stage - 2]):
                    stride = 2 if stage > 2 and i == 0 else 1
                    temporal = stage != 4 or not res4_temporal_blocks or i < res4_temporal_blocks
                    block = Block(channels[p], inner, 4 * inner, KERNELS[p][stage - 1] if temporal else 1, stride)
                    blocks.add_module(f"pathway{p}_res{i}", block)
                    channels[p] = 4 * inner
            self.add_module(f"s{stage}", blocks)
        self.head = Head(sum(channels), classes, dropout)

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        x = [getattr(self.s1, f"pathway{p}_stem")(x) for p, x in enumerate(inputs)]
        for stage in (2, 3, 4, 5):
            if len(x) == 2:
                x[0] = getattr(self, f"s{stage - 1}_fuse")(*x)
            for p in range(len(x)):
                for i in range(self.blocks[stage - 2]):
                    x[p] = getattr(getattr(self, f"s{stage}"), f"pathway{p}_res{i}")(x[p])
        return self.head(x)
