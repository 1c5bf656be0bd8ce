"""The learning-rate finder (Smith 2017): a rate that rises from step to step, and the loss that follows it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import torch

from classifiers.chance import seed_of
from classifiers.config import NetworkConfig, TrainConfig
from classifiers.data import Data
from classifiers.feed import Feed
from classifiers.learning import optimiser_of
from classifiers.network import build
from classifiers.place import Place, device_of
from classifiers.step import Step

LOWEST: Final = 1e-6
HIGHEST: Final = 1.0
_SMOOTHING: Final = 0.9
_TOO_FAR: Final = 4.0


@dataclass(frozen=True, slots=True)
class Found:
    """Rates tried, the smoothed loss at each, and the rate at which it fell the fastest."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    suggestion: float


def find_rate(network_config: NetworkConfig, config: TrainConfig, data: Data, steps: int = 100) -> Found:
    """Try rates from 1e-6 to 1 in `steps` steps on a fresh network, until the loss is four times its lowest."""
    place = Place(device_of(config.device))
    devices = [place.device] if place.device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed_of(config.seed, "find rate"))
        network = build(network_config, seed_of(config.seed, "weights")).to(place.device).train()
        optimiser = optimiser_of(network, config)
        scaler = torch.amp.GradScaler(place.device.type, enabled=config.precision == "float16")
        step = Step(network, optimiser, scaler, None, Feed(data.train, place, config.residence), config, data.classes)
        rates, losses = _rise(step, steps)
    return Found(tuple(rates), tuple(losses), _steepest(rates, losses))


def _rise(step: Step, steps: int) -> tuple[list[float], list[float]]:
    rates: list[float] = []
    losses: list[float] = []
    mean = 0.0
    growth = (HIGHEST / LOWEST) ** (1 / (steps - 1))
    for number, loss in enumerate(step.at_rates(LOWEST * growth**i for i in range(steps))):
        if not math.isfinite(loss):
            break
        mean = _SMOOTHING * mean + (1 - _SMOOTHING) * loss
        rates.append(LOWEST * growth**number)
        losses.append(mean / (1 - _SMOOTHING ** (number + 1)))
        if losses[-1] > _TOO_FAR * min(losses):
            break
    return rates, losses


def _steepest(rates: list[float], losses: list[float]) -> float:
    """The rate in the middle of the steepest fall over five steps; a tenth of the last rate where nothing fell."""
    falls = [(losses[i + 4] - losses[i], rates[i + 2]) for i in range(len(losses) - 4)]
    fall, rate = min(falls, default=(0.0, 0.0))
    return rate if fall < 0 else rates[-1] / 10
