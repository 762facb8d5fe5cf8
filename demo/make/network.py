"""The detector: a thin convolutional backbone, a top-down neck, and one head for each stride.

In training the head gives raw maps. For export, `decode` is part of the graph, so that a runtime
sees one output `[batch, 4 + classes, positions]`: rows centre x, centre y, width, height in input
pixels, then one score in 0..1 for each class. Positions go by stride 8, 16, 32, row by row.
"""

import torch
from torch import nn
from torch.nn import functional

STRIDES = (8, 16, 32)
REACH_LOG_MAX = 4.5  # exp of it, in strides, bounds a box side's distance from its position


class ConvBlock(nn.Sequential):
    """Convolution, batch norm (folded at export), ReLU."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int = 3, stride: int = 1, groups: int = 1):
        super().__init__(
            nn.Conv2d(channels_in, channels_out, kernel, stride, kernel // 2, groups=groups, bias=False),
            nn.BatchNorm2d(channels_out, eps=1e-3, momentum=0.03),
            nn.ReLU(inplace=True))


class SplitBlock(nn.Module):
    """Half of the channels pass through 3x3 convolutions; all stages meet again in a 1x1."""

    def __init__(self, channels: int, depth: int):
        super().__init__()
        self.half = channels // 2
        self.steps = nn.ModuleList(ConvBlock(self.half, self.half) for _ in range(depth))
        self.join = ConvBlock(channels + depth * self.half, channels, kernel=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = [x]
        y = x[:, self.half:]
        for step in self.steps:
            y = step(y)
            parts.append(y)
        return self.join(torch.cat(parts, 1))


class LineDetector(nn.Module):
    """Takes float RGB 0..1 `[batch, 3, height, width]`, sides divisible by 32."""

    def __init__(self, classes: int):
        super().__init__()
        self.classes = classes
        self.stem = nn.Sequential(ConvBlock(3, 8, stride=2), ConvBlock(8, 16, stride=2), SplitBlock(16, 1))
        self.stage8 = nn.Sequential(ConvBlock(16, 40, stride=2), SplitBlock(40, 2))
        self.stage16 = nn.Sequential(ConvBlock(40, 72, stride=2), SplitBlock(72, 2))
        self.stage32 = nn.Sequential(ConvBlock(72, 96, stride=2), SplitBlock(96, 2))
        self.side32 = ConvBlock(96, 56, kernel=1)
        self.side16 = ConvBlock(72, 56, kernel=1)
        self.side8 = ConvBlock(40, 40, kernel=1)
        self.narrow16 = ConvBlock(56, 40, kernel=1)
        self.smooth16 = ConvBlock(56, 56)
        self.smooth8 = ConvBlock(40, 32)
        widths = (32, 56, 56)
        self.box_heads = nn.ModuleList(self._head(width, 4) for width in widths)
        self.class_heads = nn.ModuleList(self._head(width, classes) for width in widths)
        for head in self.class_heads:
            nn.init.constant_(head[-1].bias, -4.6)  # a score of 0.01 to begin with: most places are empty
        for head in self.box_heads:
            nn.init.constant_(head[-1].bias, 0.7)

    @staticmethod
    def _head(width: int, outputs: int) -> nn.Sequential:
        return nn.Sequential(ConvBlock(width, width, groups=width), ConvBlock(width, width, kernel=1),
                             nn.Conv2d(width, outputs, 1))

    def maps(self, x: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Per stride: log of the reach to left, top, right, bottom in strides, and class logits."""
        stage8 = self.stage8(self.stem(x))
        stage16 = self.stage16(stage8)
        stage32 = self.side32(self.stage32(stage16))
        wide = self.smooth16(self.side16(stage16) + functional.interpolate(stage32, scale_factor=2.0, mode="nearest"))
        fine = self.smooth8(self.side8(stage8)
                            + functional.interpolate(self.narrow16(wide), scale_factor=2.0, mode="nearest"))
        return [(box(level), score(level))
                for level, box, score in zip((fine, wide, stage32), self.box_heads, self.class_heads)]

    def flat(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Boxes x1, y1, x2, y2 in input pixels `[batch, positions, 4]` and logits."""
        boxes, logits = [], []
        for (reach_log, logit), stride in zip(self.maps(x), STRIDES):
            rows, columns = reach_log.shape[-2:]
            reach = reach_log.clamp(max=REACH_LOG_MAX).exp().flatten(2).transpose(1, 2) * stride
            places = place_centres(rows, columns, stride).to(reach)
            boxes.append(torch.cat([places - reach[..., :2], places + reach[..., 2:]], -1))
            logits.append(logit.flatten(2).transpose(1, 2))
        return torch.cat(boxes, 1), torch.cat(logits, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return decode(self.maps(x))


def place_centres(rows: int, columns: int, stride: int) -> torch.Tensor:
    """Middle of each cell, x and y in input pixels, row by row."""
    ys, xs = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    return (torch.stack([xs, ys], -1).reshape(-1, 2).float() + 0.5) * stride


def decode(maps: list[tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
    """`[batch, 4 + classes, positions]` as described at the top of this file."""
    parts = []
    for (reach_log, logit), stride in zip(maps, STRIDES):
        rows, columns = (int(side) for side in reach_log.shape[-2:])  # plain numbers: constants in the graph
        reach = reach_log.flatten(2).clamp(max=REACH_LOG_MAX).exp() * float(stride)
        places = place_centres(rows, columns, stride).t()[None]
        near, far = reach[:, :2], reach[:, 2:]
        parts.append(torch.cat([places + (far - near) * 0.5, near + far, logit.flatten(2).sigmoid()], 1))
    return torch.cat(parts, 2)
