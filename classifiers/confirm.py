"""Is the best of a sweep better, or was it lucky? Train it and the untuned default anew, from other seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from classifiers.checkpoint import load_run
from classifiers.config import to_dict
from classifiers.data import Pictures
from classifiers.engine import fit
from classifiers.errors import ConfigError
from classifiers.files import read_json, write_json
from classifiers.space import Value, configured
from classifiers.stats import CONFIDENCE, RESAMPLES, Estimate
from classifiers.sweep import Training

FIRST_SEED: Final = 1_000_000_000
"""Trials of a sweep take seeds at random below 2^31; confirmations count up from here."""

_BATCH: Final = 128


@dataclass(frozen=True, slots=True)
class Confirmation:
    """Two configurations trained anew, judged on the same validation pictures.

    Attributes:
        best, default: accuracy of every seed, 0 to 1.
        difference: mean of best less mean of default, with the interval over pictures (paired) and seeds.
        trial: the number of the trial whose configuration is the best; pictures: how many are judged.
    """

    best: tuple[float, ...]
    default: tuple[float, ...]
    difference: Estimate
    trial: int
    pictures: int


def confirm(
    folder: Path, objective: Training, trial: int, parameters: Mapping[str, Value], seeds: int,
    told: Callable[[str, int, float], None] | None = None,
) -> Confirmation:  # fmt: skip
    """Train the trial's configuration and the sweep's untuned one from `seeds` new seeds each, in folder/confirm.

    What was trained before is not trained again. Raises ConfigError for fewer than two seeds, which say nothing of
    chance.
    """
    if seeds < 2:
        raise ConfigError(f"a confirmation takes at least 2 seeds, to see how much they matter, but {seeds} is given")
    answers: dict[str, list[NDArray[np.bool_]]] = {"best": [], "default": []}
    for name, chosen in (("best", parameters), ("default", {})):
        network, train = configured(chosen, objective.network, objective.train)
        for index in range(seeds):
            run = folder / "confirm" / f"{f'trial-{trial:04d}' if name == 'best' else name}-{index}"
            seeded = replace(train, seed=FIRST_SEED + index)
            if not (run / "answers.json").is_file():
                fit(network, seeded, objective.data(), run, resume=True)
                right = judged(run, objective.data().validation)
                document = {"train": to_dict(seeded), "right": right.astype(int).tolist()}
                write_json(run / "answers.json", document, indent=None)
            right = np.array(read_json(run / "answers.json", ConfigError)["right"], dtype=bool)
            answers[name].append(right)
            if told is not None:
                told(name, index, float(right.mean()))
    found = compared(answers["best"], answers["default"], trial)
    write_json(folder / "confirm.json", to_plain(found))
    return found


def judged(run: Path, pictures: Pictures) -> NDArray[np.bool_]:
    """Whether a run's network is right, for each picture."""
    network = load_run(run).network
    guesses = []
    with torch.no_grad():
        for start in range(0, len(pictures), _BATCH):
            batch = torch.from_numpy(pictures.pixels[start : start + _BATCH].copy()).permute(0, 3, 1, 2)
            guesses.append(network(batch).argmax(1).numpy())
    right: NDArray[np.bool_] = np.concatenate(guesses) == pictures.labels
    return right


def compared(best: Sequence[NDArray[np.bool_]], default: Sequence[NDArray[np.bool_]], trial: int = 0) -> Confirmation:
    """Compare answers, one array [pictures] a seed. Pictures are resampled together for both, seeds for each apart."""
    ones, twos = np.array(best, dtype=np.float64), np.array(default, dtype=np.float64)
    generator = np.random.default_rng(0)
    drawn = np.empty(RESAMPLES)
    for i in range(RESAMPLES):
        pictures = generator.integers(0, ones.shape[1], ones.shape[1])
        means = [side[generator.integers(0, len(side), len(side))].mean(0)[pictures].mean() for side in (ones, twos)]
        drawn[i] = means[0] - means[1]
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    difference = Estimate(float(ones.mean() - twos.mean()), float(low), float(high))
    return Confirmation(
        tuple(map(float, ones.mean(1))), tuple(map(float, twos.mean(1))), difference, trial, ones.shape[1]
    )


def to_plain(found: Confirmation) -> dict[str, Any]:
    """As plain JSON values."""
    difference = [found.difference.value, found.difference.low, found.difference.high]
    return {
        "trial": found.trial,
        "best": list(found.best),
        "default": list(found.default),
        "difference": difference,
        "pictures": found.pictures,
    }


def read_confirmation(folder: Path) -> Confirmation | None:
    """The confirmation of a sweep's folder, or None where there is none. Raises ConfigError where it is damaged."""
    file = folder / "confirm.json"
    if not file.is_file():
        return None
    value = read_json(file, ConfigError)
    try:
        difference = Estimate(*map(float, value["difference"]))
        return Confirmation(
            tuple(value["best"]), tuple(value["default"]), difference, int(value["trial"]), int(value["pictures"])
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{file} must be a confirmation, but is damaged: {error!r}") from error
