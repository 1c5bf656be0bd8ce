"""What the second look at an animal changes: it may raise an incident, and nothing else.

An incident lives as if nobody had looked again: when it opens, what is told of it, when it is let go. What the second
look adds is kept beside that (`lifted`), with the same on-delay and off-delay. So no answer, whatever it says, whenever
it comes, of whichever track, can take away, delay or lower an alarm.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from railwatch.core.alerts import Severity
from railwatch.core.second_look import Annotation, SecondLookSettings
from railwatch.core.types import Assessment
from railwatch.decision.hours import Bounds
from railwatch.decision.risk import NO_TRAIN

MOST_LOOKS: Final = 200
"""Tracks of one camera of which an answer is remembered, the newest: as many as an Observation may carry."""

_NEXT: Final[Mapping[Severity, Severity]] = MappingProxyType(
    {Severity.NOTICE: Severity.WARNING, Severity.WARNING: Severity.EMERGENCY}
)
_CHANNELS: Final[Mapping[Severity, str]] = MappingProxyType({level: f"look:{level.value}" for level in Severity})

LIFTED: Final = _CHANNELS[Severity.NOTICE]
"""The channel of whatever is raised, to whichever severity."""

LIFTS: Final = tuple(_CHANNELS.values())
"""Channels of what is raised; they mean nothing to the life of the incident itself."""


class Look(NamedTuple):
    """What was said of one track, of its frame at `t_s` (the worker's clock)."""

    taxon: str
    confidence: float
    t_s: float


Looks = Mapping[int, Look]
"""What was said of the tracks of one camera, by their number."""

Known = Mapping[tuple[str, int], Look]
"""What was said, by camera and track."""

NO_LOOKS: Final[Looks] = MappingProxyType({})
NO_KNOWN: Final[Known] = MappingProxyType({})


def with_look(looks: Looks, said: Annotation, settings: SecondLookSettings) -> Looks:
    """The answers with one more. An abstention says nothing, and no answer unsays that an animal is one of a herd."""
    least = settings.least_confidence or 0.0
    if said.taxon is None or said.confidence < least:
        return looks
    look, before = Look(said.taxon, said.confidence, said.t_s), looks.get(said.track_id)
    herd = settings.herd_taxa
    if before is not None and before.taxon in herd and look.taxon not in herd:
        return looks
    kept = {number: item for number, item in looks.items() if number != said.track_id}
    kept[said.track_id] = look
    return MappingProxyType(dict(list(kept.items())[-MOST_LOOKS:]))


def lift_of(said: Assessment, *, possession: bool, bounds: Bounds) -> Severity | None:
    """The severity of an animal of a herd: one above what is `said` without that; None where it is not raised.

    It does not leave for a whistle. Where a trusted source says that no train comes there is none to stop: WARNING at
    most. A possession, and hours that lower, were laid down by people who know the place: they hold for animals too.
    """
    wanted = _NEXT.get(said.severity)
    if wanted is None or possession:
        return None
    if said.rule == NO_TRAIN:
        wanted = min(wanted, Severity.WARNING)
    if bounds.at_most is not None and said.train_eta_s is None:
        wanted = min(wanted, bounds.at_most)
    return wanted if wanted > said.severity else None


def lift_channels(lifted: Severity | None) -> frozenset[str]:
    """The channels of a severity that an animal was raised to: itself and all lower ones.

    >>> sorted(lift_channels(Severity.WARNING))
    ['look:NOTICE', 'look:WARNING']
    """
    if lifted is None:
        return frozenset()
    return frozenset(name for level, name in _CHANNELS.items() if level <= lifted)


def lift_in(channels: frozenset[str]) -> Severity | None:
    """The highest severity among the channels of the second look, None if there is none."""
    return None if LIFTED not in channels else max(level for level, name in _CHANNELS.items() if name in channels)


def words_of(look: Look) -> str:
    """What the operator reads of an animal that was raised.

    >>> words_of(Look("Mammalia", 0.934, 1.0))
    'second look: Mammalia, 93 % sure: will not leave by itself, one severity up'
    """
    return f"second look: {look.taxon}, {int(100 * look.confidence)} % sure: will not leave by itself, one severity up"
