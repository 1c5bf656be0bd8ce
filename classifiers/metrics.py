"""Scores of a classifier from its probabilities and the truth, each with an interval where chance has a say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
BINS: Final = 15
RESAMPLES: Final = 2000


@dataclass(frozen=True, slots=True)
class ClassScore:
    """One class: how many pictures it has, and its precision, recall and F1 (0 to 1; 0 where nothing was predicted)."""

    name: str
    pictures: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores on N pictures.

    Attributes:
        accuracy, macro_f1: 0 to 1; macro_f1 is the mean over the classes that occur.
        loss: mean cross entropy in nats.
        ece: expected calibration error, 0 to 1: by how much confidence differs from accuracy, over 15 equal bins.
        intervals: of accuracy, macro_f1 and loss, 95 %, by the percentile bootstrap over pictures.
        confusion: pictures by true class (row) and predicted class (column).
        classes: each class's scores.
    """

    accuracy: float
    loss: float
    macro_f1: float
    ece: float
    intervals: dict[str, tuple[float, float]]
    confusion: tuple[tuple[int, ...], ...]
    classes: tuple[ClassScore, ...]


def score(probabilities: Floats, labels: Labels, names: tuple[str, ...], seed: int = 0) -> Scores:
    """All scores of probabilities [N, C] against labels [N]."""
    predicted = probabilities.argmax(1)
    each_loss = -np.log(np.clip(probabilities[np.arange(len(labels)), labels], 1e-300, None))
    table = confusion(predicted, labels, len(names))
    right = (predicted == labels).astype(np.float64)
    cells = labels * len(names) + predicted

    def macro_of(rows: Labels) -> float:
        counts = np.bincount(cells[rows], minlength=len(names) ** 2)
        return macro_f1(counts.reshape(len(names), len(names)))

    return Scores(
        accuracy=float(right.mean()),
        loss=float(each_loss.mean()),
        macro_f1=macro_f1(table),
        ece=calibration_error(probabilities, labels),
        intervals={
            "accuracy": bootstrap(lambda rows: float(right[rows].mean()), len(labels), seed),
            "loss": bootstrap(lambda rows: float(each_loss[rows].mean()), len(labels), seed),
            "macro_f1": bootstrap(macro_of, len(labels), seed),
        },
        confusion=tuple(tuple(int(cell) for cell in row) for row in table),
        classes=_classes(table, names),
    )


def confusion(predicted: Labels, labels: Labels, classes: int) -> Labels:
    """Counts int64 [classes, classes] by true class (row) and predicted class (column).

    >>> confusion(np.array([0, 1, 1]), np.array([0, 0, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    return np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)


def macro_f1(table: Labels) -> float:
    """Mean F1 over the classes that occur as truth.

    >>> round(macro_f1(np.array([[1, 1], [0, 1]])), 4)
    0.6667
    """
    right = np.diag(table)
    both = table.sum(0) + table.sum(1)
    occurs = table.sum(1) > 0
    return float((2 * right[occurs] / both[occurs]).mean())


def calibration_error(probabilities: Floats, labels: Labels, bins: int = BINS) -> float:
    """Expected calibration error (Guo et al. 2017): |accuracy - confidence| a bin, weighted by its pictures.

    >>> calibration_error(np.array([[0.75, 0.25]] * 4), np.array([0, 0, 0, 1]))
    0.0
    """
    confidence = probabilities.max(1)
    right = probabilities.argmax(1) == labels
    number = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = np.bincount(number, weights=right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(labels))


def bootstrap(statistic: Callable[[Labels], float], count: int, seed: int = 0) -> tuple[float, float]:
    """95 % interval of a statistic of `count` pictures, given as a function of the rows that a resample takes."""
    rng = np.random.default_rng(seed)
    values = [statistic(rng.integers(0, count, count)) for _ in range(RESAMPLES)]
    low, high = np.percentile(values, (2.5, 97.5))
    return float(low), float(high)


def _classes(table: Labels, names: tuple[str, ...]) -> tuple[ClassScore, ...]:
    scores = []
    for number, name in enumerate(names):
        right, said, true = int(table[number, number]), int(table[:, number].sum()), int(table[number].sum())
        f1 = 2 * right / (said + true) if said + true else 0.0
        scores.append(ClassScore(name, true, right / said if said else 0.0, right / true if true else 0.0, f1))
    return tuple(scores)
