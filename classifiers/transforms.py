"""Augmentation, batched on the device the batch is on. Training calls it for training batches; nothing else does."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

TURN_DEGREES: Final = 20.0
ZOOM: Final = 0.3
SHIFT: Final = 0.15
LIGHT: Final = 0.4
"""The farthest that strength 1 goes: degrees of turn, factor of zoom, share of the side, factors of colour."""


@dataclass(frozen=True, slots=True)
class Draws:
    """What chance decided for N pictures.

    Attributes:
        affine: float32 [N, 2, 3], from places in the new picture to places in the old one, both -1 to 1.
        light: float32 [N, 3], factors of brightness, contrast and saturation.
    """

    affine: Tensor
    light: Tensor

    def part(self, rows: slice) -> Draws:
        """The draws of some of the pictures."""
        return Draws(self.affine[rows], self.light[rows])


def draw(count: int, strength: float, chance: torch.Generator) -> Draws:
    """Draw for `count` pictures: mirrored in half of the cases; turn, zoom, shift and light up to `strength` (0 to 1).

    Drawn on the host for the batch of all processes, so that it does not depend on how many share it.
    """
    even = torch.rand(count, 8, generator=chance) * 2 - 1
    mirror = torch.where(even[:, 0] < 0, -1.0, 1.0)
    angle = even[:, 1] * math.radians(TURN_DEGREES) * strength
    zoom = 1 / (1 + even[:, 2] * ZOOM * strength)
    shift = even[:, 3:5] * 2 * SHIFT * strength
    cosine, sine = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    affine = torch.stack(
        (
            torch.stack((cosine * mirror, -sine, shift[:, 0]), 1),
            torch.stack((sine * mirror, cosine, shift[:, 1]), 1),
        ),
        1,
    )
    return Draws(affine, 1 + even[:, 5:8] * LIGHT * strength)


def augmented(pictures: Tensor, draws: Draws) -> Tensor:
    """New pictures, float32 [N, 3, S, S] in 0 to 1, of uint8 [N, 3, S, S] or floating point in 0 to 1.

    What a turn or shift uncovers is filled by mirroring at the edge.
    """
    source = pictures.float().div_(255) if pictures.dtype == torch.uint8 else pictures
    affine = draws.affine.to(source.device, non_blocking=True)
    grid = functional.affine_grid(affine, list(source.shape), align_corners=False)
    moved = functional.grid_sample(source, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    light = draws.light.to(source.device, non_blocking=True)[:, :, None, None, None]
    moved = moved * light[:, 0]
    grey = moved.mean(1, keepdim=True)
    moved = grey + (moved - grey) * light[:, 2]
    level = grey.mean((2, 3), keepdim=True)
    return (level + (moved - level) * light[:, 1]).clamp_(0, 1)


@dataclass(frozen=True, slots=True)
class Mixed:
    """A batch in which each picture may be made of two: share `share` of `first`, the rest of `second` (labels [N])."""

    pictures: Tensor
    first: Tensor
    second: Tensor
    share: float


def mix(pictures: Tensor, labels: Tensor, mixup: float, cutmix: float, chance: np.random.Generator) -> Mixed:
    """Mixup (Zhang et al. 2018) or CutMix (Yun et al. 2019) within a batch; with both alphas one of them by chance.

    The share comes from Beta(alpha, alpha); that of CutMix is counted in the pixels that were really taken.
    """
    if mixup <= 0 and cutmix <= 0:
        return Mixed(pictures, labels, labels, 1.0)
    cut = cutmix > 0 and (mixup <= 0 or chance.random() < 0.5)
    alpha = cutmix if cut else mixup
    share = float(chance.beta(alpha, alpha))
    partner = torch.from_numpy(chance.permutation(len(labels))).to(labels.device)
    source = pictures.float().div_(255) if pictures.dtype == torch.uint8 else pictures
    if not cut:
        return Mixed(source * share + source[partner] * (1 - share), labels, labels[partner], share)
    side = source.shape[-1]
    half = round(side * math.sqrt(1 - share) / 2)
    middle_y, middle_x = (int(at) for at in chance.integers(0, side, 2))
    top, bottom = max(0, middle_y - half), min(side, middle_y + half)
    left, right = max(0, middle_x - half), min(side, middle_x + half)
    taken = source.clone()
    taken[:, :, top:bottom, left:right] = source[partner][:, :, top:bottom, left:right]
    return Mixed(taken, labels, labels[partner], 1 - (bottom - top) * (right - left) / side**2)
