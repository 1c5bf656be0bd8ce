"""Strategies of fine-tuning side by side, and beside a network from scratch: same split and pictures, several seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifiers.checkpoint import read_meta
from classifiers.config import NetworkConfig, TrainConfig
from classifiers.confirm import compared, judged
from classifiers.counting import formula
from classifiers.data import Data, open_data
from classifiers.engine import Result, fit
from classifiers.errors import ConfigError
from classifiers.files import read_json, write_json
from classifiers.split import Split
from classifiers.stats import CONFIDENCE, RESAMPLES, Estimate
from classifiers.strategies import Tuned, finetune

Told = Callable[[str, int, float], None]


@dataclass(frozen=True, slots=True)
class Entrant:
    """One way of training: its name, what is trained (a strategy, or a network from scratch), and how."""

    name: str
    what: Tuned | NetworkConfig
    train: TrainConfig


@dataclass(frozen=True, slots=True)
class Standing:
    """How an entrant did on the validation pictures.

    Attributes:
        accuracies: of every seed, 0 to 1; accuracy: their mean with its interval over seeds and pictures.
        seconds: mean wall time of a training; epochs: of one; trained_parameters: how many moved.
        gain: by how much it beats the network from scratch on the same pictures (None without one).
    """

    name: str
    accuracies: tuple[float, ...]
    accuracy: Estimate
    seconds: float
    epochs: int
    trained_parameters: int
    gain: Estimate | None


def contest(
    entrants: Sequence[Entrant], root: Path, split: Split, seeds: Sequence[int], out: Path,
    *, cache: Path | None = None, told: Told | None = None,
) -> list[Standing]:  # fmt: skip
    """Train every entrant from every seed in out/NAME-SEED and compare them; the last one from scratch is the measure.

    What was trained before is not trained again. Writes out/table.json. Raises ConfigError for fewer than two seeds.
    """
    if len(seeds) < 2:
        raise ConfigError(f"a comparison takes at least 2 seeds, to see how much they matter, but has {len(seeds)}")
    answers: dict[str, list[NDArray[np.bool_]]] = {}
    facts: dict[str, list[Mapping[str, Any]]] = {}
    opened: dict[int, Data] = {}
    for entrant in entrants:
        for seed in seeds:
            kept = _run(entrant, seed, root, split, out / f"{entrant.name}-{seed}", opened, cache)
            right = np.array(kept["right"], dtype=bool)
            answers.setdefault(entrant.name, []).append(right)
            facts.setdefault(entrant.name, []).append(kept)
            if told is not None:
                told(entrant.name, seed, float(right.mean()))
    measure = next((e.name for e in reversed(entrants) if isinstance(e.what, NetworkConfig)), None)
    found = [
        Standing(
            name=name,
            accuracies=tuple(float(right.mean()) for right in answers[name]),
            accuracy=mean_of(answers[name]),
            seconds=float(np.mean([kept["seconds"] for kept in facts[name]])),
            epochs=int(facts[name][0]["epochs"]),
            trained_parameters=int(facts[name][0]["trained_parameters"]),
            gain=compared(answers[name], answers[measure]).difference if measure not in {None, name} else None,
        )
        for name in answers
    ]
    pictures = len(next(iter(answers.values()))[0])
    document = {
        "split_hash": split.hash,
        "pictures": pictures,
        "seeds": list(seeds),
        "rows": [asdict(f) for f in found],
    }
    write_json(out / "table.json", document)
    return found


def mean_of(answers: Sequence[NDArray[np.bool_]]) -> Estimate:
    """Mean accuracy of several seeds on the same pictures, with its interval over resampled seeds and pictures.

    >>> mean_of([np.array([True, True]), np.array([True, True])])
    Estimate(value=1.0, low=1.0, high=1.0)
    """
    right = np.array(answers, dtype=np.float64)
    generator = np.random.default_rng(0)
    seeds, pictures = right.shape
    drawn = [
        right[generator.integers(0, seeds, seeds)][:, generator.integers(0, pictures, pictures)].mean()
        for _ in range(RESAMPLES)
    ]
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Estimate(float(right.mean()), float(low), float(high))


def _run(
    entrant: Entrant, seed: int, root: Path, split: Split, run: Path, opened: dict[int, Data], cache: Path | None
) -> Mapping[str, Any]:  # fmt: skip
    """The answers of one training, from the disk where it was done before."""
    kept = run / "answers.json"
    if not kept.is_file():
        config = entrant.what if isinstance(entrant.what, NetworkConfig) else entrant.what.config
        size = config.input_size
        if size not in opened:
            opened[size] = open_data(root, size=size, split=split, cache=cache)
        result = _train(entrant.what, replace(entrant.train, seed=seed), opened[size], run)
        moved = read_meta(run).facts.get("trained_parameters")
        right = judged(run, opened[size].validation)
        write_json(
            kept,
            {
                "right": right.astype(int).tolist(),
                # A training that was gone on with counts its epochs from before.
                "seconds": max(result.seconds, sum(row["seconds"] for row in result.history)),
                "epochs": result.epochs,
                "trained_parameters": moved if moved is not None else formula(config)[0],  # type: ignore[arg-type] # from scratch
            },
            indent=None,
        )
    return read_json(kept, ConfigError)


def _train(what: Tuned | NetworkConfig, train: TrainConfig, data: Data, run: Path) -> Result:
    if isinstance(what, NetworkConfig):
        return fit(what, train, data, run, resume=True)
    return finetune(what, train, data, run, resume=True)
