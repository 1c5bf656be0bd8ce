"""The parts of a learning step: optimiser, rate, loss, and the moving average of the weights."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from classifiers.config import TrainConfig
from classifiers.transforms import Mixed


def optimiser_of(
    network: nn.Module, config: TrainConfig, factors: Mapping[Tensor, float] | None = None
) -> torch.optim.Optimizer:
    """The optimiser over the parameters that may move. Weights decay; biases and batch norm do not.

    `factors` gives parameters another rate than the one that is set: so many times as much.
    """
    factors = factors or {}
    free = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups = []
    for factor in sorted({factors.get(parameter, 1.0) for parameter in free}, reverse=True):
        mine = [parameter for parameter in free if factors.get(parameter, 1.0) == factor]
        for decay, part in (
            (config.weight_decay, [p for p in mine if p.ndim >= 2]),
            (0.0, [p for p in mine if p.ndim < 2]),
        ):
            if part:
                groups.append({"params": part, "weight_decay": decay, "factor": factor, "lr": config.rate * factor})
    if config.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=config.rate, momentum=config.momentum, nesterov=config.momentum > 0)
    if config.optimiser == "nadam":
        return torch.optim.NAdam(groups, lr=config.rate, decoupled_weight_decay=True)
    on_mps = any(parameter.device.type == "mps" for parameter in free)
    return torch.optim.AdamW(groups, lr=config.rate, fused=not on_mps)


def rate_factor(config: TrainConfig, step: int, steps_of_epoch: int) -> float:
    """The factor of the rate at a step, from 0 on: a linear rise over the warm-up, then the schedule down to the end.

    "step" divides by ten at a half and at three quarters of what follows the warm-up.

    >>> config = TrainConfig(epochs=2, schedule="linear", warmup_epochs=1)
    >>> [rate_factor(config, step, 4) for step in range(8)]
    [0.25, 0.5, 0.75, 1.0, 1.0, 0.75, 0.5, 0.25]
    """
    warm = round(config.warmup_epochs * steps_of_epoch)
    if step < warm:
        return (step + 1) / warm
    done = (step - warm) / max(1, config.epochs * steps_of_epoch - warm)
    if config.schedule == "cosine":
        return (1 + math.cos(math.pi * done)) / 2
    if config.schedule == "linear":
        return 1 - done
    if config.schedule == "step":
        return 0.1 ** ((done >= 0.5) + (done >= 0.75))
    return 1.0


def class_weights(labels: Tensor, classes: int) -> Tensor:
    """Weights float32 [classes] by inverse frequency; their mean over the pictures is 1."""
    counts = torch.bincount(labels.cpu(), minlength=classes).clamp_min(1)
    return (len(labels) / (classes * counts)).float()


def losses(logits: Tensor, batch: Mixed, smoothing: float, weights: Tensor | None) -> Tensor:
    """Cross entropy of every picture, float32 [N], of the labels it is made of."""

    def of(labels: Tensor) -> Tensor:
        each = functional.cross_entropy(logits.float(), labels, label_smoothing=smoothing, reduction="none")
        return each if weights is None else each * weights[labels]

    if batch.share == 1.0:
        return of(batch.first)
    return batch.share * of(batch.first) + (1 - batch.share) * of(batch.second)


class Average:
    """A moving average of the weights. At the beginning it follows faster, or it would remember random weights."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(requires_grad=False)
        self._decay = decay

    @torch.no_grad()
    def follow(self, network: nn.Module, step: int) -> None:
        """Move towards the weights after a step (from 0 on); counters and statistics are taken over."""
        decay = min(self._decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.network.parameters()), [p.detach() for p in network.parameters()], 1 - decay)
        for mine, theirs in zip(self.network.buffers(), network.buffers(), strict=True):
            mine.copy_(theirs)
