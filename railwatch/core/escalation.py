"""Who of a site is told, in which order, and what must come back."""

from __future__ import annotations

import math
from dataclasses import dataclass

from railwatch.core.alerts import AckLevel, Severity


@dataclass(frozen=True, slots=True)
class EscalationGroup:
    """People who are told together. `keys` are the names of their keys; without any, everybody belongs to the group.

    `required`: that nobody of it is connected is an alarm by itself.
    """

    group_id: str
    keys: tuple[str, ...] = ()
    required: bool = True

    def has(self, key_name: str | None) -> bool:
        """Whether the holder of a key (None: a client without one) belongs to the group."""
        return not self.keys or key_name in self.keys


@dataclass(frozen=True, slots=True)
class EscalationRule:
    """An incident of `severity` or above must come to `level` within `within_s`, or it goes to the next group."""

    severity: Severity
    level: AckLevel
    within_s: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.within_s) and self.within_s > 0.0):
            raise ValueError(f"within_s must be positive and finite, but is {self.within_s}")


@dataclass(frozen=True, slots=True)
class EscalationSettings:
    """Who is told, in which order, and what must come back.

    `groups` are told one after the other, the first at once. Of `rules`, the one with the highest severity not above
    the incident's counts.
    """

    groups: tuple[EscalationGroup, ...] = ()
    rules: tuple[EscalationRule, ...] = ()

    def rule_for(self, severity: Severity) -> EscalationRule | None:
        """The rule that an incident of `severity` is under, None if there is none."""
        rules = [rule for rule in self.rules if rule.severity <= severity]
        return max(rules, key=lambda rule: rule.severity, default=None)
