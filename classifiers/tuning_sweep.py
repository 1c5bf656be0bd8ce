"""A sweep over networks, strategies and rates: what a trial of fine-tuning does, on the machinery of every sweep."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from classifiers.checkpoint import read_meta
from classifiers.config import TrainConfig, from_dict, to_dict
from classifiers.counting import cost
from classifiers.data import Data, open_data
from classifiers.engine import Metrics, StopTraining
from classifiers.errors import ConfigError
from classifiers.journal import Outcome, Plan
from classifiers.space import TUNING, Choice, Space, Value
from classifiers.split import Split
from classifiers.strategies import finetune, subject
from classifiers.sweep import KEPT
from classifiers.tuning import TuneConfig, to_plain, tune_config
from classifiers.workers import Report


@dataclass(slots=True)
class TuningTrial:
    """The objective: fine-tune as a trial says; its value is the validation accuracy, 0 to 1.

    Picklable as `sweep.Training` is. Pictures are opened once for every size that a network asks for.
    """

    root: Path
    split: Split
    tune: TuneConfig
    train: TrainConfig
    cache: Path | None = None
    _opened: dict[int, Data] = field(default_factory=dict, repr=False)

    def __getstate__(self) -> tuple[object, ...]:
        return (self.root, self.split, self.tune, self.train, self.cache)

    def __setstate__(self, state: tuple[object, ...]) -> None:
        for name, value in zip(("root", "split", "tune", "train", "cache"), state, strict=True):
            setattr(self, name, value)
        self._opened = {}

    def data(self, size: int) -> Data:
        """The pictures at a size."""
        if size not in self._opened:
            self._opened[size] = open_data(self.root, size=size, split=self.split, cache=self.cache)
        return self._opened[size]

    def __call__(self, parameters: Mapping[str, Value], seed: int, report: Report) -> Outcome:
        """Fine-tune one network; it stops early where `report` says so."""
        tune, train = tuned(parameters, self.tune, self.train)
        what = subject(tune, len(self.split.classes), self.cache)
        train = replace(train, seed=seed)

        def on_epoch(epoch: int, metrics: Metrics) -> None:
            # A strategy without epochs of its own is not stopped, and after the last one nothing is saved by it.
            if report(epoch, metrics["validation_accuracy"]) and epoch < train.epochs and tune.strategy != "svm":
                raise StopTraining

        with tempfile.TemporaryDirectory(prefix="classifiers-trial-") as folder:
            result = finetune(what, train, self.data(what.config.input_size), Path(folder) / "run", on_epoch)
            kept = [*KEPT, *(path.name for path in result.out.glob("*.safetensors"))]
            files = {name: (result.out / name).read_bytes() for name in kept}
            moved = read_meta(result.out).facts["trained_parameters"]
        pruned = result.stopped == "callback"
        value = result.history[-1]["validation_accuracy"] if pruned else result.validation_accuracy
        parameters_count, multiply_adds = cost(what.config)
        facts = {
            "seconds": result.seconds,
            "epochs": result.epochs,
            "best_epoch": result.best_epoch,
            "validation_loss": result.validation_loss,
            "train_accuracy": result.history[-1]["train_accuracy"],
            "parameters": parameters_count,
            "multiply_adds": multiply_adds,
            "trained_parameters": moved,
        }
        return Outcome("pruned" if pruned else "complete", value, facts, files)


def tuned(parameters: Mapping[str, Value], tune: TuneConfig, train: TrainConfig) -> tuple[TuneConfig, TrainConfig]:
    """The configurations that start from `tune` and `train` and take the values of a trial."""
    return (
        tune_config({name: value for name, value in parameters.items() if name in TUNING}, tune),
        from_dict(TrainConfig, {name: value for name, value in parameters.items() if name not in TUNING}, train),
    )


def plan_tuning(
    root: Path, split: Split, space: Space, tune: TuneConfig, train: TrainConfig, cache: Path | None = None,
    **choices: object,
) -> tuple[Plan, TuningTrial]:  # fmt: skip
    """The plan and the objective of a sweep of fine-tunings; `choices` as in `sweep.plan_sweep`.

    Raises:
        ConfigError: a value of the space is not allowed, or names a network that timm does not know.
    """
    for name, part in space.items():
        for value in part.values if isinstance(part, Choice) else ():
            try:
                subject(tuned({name: value}, tune, train)[0], len(split.classes), cache)
            except ConfigError as error:
                raise ConfigError(f"{name} {value!r} of the space does not fit: {error}") from error
    counts = [len(split.on("train")), len(split.on("validation"))]
    objective: dict[str, Any] = {
        "tuning": to_plain(tune),
        "train": {key: value for key, value in to_dict(train).items() if key not in {"seed", "device"}},
        "split_hash": split.hash,
        "classes": list(split.classes),
        "pictures": counts,
    }
    plan = Plan(space, epochs=train.epochs, objective=objective, **choices)  # type: ignore[arg-type]
    return plan, TuningTrial(root, split, tune, train, cache)
