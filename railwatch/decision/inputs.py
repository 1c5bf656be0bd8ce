"""Everything that may change the decision, in the one order the hub gave it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from railwatch.core.types import Observation


@dataclass(frozen=True, slots=True)
class Tick:
    """Time went by. The hub sends one at least every second, so that silence is noticed."""

    now_s: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.now_s):
            raise ValueError(f"now_s must be finite, but is {self.now_s}")


@dataclass(frozen=True, slots=True)
class WorkerLost:
    """The worker of these cameras is gone: they are BLIND until they are observed again."""

    camera_ids: tuple[str, ...]
    reason: str


Input = Observation | Tick | WorkerLost


@dataclass(frozen=True, slots=True)
class Stamped:
    """An input with the hub's clocks: `received_s` monotonic, in seconds; `received_at` UTC, for people only."""

    received_s: float
    received_at: str
    input: Input

    def __post_init__(self) -> None:
        if not math.isfinite(self.received_s):
            raise ValueError(f"received_s must be finite, but is {self.received_s}")
