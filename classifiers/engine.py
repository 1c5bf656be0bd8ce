"""Training: one function, `fit`, that every command, sweep and script goes through."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from classifiers.config import NetworkConfig, TrainConfig
from classifiers.data import Data, Pictures
from classifiers.network import Network, build

OnEpoch = Callable[[int, Mapping[str, float]], None]


class StopTraining(Exception):  # noqa: N818 - it is not an error
    """Raised by `on_epoch` to end training after this epoch; `fit` then returns as if it had been the last."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a training gave.

    Attributes:
        out: the run's folder, with weights, meta.json, metrics.jsonl and the split.
        epochs: epochs done; best_epoch: the one whose weights are kept, from 1.
        validation_accuracy, validation_loss: of the kept weights, 0 to 1 and in nats.
        history: the metrics of every epoch, as given to `on_epoch`.
        seconds: wall time of training in this process.
        stopped: why it ended: "epochs", "patience" or "callback".
    """

    out: Path
    epochs: int
    best_epoch: int
    validation_accuracy: float
    validation_loss: float
    history: tuple[Mapping[str, float], ...]
    seconds: float
    stopped: str


def fit(
    network_config: NetworkConfig,
    train_config: TrainConfig,
    data: Data,
    out: Path,
    on_epoch: OnEpoch | None = None,
) -> Result:
    """Train a network on `data.train`, choose by `data.validation`, and leave the run in the folder `out`.

    After every epoch `on_epoch(epoch, metrics)` is called (epoch from 1) with epoch, train_loss, train_accuracy,
    validation_loss, validation_accuracy, rate, seconds, pictures_per_s. StopTraining ends the training there; any other
    exception goes through to the caller with the last checkpoint whole.
    """
    out.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    network = build(network_config, train_config.seed)
    optimiser = torch.optim.AdamW(network.parameters(), lr=train_config.rate, weight_decay=train_config.weight_decay)
    history: list[Mapping[str, float]] = []
    stopped = "epochs"
    for epoch in range(1, train_config.epochs + 1):
        started = time.monotonic()
        loss, accuracy = _one_epoch(network, optimiser, data.train, train_config, epoch)
        validation_loss, validation_accuracy = _validate(network, data.validation)
        seconds = time.monotonic() - started
        history.append(
            {
                "epoch": epoch,
                "train_loss": loss,
                "train_accuracy": accuracy,
                "validation_loss": validation_loss,
                "validation_accuracy": validation_accuracy,
                "rate": train_config.rate,
                "seconds": seconds,
                "pictures_per_s": len(data.train) / seconds,
            }
        )
        if on_epoch is not None:
            try:
                on_epoch(epoch, history[-1])
            except StopTraining:
                stopped = "callback"
                break
    best = max(history, key=lambda metrics: metrics["validation_accuracy"])
    return Result(
        out=out,
        epochs=len(history),
        best_epoch=int(best["epoch"]),
        validation_accuracy=best["validation_accuracy"],
        validation_loss=best["validation_loss"],
        history=tuple(history),
        seconds=time.monotonic() - begun,
        stopped=stopped,
    )


def _one_epoch(
    network: Network, optimiser: torch.optim.Optimizer, side: Pictures, config: TrainConfig, epoch: int
) -> tuple[float, float]:
    network.train()
    order = np.random.default_rng((config.seed, epoch)).permutation(len(side))
    loss_sum = right = 0.0
    for start in range(0, len(order), config.batch):
        rows = order[start : start + config.batch]
        pictures = torch.from_numpy(side.pixels[rows]).permute(0, 3, 1, 2)
        labels = torch.from_numpy(side.labels[rows])
        logits = network(pictures)
        loss = functional.cross_entropy(logits, labels)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        loss_sum += float(loss.detach()) * len(rows)
        right += float((logits.argmax(1) == labels).sum())
    return loss_sum / len(side), right / len(side)


@torch.no_grad()
def _validate(network: Network, side: Pictures) -> tuple[float, float]:
    network.eval()
    logits = torch.cat(
        [
            network(torch.from_numpy(side.pixels[start : start + 256].copy()).permute(0, 3, 1, 2))
            for start in range(0, len(side), 256)
        ]
    )
    labels = torch.from_numpy(side.labels.copy())
    return float(functional.cross_entropy(logits, labels)), float((logits.argmax(1) == labels).float().mean())
