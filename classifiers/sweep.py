"""A sweep over networks: what a trial does, and how the sweep of a data set is planned and run."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from classifiers.config import NetworkConfig, TrainConfig, to_dict
from classifiers.counting import formula
from classifiers.data import Data, open_data
from classifiers.desk import Desk
from classifiers.engine import Metrics, StopTraining, fit
from classifiers.errors import ConfigError
from classifiers.journal import Outcome, Plan
from classifiers.space import Choice, Space, Value, configured
from classifiers.split import Split
from classifiers.workers import Objective, Report, run_here, run_on_ray, run_processes

KEPT = ("meta.json", "metrics.jsonl", "split.json")


@dataclass(slots=True)
class Training:
    """The objective: train a network as a trial says; its value is the validation accuracy, 0 to 1.

    Picklable: the split travels, the pictures do not. A worker opens them once, under the same path `root`, and refuses
    pictures that are not those of the split.
    """

    root: Path
    split: Split
    network: NetworkConfig
    train: TrainConfig
    cache: Path | None = None
    _data: Data | None = field(default=None, repr=False)

    def __getstate__(self) -> tuple[object, ...]:
        return (self.root, self.split, self.network, self.train, self.cache)

    def __setstate__(self, state: tuple[object, ...]) -> None:
        for name, value in zip(("root", "split", "network", "train", "cache"), state, strict=True):
            setattr(self, name, value)
        self._data = None

    def data(self) -> Data:
        """The data, opened at the first call."""
        if self._data is None:
            self._data = open_data(self.root, size=self.network.input_size, split=self.split, cache=self.cache)
        return self._data

    def __call__(self, parameters: Mapping[str, Value], seed: int, report: Report) -> Outcome:
        """Train one network; it stops early where `report` says so."""
        network, train = configured(parameters, self.network, self.train)
        train = replace(train, seed=seed)

        def on_epoch(epoch: int, metrics: Metrics) -> None:
            # After the last epoch there is nothing left to be saved by stopping.
            if report(epoch, metrics["validation_accuracy"]) and epoch < train.epochs:
                raise StopTraining

        with tempfile.TemporaryDirectory(prefix="classifiers-trial-") as folder:
            result = fit(network, train, self.data(), Path(folder) / "run", on_epoch)
            kept = [*KEPT, *(path.name for path in result.out.glob("*.safetensors"))]
            files = {name: (result.out / name).read_bytes() for name in kept}
        pruned = result.stopped == "callback"
        value = result.history[-1]["validation_accuracy"] if pruned else result.validation_accuracy
        parameters_count, multiply_adds = formula(network)
        facts = {
            "seconds": result.seconds,
            "epochs": result.epochs,
            "best_epoch": result.best_epoch,
            "validation_loss": result.validation_loss,
            "train_accuracy": result.history[-1]["train_accuracy"],
            "parameters": parameters_count,
            "multiply_adds": multiply_adds,
        }
        return Outcome("pruned" if pruned else "complete", value, facts, files)


def plan_sweep(
    data: Data, space: Space, network: NetworkConfig, train: TrainConfig, cache: Path | None = None, **choices: object
) -> tuple[Plan, Training]:
    """The plan and the objective of a sweep over `data`; `choices` are sampler, random_trials, pruner, warmup and seed.

    Raises:
        ConfigError: a value of the space does not fit the data (too many blocks for the pictures' size, say).
    """
    network = replace(network, input_size=data.size, classes=len(data.classes))
    for name, part in space.items():
        for value in part.values if isinstance(part, Choice) else ():
            try:
                configured({name: value}, network, train)
            except ConfigError as error:
                raise ConfigError(f"{name} {value!r} of the space does not fit: {error}") from error
    objective = {
        "network": to_dict(network),
        "train": {key: value for key, value in to_dict(train).items() if key not in {"seed", "device"}},
        "split_hash": data.split_hash,
        "classes": list(data.classes),
        "pictures": [len(data.train), len(data.validation)],
    }
    plan = Plan(space, epochs=train.epochs, objective=objective, **choices)  # type: ignore[arg-type]
    return plan, Training(data.root, data.split, network, train, cache)


def run_sweep(desk: Desk, objective: Objective, *, jobs: int = 1, ray: str | None = None) -> None:
    """Run the trials that are left: here, in `jobs` processes, or on the Ray cluster at the address `ray`."""
    if ray is not None:
        run_on_ray(desk, objective, ray, jobs if jobs > 1 else 0)
    elif jobs > 1:
        run_processes(desk, objective, jobs)
    else:
        run_here(desk, objective)
