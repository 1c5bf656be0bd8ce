"""What the network is taught: true boxes by SimOTA, and to stay with the start where the truth is silent.

SimOTA (Ge et al. 2021) gives every true box the few cells that predict it best. All functions take one picture's rows
(A, 5 + classes) with the boxes decoded to pixels.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from models.recipes.railwatch_nano.sources import CLASSES, PERSON, TRAIN

CENTRE_RADIUS = 2.5
"""A cell may belong to an object when its middle is at most so many strides from the object's middle."""


LEARNT = torch.tensor([index in (PERSON, TRAIN) for index in range(len(CLASSES))])
"""The classes about which the start is to be corrected; what it says of all others is kept wherever it looks."""

LOGIT_WEIGHT = 0.02
"""Of the squared difference of class logits from the start's, a cell."""


class Target(NamedTuple):
    """The truth of a picture: `classes` (N,), `boxes` (N, 4) xyxy, boxes of which nothing is known (M, 4).

    `complete` (A, classes) bool: of which classes every object at a cell is boxed.
    """

    classes: Tensor
    boxes: Tensor
    unknown: Tensor
    complete: Tensor


class Parts(NamedTuple):
    """Sums of the parts of the loss over a picture, and how many cells belong to objects."""

    box: Tensor
    objectness: Tensor
    classes: Tensor
    kept: Tensor
    positives: int


def corners(xywh: Tensor) -> Tensor:
    """Boxes (..., 4) from centres and extents to left, top, right, bottom."""
    half = xywh[..., 2:] / 2
    return torch.cat((xywh[..., :2] - half, xywh[..., :2] + half), dim=-1)


def iou_table(first: Tensor, second: Tensor) -> Tensor:
    """IoU (N, M) of boxes (N, 4) and (M, 4), xyxy."""
    a, b = first[:, None], second[None]
    shared = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(min=0).prod(-1)
    areas = (a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1)
    return shared / (areas - shared).clamp(min=1e-6)


def iou_pairs(first: Tensor, second: Tensor) -> Tensor:
    """IoU (N,) of boxes (N, 4) with their partners (N, 4), xyxy."""
    shared = (torch.minimum(first[:, 2:], second[:, 2:]) - torch.maximum(first[:, :2], second[:, :2])).clamp(min=0)
    shared = shared.prod(-1)
    areas = (first[:, 2:] - first[:, :2]).prod(-1) + (second[:, 2:] - second[:, :2]).prod(-1)
    return shared / (areas - shared).clamp(min=1e-6)


@torch.no_grad()
def assigned(
    predicted: Tensor, obj: Tensor, cls: Tensor, middles: Tensor, strides: Tensor, target: Target
) -> tuple[Tensor, Tensor, Tensor]:
    """Which cells belong to which true box: indices of cells (P,), of true boxes (P,), and their IoU (P,).

    `predicted` (A, 4) xyxy, `obj` (A,) and `cls` (A, classes) logits, `middles` (A, 2) of the cells in pixels,
    `strides` (A, 1). A cell belongs to one box at most; every true box that a cell can serve gets at least one.
    """
    true = target.boxes
    middle = (true[:, :2] + true[:, 2:]) / 2
    away = (middles[None] - middle[:, None]).abs().amax(-1)
    near = away < CENTRE_RADIUS * strides[None, :, 0]
    inside = ((middles[None] > true[:, None, :2]) & (middles[None] < true[:, None, 2:])).all(-1)
    cells = torch.nonzero((near | inside).any(0)).flatten()
    if not len(cells):
        nothing = torch.zeros(0, dtype=torch.long)
        return nothing, nothing, torch.zeros(0)
    both = (near & inside)[:, cells]
    iou = iou_table(true, predicted[cells])
    score = (obj[cells, None].sigmoid() * cls[cells].sigmoid()).clamp(1e-7, 1 - 1e-7).sqrt()
    wanted = F.one_hot(target.classes, cls.shape[1]).float()
    log, log_not = score.log(), (1 - score).log()
    cost = -(wanted @ log.T) - log_not.sum(1)[None] + wanted @ log_not.T
    cost = cost - 3 * (iou + 1e-8).log() + 1e5 * ~both
    counts = iou.topk(min(10, len(cells)), dim=1).values.sum(1).int().clamp(min=1)
    match = torch.zeros_like(cost, dtype=torch.bool)
    for row, count in enumerate(counts.tolist()):
        match[row, cost[row].topk(min(count, len(cells)), largest=False).indices] = True
    contested = match.sum(0) > 1
    if contested.any():
        best = cost[:, contested].argmin(0)
        match[:, contested] = False
        match[best, torch.nonzero(contested).flatten()] = True
    owner, place = torch.nonzero(match, as_tuple=True)
    return cells[place], owner, iou[owner, place]


def picture_loss(
    rows: Tensor, predicted: Tensor, teacher: Tensor, teacher_boxes: Tensor,
    middles: Tensor, strides: Tensor, target: Target,
) -> Parts:  # fmt: skip
    """Loss of one picture. `rows`, `teacher` (A, 5 + classes) raw, `predicted`, `teacher_boxes` (A, 4) xyxy."""
    obj, cls = rows[:, 4], rows[:, 5:]
    said_obj, said_cls = teacher[:, 4].sigmoid(), teacher[:, 5:].sigmoid()
    best, kind = said_cls.max(1)
    silent = ~target.complete.gather(1, kind[:, None])[:, 0]
    wanted_obj = torch.where(silent, said_obj, torch.zeros_like(said_obj))
    weight = torch.ones_like(wanted_obj)
    weight[_within(middles, target.unknown)] = 0.0
    zero = rows.sum() * 0
    box_loss, cls_loss, positives = zero, zero, 0
    taken = torch.zeros_like(silent)
    if len(target.boxes):
        cells, owner, iou = assigned(predicted.detach(), obj.detach(), cls.detach(), middles, strides, target)
        positives = len(cells)
        taken[cells] = True
        wanted_obj[cells], weight[cells] = 1.0, 1.0
        good = iou_pairs(predicted[cells], target.boxes[owner])
        box_loss = (1 - good.square()).sum()
        wanted = F.one_hot(target.classes[owner], cls.shape[1]).float() * iou[:, None]
        cls_loss = F.binary_cross_entropy_with_logits(cls[cells], wanted, reduction="sum")
    obj_loss = (F.binary_cross_entropy_with_logits(obj, wanted_obj, reduction="none") * weight).sum()
    keep = silent & ~taken & (said_obj * best > 0.1)
    same = (cls - teacher[:, 5:]).square() * ~(target.complete & LEARNT.to(cls.device))
    kept = LOGIT_WEIGHT * (same.mean(1) * ~taken).sum()
    if keep.any():
        share = (said_obj * best)[keep]
        away = 1 - iou_pairs(predicted[keep], teacher_boxes[keep])
        differs = F.binary_cross_entropy_with_logits(cls[keep], said_cls[keep], reduction="none").sum(1)
        kept = kept + (share * (differs + 2 * away)).sum()
    return Parts(box_loss, obj_loss, cls_loss, kept, positives)


def _within(middles: Tensor, boxes: Tensor) -> Tensor:
    """Which cells (A,) have their middle in one of the boxes (M, 4), widened by 4 pixels."""
    if not len(boxes):
        return torch.zeros(len(middles), dtype=torch.bool)
    wide = boxes + torch.tensor([-4.0, -4.0, 4.0, 4.0])
    return ((middles[None] > wide[:, None, :2]) & (middles[None] < wide[:, None, 2:])).all(-1).any(0)
