"""What a site lays down about the self-test of its cameras."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SelfTestSettings:
    """How often each camera is tried (`interval_s`, 0: only when somebody asks), and how soon it must be passed.

    Raises ValueError when a time is negative or not finite, or `within_s` is not positive.
    """

    interval_s: float = 300.0
    within_s: float = 5.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.interval_s) and self.interval_s >= 0.0):
            raise ValueError(f"interval_s must be 0 or more, but is {self.interval_s}")
        if not (math.isfinite(self.within_s) and self.within_s > 0.0):
            raise ValueError(f"within_s must be positive and finite, but is {self.within_s}")
