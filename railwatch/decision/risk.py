"""How dangerous an object in a zone is: a table, a row a rule, and the sentence for the operator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from railwatch.core.alerts import Severity
from railwatch.core.types import Zone, ZoneKind
from railwatch.decision.zones import Hit


@dataclass(frozen=True, slots=True)
class Rule:
    """One row: in a zone of `kind` an object has `severity` (None: the site's severity_without_trains)."""

    name: str
    kind: ZoneKind
    severity: Severity | None
    place: str


RULES: Final[Mapping[ZoneKind, Rule]] = MappingProxyType(
    {
        rule.kind: rule
        for rule in (
            Rule("on-track", ZoneKind.TRACK, None, "on the track"),
            Rule("platform-edge", ZoneKind.PLATFORM_EDGE, Severity.NOTICE, "at the platform edge"),
            Rule("approach", ZoneKind.APPROACH, Severity.NOTICE, "near the track"),
        )
    }
)
"""The severity table. A train's approach will add rows; missing information never lowers a severity."""

_PLURAL: Final[Mapping[str, str]] = MappingProxyType({"person": "people", "sheep": "sheep"})


def severity_in(zone: Zone, severity_without_trains: Severity) -> Severity:
    """Severity of an object that stands in `zone`, which is not an ignore zone."""
    rule = RULES[zone.kind]
    return severity_without_trains if rule.severity is None else rule.severity


def counted(number: int, class_name: str) -> str:
    """A number and a class name as people say it.

    >>> counted(2, "person"), counted(1, "cow"), counted(3, "elephant")
    ('2 people', '1 cow', '3 elephants')
    """
    if number == 1:
        return f"1 {class_name}"
    return f"{number} {_PLURAL.get(class_name, class_name if class_name.endswith('s') else class_name + 's')}"


def sentence(hits: Iterable[Hit], longest_dwell_s: float) -> str:
    """One sentence on all hits of a section, the most dangerous place first; each object is told once.

    >>> sentence([], 0.0)
    'nobody is seen now'
    """
    told: set[tuple[str, int]] = set()
    parts = []
    by_kind = sorted(hits, key=lambda hit: (list(RULES).index(hit.zone.kind), hit.zone.camera_id, hit.track.track_id))
    for rule in RULES.values():
        counts: Counter[str] = Counter()
        for hit in by_kind:
            key = (hit.zone.camera_id, hit.track.track_id)
            if hit.zone.kind is rule.kind and key not in told:
                told.add(key)
                counts[hit.track.class_name] += 1
        if counts:
            parts.append(f"{' and '.join(counted(counts[name], name) for name in sorted(counts))} {rule.place}")
    if not parts:
        return "nobody is seen now"
    return f"{', '.join(parts)}, for {longest_dwell_s:.0f} s" if longest_dwell_s >= 1.0 else ", ".join(parts)
