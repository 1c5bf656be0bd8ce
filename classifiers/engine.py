"""Training: one function, `fit`, that every command, sweep and script goes through."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import torch
from torch import Tensor, nn

from classifiers import checkpoint
from classifiers.chance import seed_of
from classifiers.config import NetworkConfig, TrainConfig
from classifiers.data import Data
from classifiers.errors import CheckpointError, ConfigError, TrainingError
from classifiers.feed import Feed, Source
from classifiers.files import write_json, writing
from classifiers.learning import Average, optimiser_of
from classifiers.network import build
from classifiers.place import Place, placed
from classifiers.split import save_split
from classifiers.step import Step, validate

Metrics = Mapping[str, float]
OnEpoch = Callable[[int, Metrics], None]
"""Called after every epoch with its number from 1 and its metrics, in the leading process."""
OnStep = Callable[[int, int, int], None]
"""Called after every step with the epoch, the steps done in it and the steps it has."""

_ELSEWHERE: Final = frozenset({"device", "residence", "compile", "channels_last"})
"""What may differ when a training resumes: where and how steps are computed, not which."""


class Subject(Protocol):
    """What is trained, and from where: a network from scratch, or one that was trained elsewhere (`strategies`)."""

    @property
    def config(self) -> checkpoint.NetworkKind:
        """Of the network."""

    @property
    def every_epoch(self) -> bool:
        """Whether the run is written after every epoch, or only when training ends."""

    def identity(self) -> Mapping[str, Any]:
        """Plain values that must be the same for a training to be resumed, beside network, training and split."""

    def network(self, train: TrainConfig, data: Data, place: Place) -> nn.Module:
        """The network as training begins, on the device."""

    def optimiser(self, network: nn.Module, train: TrainConfig) -> torch.optim.Optimizer:
        """The optimiser of what moves."""

    def feeds(self, network: nn.Module, train: TrainConfig, data: Data, place: Place) -> tuple[Source, Source]:
        """The pictures to learn from and those to validate with, in the form that the network is shown."""

    def facts(self, network: nn.Module) -> Mapping[str, Any]:
        """What meta.json says of the training besides: plain values."""


@dataclass(frozen=True, slots=True)
class FromScratch:
    """A network of Part A with fresh weights, every one of which moves."""

    config: NetworkConfig
    every_epoch: bool = True

    def identity(self) -> Mapping[str, Any]:
        """Nothing besides."""
        return {}

    def network(self, train: TrainConfig, data: Data, place: Place) -> nn.Module:  # noqa: ARG002
        """Fresh weights of the training's seed."""
        return build(self.config, seed_of(train.seed, "weights")).to(place.device)

    def optimiser(self, network: nn.Module, train: TrainConfig) -> torch.optim.Optimizer:
        """Over all parameters."""
        return optimiser_of(network, train)

    def feeds(self, network: nn.Module, train: TrainConfig, data: Data, place: Place) -> tuple[Source, Source]:  # noqa: ARG002
        """The decoded pictures."""
        return Feed(data.train, place, train.residence), Feed(data.validation, place, train.residence)

    def facts(self, network: nn.Module) -> Mapping[str, Any]:  # noqa: ARG002 - other subjects count what moves
        """Nothing besides."""
        return {}


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
    history: tuple[Metrics, ...]
    seconds: float
    stopped: str


def fit(
    what: NetworkConfig | Subject,
    train_config: TrainConfig,
    data: Data,
    out: Path,
    on_epoch: OnEpoch | None = None,
    on_step: OnStep | None = None,
    *,
    resume: bool = False,
) -> Result:
    """Train `what` on `data.train`, choose by `data.validation`, and leave the run in the folder `out`.

    `what` is a network from scratch by its configuration, or any other Subject.

    After every epoch the run on the disk is whole, and `on_epoch(epoch, metrics)` is called (epoch from 1) with epoch,
    train_loss, train_accuracy, validation_loss, validation_accuracy, rate, seconds, pictures_per_s. StopTraining ends
    the training there; any other exception goes through to the caller.

    With `resume` a training that ended early, however it ended, goes on after its last whole epoch and gives the
    weights that it would have given uninterrupted (on a CPU bit by bit). Under torchrun every process calls `fit`.

    Raises ConfigError where network and data do not fit, CheckpointError where `out` holds another run, TrainingError
    where the loss is no longer a number, OutputError where the run cannot be written.
    """
    subject = FromScratch(what) if isinstance(what, NetworkConfig) else what
    _check_fit(subject.config, data)
    begun = time.monotonic()
    with placed(train_config.device) as place, torch.random.fork_rng(_cuda(place)):
        trainer = _Trainer(subject, train_config, data, out, place)
        trainer.begin(resume=resume)
        stopped = trainer.run(on_epoch, on_step)
        best = trainer.best_metrics
    return Result(
        out=out,
        epochs=len(trainer.history),
        best_epoch=int(best["epoch"]),
        validation_accuracy=best["validation_accuracy"],
        validation_loss=best["validation_loss"],
        history=tuple(trainer.history),
        seconds=time.monotonic() - begun,
        stopped=stopped,
    )


class _Trainer:
    """The state of a training: network, optimiser, average, history, and the weights that are kept."""

    def __init__(self, subject: Subject, config: TrainConfig, data: Data, out: Path, place: Place) -> None:
        self.subject, self.config, self.data, self.out, self.place = subject, config, data, out, place
        self.history: list[Metrics] = []
        self._written = 0
        self.kept: dict[str, Tensor] = {}
        self.network = subject.network(config, data, place)
        if config.channels_last:
            self.network.to(memory_format=torch.channels_last)
        if place.world > 1 and place.device.type == "cuda":
            self.network = nn.SyncBatchNorm.convert_sync_batchnorm(self.network)  # type: ignore[no-untyped-call]
        self.optimiser = subject.optimiser(self.network, config)
        self.average = Average(self.network, config.ema) if config.ema else None
        self.scaler = torch.amp.GradScaler(place.device.type, enabled=config.precision == "float16")
        self.train_feed, self.validation_feed = subject.feeds(self.network, config, data, place)

    @property
    def identity(self) -> str:
        """What must be the same for a state to be resumed."""
        train = {key: value for key, value in checkpoint.plain(self.config).items() if key not in _ELSEWHERE}
        network = checkpoint.plain(self.subject.config)
        parts = [network, train, self.data.split_hash, self.place.world, dict(self.subject.identity())]
        return json.dumps(parts, sort_keys=True)

    @property
    def judged(self) -> nn.Module:
        """The network that is validated and kept: the moving average where there is one."""
        return self.network if self.average is None else self.average.network

    @property
    def best_metrics(self) -> Metrics:
        """Metrics of the epoch whose weights are kept; of equals the first."""
        if self.config.keep == "last":
            return self.history[-1]
        return max(self.history, key=lambda row: (row["validation_accuracy"], -row["validation_loss"], -row["epoch"]))

    def begin(self, *, resume: bool) -> None:
        """Make the run's folder, or take up its state."""
        if resume:
            self._take_up(checkpoint.load_state(self.out))
        elif self.place.leads:
            checkpoint.require_unused(self.out)
        self.place.wait()
        if self.place.leads:
            with writing(self.out):
                self.out.mkdir(parents=True, exist_ok=True)
            save_split(self.out / "split.json", self.data.split)
            configs = {"network": checkpoint.plain(self.subject.config), "train": checkpoint.plain(self.config)}
            tuning = self.subject.identity()
            write_json(self.out / "config.json", {**configs, **({"tuning": dict(tuning)} if tuning else {})})
        if self.history:
            self._publish()
            self._written = len(self.history)

    def _take_up(self, state: dict[str, Any] | None) -> None:
        if state is None:
            return
        if state["identity"] != self.identity:
            raise CheckpointError(
                f"{self.out} must be resumed with the configuration, split and number of processes it began with, "
                f"but {_difference(state['identity'], self.identity)}"
            )
        checkpoint.load_weights(self.network, state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self.average is not None:
            checkpoint.load_weights(self.average.network, state["average"])
        self.scaler.load_state_dict(state["scaler"])
        self.history, self.kept = list(state["history"]), dict(state["kept"])

    def run(self, on_epoch: OnEpoch | None, on_step: OnStep | None) -> str:
        """All epochs that are left. Returns why training ended."""
        step = Step(self.network, self.optimiser, self.scaler, self.average, self.train_feed, self.config,
                    self.data.classes)  # fmt: skip
        while len(self.history) < self.config.epochs:
            if self._patience_is_over():
                self._keep()
                return "patience"
            self._epoch(step, len(self.history) + 1, on_step)
            if self._told(on_epoch):
                self._keep()
                return "callback"
        self._keep()
        return "patience" if self._patience_is_over() and len(self.history) < self.config.epochs else "epochs"

    def _epoch(self, step: Step, epoch: int, on_step: OnStep | None) -> None:
        begun = time.monotonic()
        try:
            loss, accuracy, rate = step.epoch(epoch, on_step)
        except TrainingError as error:
            where = (
                f"the last good checkpoint, epoch {epoch - 1}, is in {self.out}" if self.history else "none is saved"
            )
            raise TrainingError(
                f"{error}: lower --rate from {self.config.rate:g}, or set --clip-norm; {where}"
            ) from None
        trained = time.monotonic() - begun
        validation_loss, validation_accuracy = validate(self.judged, self.validation_feed, self.config)
        self.history.append(
            {
                "epoch": epoch,
                "train_loss": loss,
                "train_accuracy": accuracy,
                "validation_loss": validation_loss,
                "validation_accuracy": validation_accuracy,
                "rate": rate,
                "seconds": time.monotonic() - begun,
                "pictures_per_s": len(self.data.train) / trained,
            }
        )
        if int(self.best_metrics["epoch"]) == epoch:
            self.kept = checkpoint.weights_of(self.judged)
        if self.subject.every_epoch:
            self._keep()

    def _keep(self) -> None:
        """Write the run, unless it is written already."""
        if self.place.leads and self._written < len(self.history):
            checkpoint.save_state(self.out, self._state())
            self._publish()
            self._written = len(self.history)
        self.place.wait()

    def _state(self) -> dict[str, Any]:
        return {
            "format": checkpoint.FORMAT,
            "identity": self.identity,
            "network": checkpoint.weights_of(self.network),
            "optimiser": self.optimiser.state_dict(),
            "average": checkpoint.weights_of(self.average.network) if self.average else None,
            "scaler": self.scaler.state_dict(),
            "history": [dict(row) for row in self.history],
            "kept": self.kept,
        }

    def _publish(self) -> None:
        """Write what follows from the state: weights with meta.json, and the metrics."""
        if not self.place.leads:
            return
        checkpoint.save_metrics(self.out, self.history)
        checkpoint.save_weights(
            self.out, self.kept, self.subject.config, self.config, self.data.split, self.best_metrics,
            self.subject.facts(self.network),
        )  # fmt: skip

    def _told(self, on_epoch: OnEpoch | None) -> bool:
        """Tell the caller of the last epoch; whether it wants no more."""
        enough = False
        if on_epoch is not None and self.place.leads:
            try:
                on_epoch(len(self.history), self.history[-1])
            except StopTraining:
                enough = True
        return self.place.agreed(enough)

    def _patience_is_over(self) -> bool:
        patience = self.config.patience
        if not patience or len(self.history) <= patience:
            return False
        lowest = min(range(len(self.history)), key=lambda row: self.history[row]["validation_loss"])
        return len(self.history) - 1 - lowest >= patience


def _check_fit(network: checkpoint.NetworkKind, data: Data) -> None:
    if network.classes != len(data.classes):
        raise ConfigError(f"classes must be {len(data.classes)} as the data has, but the network has {network.classes}")
    if network.input_size != data.size:
        raise ConfigError(f"input_size must be {data.size} as the data was opened, but is {network.input_size}")


def _cuda(place: Place) -> list[torch.device]:
    """Devices whose random state `fork_rng` puts back."""
    return [place.device] if place.device.type == "cuda" else []


def _difference(before: str, now: str) -> str:
    names = ("network", "train", "split", "processes", "tuning")
    for name, old, new in zip(names, json.loads(before), json.loads(now), strict=True):
        if isinstance(old, dict):
            for key in old.keys() | new.keys():
                if old.get(key) != new.get(key):
                    return f"{name}.{key} was {old.get(key)!r} and is {new.get(key)!r}"
        elif old != new:
            return f"{name} was {old!r} and is {new!r}"
    return "the state is of another version"
