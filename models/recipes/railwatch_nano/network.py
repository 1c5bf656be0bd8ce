"""The network YOLOX-Nano, with batch norm folded into the convolutions, as the published ONNX file has it.

Ge et al. 2021, "YOLOX: Exceeding YOLO Series in 2021".
Depth 0.33, width 0.25, depthwise separable convolutions, a decoupled head on strides 8, 16 and 32. Modules are created
in the order in which the network runs them: that is the order of the convolutions in an exported file, and it is how
`load_onnx` finds where each weight belongs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody knows it by

STRIDES = (8, 16, 32)
START_CLASSES = 80
PIXEL_ORDER = ((0, 0), (1, 0), (0, 1), (1, 1))
"""Row and column of each of 2 x 2 pixels, in the order in which they become channels."""


class Conv(nn.Sequential):
    """Convolution with bias and SiLU; `groups` equal to the channels makes it depthwise."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> None:
        super().__init__(nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups), nn.SiLU(inplace=True))


def separable(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """A 3 x 3 depthwise convolution, then a 1 x 1 over the channels."""
    return nn.Sequential(Conv(inputs, inputs, 3, stride, groups=inputs), Conv(inputs, outputs))


class Bottleneck(nn.Module):
    """1 x 1, then a separable 3 x 3, with the input added where `add`."""

    def __init__(self, channels: int, *, add: bool) -> None:
        super().__init__()
        self.squeeze, self.spread, self.add = Conv(channels, channels), separable(channels, channels), add

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) to the same."""
        y = self.spread(self.squeeze(x))
        return x + y if self.add else y


class CrossStage(nn.Module):
    """CSP: half of the channels goes through bottlenecks, half around them."""

    def __init__(self, inputs: int, outputs: int, depth: int = 1, *, add: bool = True) -> None:
        super().__init__()
        hidden = outputs // 2
        self.through, self.around = Conv(inputs, hidden), Conv(inputs, hidden)
        self.blocks = nn.Sequential(*(Bottleneck(hidden, add=add) for _ in range(depth)))
        self.join = Conv(2 * hidden, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, h, w) to (N, outputs, h, w)."""
        through, around = self.through(x), self.around(x)
        return self.join(torch.cat((self.blocks(through), around), dim=1))


class Pyramid(nn.Module):
    """Spatial pyramid pooling: the maxima of 5, 9 and 13 pixels beside the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze, self.join = Conv(channels, channels // 2), Conv(2 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) to the same."""
        x = self.squeeze(x)
        return self.join(torch.cat([x, *(F.max_pool2d(x, k, 1, k // 2) for k in (5, 9, 13))], dim=1))


class Branch(nn.Module):
    """What one level says of every cell: class logits, then box and objectness."""

    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__()
        self.stem = Conv(inputs, 64)
        self.cls = nn.Sequential(separable(64, 64), separable(64, 64))
        self.cls_out = nn.Conv2d(64, classes, 1)
        self.reg = nn.Sequential(separable(64, 64), separable(64, 64))
        self.box_out, self.obj_out = nn.Conv2d(64, 4, 1), nn.Conv2d(64, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, h, w) to (N, 5 + classes, h, w): box, objectness and class logits."""
        x = self.stem(x)
        classes, reg = self.cls_out(self.cls(x)), self.reg(x)
        return torch.cat((self.box_out(reg), self.obj_out(reg), classes), dim=1)


class Nano(nn.Module):
    """The whole network. Pictures (N, 3, H, W) float32 BGR 0 to 255, H and W multiples of 32.

    Gives a list of raw levels (N, 5 + classes, h, w); `rows` makes rows of them, `decoded` boxes in pixels.
    """

    def __init__(self, classes: int = START_CLASSES) -> None:
        super().__init__()
        self.classes = classes
        self.focus = Conv(12, 16, 3)
        self.dark2 = nn.Sequential(separable(16, 32, 2), CrossStage(32, 32))
        self.dark3 = nn.Sequential(separable(32, 64, 2), CrossStage(64, 64, 3))
        self.dark4 = nn.Sequential(separable(64, 128, 2), CrossStage(128, 128, 3))
        self.dark5 = nn.Sequential(separable(128, 256, 2), Pyramid(256), CrossStage(256, 256, add=False))
        self.lateral5 = Conv(256, 128)
        self.top4 = CrossStage(256, 128, add=False)
        self.lateral4 = Conv(128, 64)
        self.top3 = CrossStage(128, 64, add=False)
        self.down3 = separable(64, 64, 2)
        self.bottom4 = CrossStage(128, 128, add=False)
        self.down4 = separable(128, 128, 2)
        self.bottom5 = CrossStage(256, 256, add=False)
        self.branches = nn.ModuleList(Branch(channels, classes) for channels in (64, 128, 256))

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """Raw levels (N, 5 + classes, H / stride, W / stride), fine to coarse."""
        return self.late(self.early(pictures))

    def early(self, pictures: Tensor) -> Tensor:
        """The first two stages, (N, 32, H / 4, W / 4): edges and textures, a third of the work of training."""
        return self.dark2(self.focus(_focused(pictures)))

    def late(self, features: Tensor) -> list[Tensor]:
        """All that follows them."""
        p3 = self.dark3(features)
        p4 = self.dark4(p3)
        p5 = self.lateral5(self.dark5(p4))
        t4 = self.lateral4(self.top4(torch.cat((_doubled(p5), p4), dim=1)))
        n3 = self.top3(torch.cat((_doubled(t4), p3), dim=1))
        n4 = self.bottom4(torch.cat((self.down3(n3), t4), dim=1))
        n5 = self.bottom5(torch.cat((self.down4(n4), p5), dim=1))
        return [branch(level) for branch, level in zip(self.branches, (n3, n4, n5), strict=True)]


def _focused(x: Tensor) -> Tensor:
    """Every 2 x 2 pixels as channels: (N, 3, H, W) to (N, 12, H / 2, W / 2)."""
    return torch.cat([x[..., down::2, right::2] for down, right in PIXEL_ORDER], dim=1)


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")


def rows(levels: Sequence[Tensor]) -> Tensor:
    """Raw levels as (N, A, 5 + classes), level after level, each row by row."""
    return torch.cat([level.flatten(2) for level in levels], dim=2).transpose(1, 2)


def grid(width: int, height: int) -> tuple[Tensor, Tensor]:
    """Column and row (A, 2) and stride (A, 1) of every cell of an input of that size, as float32."""
    cells, strides = [], []
    for stride in STRIDES:
        y, x = torch.meshgrid(torch.arange(height // stride), torch.arange(width // stride), indexing="ij")
        cells.append(torch.stack((x.flatten(), y.flatten()), dim=1))
        strides.append(torch.full((x.numel(), 1), stride))
    return torch.cat(cells).float(), torch.cat(strides).float()


def boxes(raw: Tensor, cells: Tensor, strides: Tensor) -> Tensor:
    """Centre x, y, width and height (..., A, 4) in pixels from raw rows (..., A, 4 or more)."""
    return torch.cat(((raw[..., :2] + cells) * strides, raw[..., 2:4].clamp(max=12).exp() * strides), dim=-1)


def convolutions(network: nn.Module) -> list[nn.Conv2d]:
    """All convolutions in the order in which the network runs them."""
    return [module for module in network.modules() if isinstance(module, nn.Conv2d)]


def load_onnx(network: Nano, path: Path) -> None:
    """Take the weights of the published YOLOX-Nano; raises ValueError when the file has another shape of network."""
    graph = onnx.load(str(path)).graph
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    nodes = [node for node in graph.node if node.op_type == "Conv"]
    mine = convolutions(network)
    if len(nodes) != len(mine):
        raise ValueError(f"{path} must have {len(mine)} convolutions, but has {len(nodes)}")
    with torch.no_grad():
        for node, conv in zip(nodes, mine, strict=True):
            for name, target in zip(node.input[1:], (conv.weight, conv.bias), strict=True):
                given = torch.from_numpy(weights[name].copy())
                if given.shape != target.shape:
                    raise ValueError(f"{path}, {node.name}: must be {tuple(target.shape)}, is {tuple(given.shape)}")
                target.copy_(given)


def with_classes(start: Nano, kept: Sequence[int]) -> Nano:
    """A copy that knows only the given classes of `start`, in that order; all other weights are equal."""
    made = Nano(len(kept))
    state = start.state_dict()
    chosen = torch.tensor(kept)
    for name in list(state):
        if ".cls_out." in name:
            state[name] = state[name][chosen]
    made.load_state_dict(state)
    return made
