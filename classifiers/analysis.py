"""What a sweep's trials say, as numbers: effects, correlation and importance of hyperparameters, with uncertainty.

Everything here works on a Table, however it came about. Trials that were drawn at random can be tested; those that a
sampler chose because of earlier trials cannot, as what it chose and when hang together, so they are shown but not
tested.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor

from classifiers.journal import trials_of
from classifiers.space import Choice, Range, Space, Value
from classifiers.stats import CONFIDENCE, Estimate, Floats, adjusted_p, bootstrap_difference, spearman

MIN_TRIALS: Final = 8
"""Fewer random trials than this bear no inference."""

_TREES: Final = 32
_PLACES: Final = 256
_LEVELS_OF_RANGE: Final = 7


@dataclass(frozen=True, slots=True)
class Row:
    """One trial that gave a value.

    Attributes:
        number, parameters, value: the trial; value is an accuracy, 0 to 1.
        pruned: whether it was stopped early; its value is then the best until there, a lower bound.
        random: whether its parameters were drawn without regard to other trials.
        started: when it was drawn (UTC); seconds: how long it trained.
        curve: (epoch, value) of every epoch.
        facts: what else is known (parameters, multiply_adds, ...).
    """

    number: int
    parameters: Mapping[str, Value]
    value: float
    pruned: bool
    random: bool
    started: datetime
    seconds: float
    curve: tuple[tuple[int, float], ...]
    facts: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Table:
    """The trials of a sweep that gave a value, by number; why others failed; how many are not done; the space."""

    space: Space
    rows: tuple[Row, ...]
    failed: tuple[str, ...] = ()
    unfinished: int = 0

    @property
    def random(self) -> Table:
        """Only the rows that were drawn at random."""
        return Table(self.space, tuple(row for row in self.rows if row.random), self.failed, self.unfinished)

    @property
    def values(self) -> Floats:
        """Values of the rows."""
        return np.array([row.value for row in self.rows])

    @property
    def best(self) -> Row:
        """The row with the highest value of those that were not pruned, else of all. Raises ValueError if none."""
        whole = [row for row in self.rows if not row.pruned] or self.rows
        return max(whole, key=lambda row: row.value)

    def column(self, name: str) -> list[Value]:
        """Values of a hyperparameter."""
        return [row.parameters[name] for row in self.rows]


def read_table(folder: Path) -> Table:
    """The table of a sweep's folder. Raises ConfigError if it holds no sweep."""
    plan, trials = trials_of(folder)
    rows, failed, unfinished = [], [], 0
    for trial in trials:
        state = trial.state.name
        if state in {"COMPLETE", "PRUNED"} and trial.value is not None and trial.datetime_start is not None:
            facts = dict(trial.user_attrs)
            drawn = facts.pop("drawn", "")
            rows.append(
                Row(
                    number=trial.number,
                    parameters=trial.params,
                    value=max(trial.intermediate_values.values()) if state == "PRUNED" else trial.value,
                    pruned=state == "PRUNED",
                    random=drawn in {"random", "grid"},
                    started=trial.datetime_start,
                    seconds=float(facts.get("seconds", 0.0)),
                    curve=tuple(sorted(trial.intermediate_values.items())),
                    facts=facts,
                )
            )
        elif state == "FAIL":
            failed.append(f"trial {trial.number}: {trial.user_attrs.get('error', 'no reason is known')}")
        else:
            unfinished += 1
    return Table(plan.space, tuple(rows), tuple(failed), unfinished)


@dataclass(frozen=True, slots=True)
class Contrast:
    """One question to the trials: does the accuracy differ along `design`?

    Attributes:
        name: the hyperparameter.
        high, low: what is compared, in words; the effect is how much more accurate `high` is.
        design: one number a trial; the test is of its rank correlation with the accuracy.
        groups: for every trial 1 (belongs to high), -1 (low) or 0 (neither): the effect's difference of means.
    """

    name: str
    high: str
    low: str
    design: Floats
    groups: NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Effect:
    """The answer to a contrast.

    Attributes:
        correlation: Spearman's, of the design with the accuracy; p: of it, adjusted for all questions asked.
        difference: of mean accuracies, high - low, 0 to 1.
        early: the same difference after as many epochs as every trial had: pruning cannot have made it.
    """

    contrast: Contrast
    correlation: float
    difference: Estimate
    early: float
    p: float

    @property
    def borne(self) -> bool:
        """Whether the data bear it: p below 0.05, the interval on the correlation's side of zero, and so early on."""
        sides = [self.difference.value * self.correlation, self.difference.value * self.early]
        return self.p < 1 - CONFIDENCE and self.difference.excludes_zero and min(sides) > 0


def contrasts(table: Table) -> list[Contrast]:
    """The questions a space raises: a trend for numbers, one value against the rest for words and truth values."""
    found: list[Contrast] = []
    for name, part in table.space.items():
        column = table.column(name)
        if isinstance(part, Range) or part.ordered:
            numbers = np.array([float(value) for value in column])
            if np.ptp(numbers) == 0:
                continue
            lowest, highest = _ends(part, numbers)
            groups = (numbers >= highest).astype(np.int8) - (numbers <= lowest).astype(np.int8)
            words = _ends_in_words(part, lowest, highest)
            found.append(Contrast(name, words[1], words[0], _logarithm(part, numbers), groups))
            continue
        for value in part.values[1:] if len(part.values) == 2 else part.values:
            here = np.array([other == value for other in column])
            if here.all() or not here.any():
                continue
            rest = str(part.values[0]) if len(part.values) == 2 else "the others"
            groups = np.where(here, 1, -1).astype(np.int8)
            found.append(Contrast(name, str(value), rest, here.astype(np.float64), groups))
    return found + _cost(table)


def _cost(table: Table) -> list[Contrast]:
    """The question whether larger networks are better, where every trial says how large its network is."""
    sizes = [row.facts.get("multiply_adds") for row in table.rows]
    numbers = np.array([float(size) if isinstance(size, int | float) else np.nan for size in sizes])
    if not np.isfinite(numbers).all() or np.ptp(numbers) == 0:
        return []
    low, high = np.quantile(numbers, [1 / 3, 2 / 3])
    groups = (numbers >= high).astype(np.int8) - (numbers <= low).astype(np.int8)
    words = f"at least {high / 1e6:.3g} million", f"at most {low / 1e6:.3g} million"
    return [Contrast("multiply-adds", *words, np.log(numbers), groups)]


def effects(table: Table, seed: int = 0) -> list[Effect]:
    """Every contrast of the random trials, answered as one family of tests. Empty below MIN_TRIALS trials."""
    tested = table.random
    if len(tested.rows) < MIN_TRIALS:
        return []
    asked = contrasts(tested)
    if not asked:
        return []
    values = tested.values
    early = _early_values(tested)
    p = adjusted_p(np.stack([contrast.design for contrast in asked]), values, seed)
    found = []
    for contrast, adjusted in zip(asked, p, strict=True):
        high, low = contrast.groups > 0, contrast.groups < 0
        difference = bootstrap_difference(values[high], values[low], seed)
        before = float(early[high].mean() - early[low].mean())
        found.append(Effect(contrast, spearman(contrast.design, values), difference, before, float(adjusted)))
    return found


def _early_values(table: Table) -> Floats:
    """The best value of every row until the last epoch that all of them reached; the value where no curve is known.

    Where nothing was pruned it is the value, too: some ways of training have fewer epochs than others.
    """
    if not all(row.curve for row in table.rows) or not any(row.pruned for row in table.rows):
        return table.values
    common = min(row.curve[-1][0] for row in table.rows)
    return np.array([max(value for epoch, value in row.curve if epoch <= common) for row in table.rows])


def _ends(part: Choice | Range, numbers: Floats) -> tuple[float, float]:
    """The lowest and highest value of a choice; of a range, where its lowest and highest third begin."""
    if isinstance(part, Choice):
        return float(numbers.min()), float(numbers.max())
    low, high = np.quantile(numbers, [1 / 3, 2 / 3])
    return float(low), float(high)


def _ends_in_words(part: Choice | Range, low: float, high: float) -> tuple[str, str]:
    if isinstance(part, Choice):
        return f"{low:g}", f"{high:g}"
    return f"at most {low:.3g}", f"at least {high:.3g}"


def _logarithm(part: Choice | Range, numbers: Floats) -> Floats:
    return np.log(numbers) if isinstance(part, Range) and part.log else numbers


@dataclass(frozen=True, slots=True)
class Importance:
    """Share of the accuracy's variance that each hyperparameter explains alone (main effect), and whether to read it.

    Attributes:
        shares: for each hyperparameter, 0 to 1, with its bootstrap interval over trials.
        chance: 95th percentile of the largest share of any when the accuracies are shuffled: less than this is nothing.
        out_of_bag: R^2 of the forest on trials its trees did not see; at or below 0 it has learned nothing.
    """

    shares: Mapping[str, Estimate]
    chance: float
    out_of_bag: float


def importance(table: Table, seed: int = 0, rounds: int = 40) -> Importance | None:
    """Functional ANOVA (Hutter et al. 2014) by random forests over all trials; None below MIN_TRIALS trials.

    Of each forest's prediction over the whole space, the variance of its mean along one hyperparameter is divided by
    the variance in all. Intervals come from forests on resampled trials, the chance level from forests on shuffled
    accuracies.
    """
    if len(table.rows) < MIN_TRIALS or np.ptp(table.values) == 0:
        return None
    generator = np.random.default_rng(seed)
    encode = _Encoding(table.space)
    known, values = encode.rows([row.parameters for row in table.rows]), table.values
    places = encode.rows(_drawn(table.space, _PLACES, generator))
    drawn, shuffled = [], []
    for round_ in range(rounds):
        rows = generator.integers(0, len(values), len(values))
        drawn.append(_shares(encode, _forest(known[rows], values[rows], seed + round_), places))
        shuffled.append(_shares(encode, _forest(known, generator.permutation(values), seed + round_), places))
    whole = _forest(known, values, seed, trees=4 * _TREES, out_of_bag=True)
    point = _shares(encode, whole, places)
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=0)
    chance = float(np.quantile(np.max(shuffled, axis=1), CONFIDENCE))
    shares = {n: Estimate(float(point[i]), float(low[i]), float(high[i])) for i, n in enumerate(table.space)}
    return Importance(shares, chance, float(whole.oob_score_))


def _forest(
    known: Floats, values: Floats, seed: int, trees: int = _TREES, *, out_of_bag: bool = False
) -> RandomForestRegressor:
    forest = RandomForestRegressor(trees, min_samples_leaf=2, random_state=seed, oob_score=out_of_bag)
    return forest.fit(known, values)


def _shares(encode: _Encoding, forest: RandomForestRegressor, places: Floats) -> Floats:
    """Main effect of every hyperparameter as a share of the variance of the forest's prediction over the space."""
    total = float(np.var(forest.predict(places)))
    shares = []
    for columns, levels in encode.parts:
        at = np.repeat(places[None], len(levels), axis=0)
        at[:, :, columns] = levels[:, None, :]
        means = forest.predict(at.reshape(-1, places.shape[1])).reshape(len(levels), -1).mean(1)
        shares.append(float(np.var(means)) / total if total > 0 else 0.0)
    return np.array(shares)


class _Encoding:
    """Hyperparameters as columns of numbers: numbers as they are (or their logarithm), all else one-hot."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self.parts: list[tuple[slice, Floats]] = []
        start = 0
        for part in space.values():
            levels = self._levels(part)
            self.parts.append((slice(start, start + levels.shape[1]), levels))
            start += levels.shape[1]

    @staticmethod
    def _levels(part: Choice | Range) -> Floats:
        """The values of a choice, or evenly spread ones of a range, each as its columns."""
        if isinstance(part, Range):
            ends = _logarithm(part, np.array([part.low, part.high], dtype=np.float64))
            return np.linspace(ends[0], ends[1], _LEVELS_OF_RANGE)[:, None]
        if part.ordered:
            return np.array([[float(value)] for value in part.values])
        return np.eye(len(part.values))

    def rows(self, chosen: Sequence[Mapping[str, Value]]) -> Floats:
        """One row of columns for each set of parameters."""
        columns = []
        for (name, part), (_, levels) in zip(self._space.items(), self.parts, strict=True):
            values = [parameters[name] for parameters in chosen]
            if isinstance(part, Range) or part.ordered:
                columns.append(_logarithm(part, np.array([[float(value)] for value in values])))
            else:
                columns.append(levels[[part.values.index(value) for value in values]])
        return np.concatenate(columns, axis=1)


def _drawn(space: Space, count: int, generator: np.random.Generator) -> list[dict[str, Value]]:
    """Parameters drawn evenly from the space."""
    return [{name: _draw(part, generator) for name, part in space.items()} for _ in range(count)]


def _draw(part: Choice | Range, generator: np.random.Generator) -> Value:
    if isinstance(part, Choice):
        return part.values[int(generator.integers(len(part.values)))]
    low, high = _logarithm(part, np.array([part.low, part.high], dtype=np.float64))
    drawn = float(generator.uniform(low, high))
    return float(np.exp(drawn)) if part.log else drawn
