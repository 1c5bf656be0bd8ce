"""What the operator reads: one sentence on everybody in a section, and on the train."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from railwatch.core.types import Assessment, ZoneKind
from railwatch.decision.risk import RULES
from railwatch.decision.zones import Hit

PLACES: Final[Mapping[ZoneKind, str]] = MappingProxyType(
    {
        ZoneKind.TRACK: "on the track",
        ZoneKind.PLATFORM_EDGE: "at the platform edge",
        ZoneKind.APPROACH: "near the track",
    }
)
"""Where somebody is, the most dangerous place first."""

WORST_FIRST: Final = tuple(PLACES)

_PLURAL: Final[Mapping[str, str]] = MappingProxyType({"person": "people", "sheep": "sheep"})
_ADVICE: Final[Mapping[str, str]] = MappingProxyType({rule.name: rule.advice for rule in RULES})


def counted(number: int, class_name: str) -> str:
    """A number and a class name as people say it.

    >>> counted(2, "person"), counted(1, "cow"), counted(3, "elephant")
    ('2 people', '1 cow', '3 elephants')
    """
    if number == 1:
        return f"1 {class_name}"
    return f"{number} {_PLURAL.get(class_name, class_name if class_name.endswith('s') else class_name + 's')}"


def sentence(hits: Iterable[Hit], longest_dwell_s: float, worst: Assessment | None = None) -> str:
    """One sentence on all hits of a section, the most dangerous place first; each object is told once.

    `worst` is the assessment that gave the severity: what it says of the train is told too.

    >>> sentence([], 0.0)
    'nobody is seen now'
    """
    parts = _by_place(sorted(hits, key=lambda hit: (WORST_FIRST.index(hit.zone.kind), *_identity(hit))))
    if not parts:
        return "nobody is seen now"
    told = ", ".join(parts)
    if longest_dwell_s >= 1.0:
        told += f", for {longest_dwell_s:.0f} s"
    if worst is None or not worst.why:
        return told
    advice = _ADVICE[worst.rule]
    return f"{told}; {worst.why}" + (f": {advice}" if advice else "")


def _by_place(hits: Sequence[Hit]) -> list[str]:
    told: set[tuple[str, int]] = set()
    parts = []
    for kind, place in PLACES.items():
        counts: Counter[str] = Counter()
        tracks: set[str] = set()
        for hit in hits:
            if hit.zone.kind is kind and _identity(hit) not in told:
                told.add(_identity(hit))
                counts[hit.track.class_name] += 1
                tracks |= {hit.zone.rail_track_id} if hit.zone.rail_track_id is not None else set()
        if counts:
            where = f" {', '.join(sorted(tracks))}" if tracks and kind is ZoneKind.TRACK else ""
            parts.append(f"{' and '.join(counted(counts[name], name) for name in sorted(counts))} {place}{where}")
    return parts


def _identity(hit: Hit) -> tuple[str, int]:
    return hit.zone.camera_id, hit.track.track_id
