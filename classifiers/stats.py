"""The statistics that reports rest on: ranks, correlations, bootstrap intervals, tests that mind how many they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
CONFIDENCE: Final = 0.95
RESAMPLES: Final = 2000
PERMUTATIONS: Final = 9999


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its interval of CONFIDENCE."""

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies on one side of zero."""
        return self.low > 0 or self.high < 0


def ranks(values: ArrayLike) -> Floats:
    """Ranks from 1; equal values share the mean of their ranks.

    >>> ranks([10, 30, 10]).tolist()
    [1.5, 3.0, 1.5]
    """
    _, inverse, counts = np.unique(np.asarray(values, dtype=np.float64), return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    shared: Floats = ((ends - counts + 1 + ends) / 2)[inverse]
    return shared


def correlation(first: ArrayLike, second: ArrayLike) -> float:
    """Pearson's correlation, -1 to 1; 0 where one of the two is constant.

    >>> correlation([1, 2, 3], [1, 2, 3])
    1.0
    """
    one, two = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if one.size < 2 or np.ptp(one) == 0 or np.ptp(two) == 0:
        return 0.0
    return round(float(np.corrcoef(one, two)[0, 1]), 12)


def spearman(first: ArrayLike, second: ArrayLike) -> float:
    """Spearman's rank correlation, -1 to 1; 0 where one of the two is constant.

    >>> spearman([1, 2, 3], [1, 4, 9])
    1.0
    """
    return correlation(ranks(first), ranks(second))


def bootstrap_difference(high: Floats, low: Floats, seed: int = 0, resamples: int = RESAMPLES) -> Estimate:
    """Difference of two groups' means, high - low, with its percentile interval over resamples in each (Efron 1979).

    Raises:
        ValueError: a group is empty.
    """
    if not high.size or not low.size:
        raise ValueError("a difference needs at least one value in each group")
    generator = np.random.default_rng(seed)
    means = [group[generator.integers(0, group.size, (resamples, group.size))].mean(1) for group in (high, low)]
    below, above = np.quantile(means[0] - means[1], [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Estimate(float(high.mean() - low.mean()), float(below), float(above))


def adjusted_p(contrasts: Floats, outcomes: ArrayLike, seed: int = 0, permutations: int = PERMUTATIONS) -> Floats:
    """p-value of each of C contrasts with the outcomes, adjusted for being C (Westfall and Young 1993, maxT).

    Each contrast [C, N] is correlated with the ranks of the N outcomes; the outcomes are then shuffled, all contrasts
    at once, and a contrast's p is the share of shuffles in which any contrast reaches its correlation. So the chance
    that any of them falls below 0.05 while nothing matters is 5 %, however the contrasts hang together.

    >>> nothing = adjusted_p(np.array([[0.0, 0.0, 1.0, 1.0]]), [1, 1, 1, 1])
    >>> nothing.tolist()
    [1.0]
    """
    by_rank = _unit(ranks(outcomes)[None])[0]
    designs = _unit(np.asarray(contrasts, dtype=np.float64))
    observed = np.abs(designs @ by_rank)
    shuffled = np.random.default_rng(seed).permuted(np.tile(by_rank, (permutations, 1)), axis=1)
    largest = np.sort(np.abs(shuffled @ designs.T).max(axis=1, initial=0.0))
    below = np.searchsorted(largest, observed - 1e-12)
    p: Floats = (permutations - below + 1) / (permutations + 1)
    return p


def _unit(rows: Floats) -> Floats:
    """Rows with mean 0 and length 1; constant rows are 0."""
    centred = rows - rows.mean(1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    unit: Floats = np.divide(centred, length, out=np.zeros_like(centred), where=length > 1e-12)
    return unit
