"""What may be said about a sweep: sentences that carry their statistic, interval and plot, and no sentence besides.

A sentence on hyperparameters stands only where its test survives the correction for all tests that were made. What is
not borne is named once, as not decided: absence of evidence is not told as evidence of absence.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from classifiers.analysis import MIN_TRIALS, Effect, Importance, Table
from classifiers.confirm import Confirmation
from classifiers.stats import Estimate, bootstrap_difference


@dataclass(frozen=True, slots=True)
class Inference:
    """A sentence, the statistic and interval that bear it, and the name of the figure that shows it."""

    sentence: str
    statistic: str
    figure: str


def wilson(successes: float, count: int) -> Estimate:
    """A share with its 95 % interval (Wilson 1927).

    >>> estimate = wilson(0, 10)
    >>> round(estimate.low, 3), round(estimate.high, 3)
    (0.0, 0.278)
    """
    z = 1.959964
    share = successes / count
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return Estimate(share, max(0.0, centre - half), min(1.0, centre + half))


def inferences(
    table: Table,
    found: list[Effect],
    shares: Importance | None,
    pictures: int,
    confirmed: Confirmation | None = None,
) -> list[Inference]:
    """All sentences that the data bear, the most useful first; `pictures` is the number of validation pictures."""
    if not table.rows:
        return []
    return [
        *_best(table, pictures),
        *(_confirmed(confirmed) if confirmed is not None else ()),
        *_effects(table, found),
        *_important(shares),
        *_sampler(table),
    ]


def undecided(table: Table, found: list[Effect]) -> str:
    """What the data leave open, in words; empty when nothing was asked."""
    tested = len(table.random.rows)
    if tested < MIN_TRIALS:
        return (
            f"Nothing is said about single hyperparameters: that takes at least {MIN_TRIALS} trials drawn at random, "
            f"and there are {tested}."
        )
    settled = {effect.contrast.name for effect in found if effect.borne}
    names = list(dict.fromkeys(effect.contrast.name for effect in found if effect.contrast.name not in settled))
    if not names:
        return ""
    widest = max((e.difference.high - e.difference.low) / 2 for e in found if e.contrast.name in names)
    return (
        f"Not decided by these {tested} trials: {', '.join(map(words, names))}. The intervals of their differences go "
        f"up to ± {100 * widest:.1f} points; effects smaller than that can be there unseen."
    )


def words(name: str) -> str:
    """A hyperparameter's name as people read it.

    >>> words("dense_layers")
    'dense layers'
    """
    return name.replace("_", " ")


def _best(table: Table, pictures: int) -> Iterator[Inference]:
    best = table.best
    share = wilson(best.value * pictures, pictures)
    yield Inference(
        f"Trial {best.number} is the best of {len(table.rows)}: {percent(best.value)} of the validation pictures are "
        f"right. As the best of many it flatters: expect less on new pictures.",
        f"{interval(share)}, Wilson, {pictures} pictures",
        "time",
    )


def _confirmed(confirmed: Confirmation) -> Iterator[Inference]:
    difference = confirmed.difference
    statistic = (
        f"{points(difference)} (mean of {len(confirmed.best)} and {len(confirmed.default)} new seeds, "
        f"{confirmed.pictures} pictures; paired by picture)"
    )
    if difference.excludes_zero:
        better, worse = ("best", "untuned default") if difference.value > 0 else ("untuned default", "best")
        yield Inference(
            f"Trained anew from other seeds, the {better} configuration beats the {worse} one on the same pictures.",
            statistic,
            "confirm",
        )
    else:
        yield Inference(
            "Trained anew from other seeds, the best configuration and the untuned default cannot be told apart.",
            statistic,
            "confirm",
        )


def _effects(table: Table, found: list[Effect]) -> Iterator[Inference]:
    tested = len(table.random.rows)
    for effect in sorted((e for e in found if e.borne), key=lambda e: e.p):
        contrast = effect.contrast
        high, low = (contrast.high, contrast.low) if effect.difference.value > 0 else (contrast.low, contrast.high)
        yield Inference(
            f"{words(contrast.name).capitalize()}: {high} does better than {low}.",
            f"{points(absolute(effect.difference))}; Spearman's rho {effect.correlation:+.2f}; p = {p_value(effect.p)} "
            f"adjusted for {len(found)} questions; {tested} random trials",
            "cost" if contrast.name == "multiply-adds" else "slices",
        )


def _important(shares: Importance | None) -> Iterator[Inference]:
    if shares is None or shares.out_of_bag <= 0:
        return
    for name, share in sorted(shares.shares.items(), key=lambda item: -item[1].value):
        if share.low > shares.chance:
            yield Inference(
                f"{words(name).capitalize()} alone explains more of the accuracy's variance than chance would.",
                f"{100 * share.value:.0f} % ({100 * share.low:.0f} to {100 * share.high:.0f} %; by chance at most "
                f"{100 * shares.chance:.0f} %); out-of-bag R² = {shares.out_of_bag:.2f}",
                "importance",
            )


def _sampler(table: Table) -> Iterator[Inference]:
    """Whether the trials that the sampler chose are better than those drawn at random."""
    random = table.random.values
    chosen = table.values[[not row.random for row in table.rows]]
    if len(random) < MIN_TRIALS or len(chosen) < MIN_TRIALS:
        return
    difference = bootstrap_difference(chosen, random)
    if difference.excludes_zero:
        how = "better" if difference.value > 0 else "worse"
        yield Inference(
            f"The {len(chosen)} trials that the sampler chose are {how} than the {len(random)} drawn at random.",
            points(absolute(difference)),
            "time",
        )


def percent(share: float) -> str:
    """A share as people write it: 34.4 %."""
    return f"{100 * share:.1f} %"


def interval(estimate: Estimate) -> str:
    """A share with its interval, in per cent."""
    return f"{percent(estimate.value)} (95 % interval {100 * estimate.low:.1f} to {100 * estimate.high:.1f})"


def points(estimate: Estimate) -> str:
    """A difference of shares with its interval, in percentage points."""
    value, low, high = (100 * part for part in (estimate.value, estimate.low, estimate.high))
    return f"{value:+.1f} points (95 % interval {low:+.1f} to {high:+.1f})"


def absolute(estimate: Estimate) -> Estimate:
    """The estimate turned so that its value is not negative."""
    return estimate if estimate.value >= 0 else Estimate(-estimate.value, -estimate.high, -estimate.low)


def p_value(p: float) -> str:
    """A p-value as people write it.

    >>> p_value(0.0001), p_value(0.0234)
    ('0.0001', '0.023')
    """
    return f"{p:.1g}" if p < 0.001 else f"{p:.2g}"
