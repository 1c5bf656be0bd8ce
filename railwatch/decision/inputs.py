"""Everything that may change the decision, in the one order the hub gave it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from railwatch.core.alerts import AckLevel
from railwatch.core.second_look import Annotation
from railwatch.core.settings import SiteSettings
from railwatch.core.types import Observation, TrainReport

MAX_NAME_LENGTH: Final = 200
MAX_REASON_LENGTH: Final = 500
MAX_POSSESSION_S: Final = 12 * 3600.0
"""A possession that is forgotten ends with the shift."""

MAX_HOURS_S: Final = 3600.0
"""What the hub last said of the hours holds for no longer than this."""


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


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """Somebody says how far an open incident has come.

    `by` is the name of the person or program, `key_name` that of the key which the message came under (None: without
    keys). It never hides or lowers anything: the incident stays open until nobody is there.
    """

    incident_id: str
    level: AckLevel
    by: str
    key_name: str | None = None

    def __post_init__(self) -> None:
        for name, value in (("incident_id", self.incident_id), ("by", self.by), ("key_name", self.key_name)):
            if value is not None and not 1 <= len(value) <= MAX_NAME_LENGTH:
                raise ValueError(f"{name} must be 1 to {MAX_NAME_LENGTH} characters long, but has {len(value)}")


@dataclass(frozen=True, slots=True)
class SystemFault:
    """Something of the system itself is wrong (`reason`), or right again (None).

    `name` says what, in letters, digits, ``_`` and ``-``; each name is an incident of its own.
    """

    name: str
    reason: str | None

    def __post_init__(self) -> None:
        plain = self.name.replace("_", "").replace("-", "")
        if not (plain.isascii() and plain.isalnum() and len(self.name) <= MAX_NAME_LENGTH):
            raise ValueError(f"name must be letters, digits, _ and -, but is {self.name!r}")
        if self.reason is not None:
            object.__setattr__(self, "reason", self.reason[:MAX_REASON_LENGTH])


@dataclass(frozen=True, slots=True)
class Consumers:
    """Who listens: the names of the keys of the clients that are connected now, "" for a client without a key."""

    key_names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ConfigChange:
    """The site is another one from here on. Cameras whose zones and ground stay as they are keep their memory.

    A camera whose source changed gets a new worker: the hub sends WorkerLost for it too.
    """

    site: SiteSettings


@dataclass(frozen=True, slots=True)
class Possession:
    """Workers hold a rail track: who is on it is expected, so that only a train makes it an alarm above NOTICE.

    `holder` is who asked for it; it ends by itself after `lasts_s` seconds, 0 ends it now.
    """

    rail_track_id: str
    holder: str
    lasts_s: float

    def __post_init__(self) -> None:
        for name, value in (("rail_track_id", self.rail_track_id), ("holder", self.holder)):
            if not 1 <= len(value) <= MAX_NAME_LENGTH:
                raise ValueError(f"{name} must be 1 to {MAX_NAME_LENGTH} characters long, but has {len(value)}")
        if not 0.0 <= self.lasts_s <= MAX_POSSESSION_S:
            raise ValueError(f"lasts_s must be 0 to {MAX_POSSESSION_S:g}, but is {self.lasts_s}")


@dataclass(frozen=True, slots=True)
class Hours:
    """Which schedules hold by the clock of the hub's machine; None: nobody is sure of the time.

    After `lasts_s` seconds without another one nobody is sure any more.
    """

    schedule_ids: tuple[str, ...] | None
    lasts_s: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.lasts_s <= MAX_HOURS_S:
            raise ValueError(f"lasts_s must be 0 to {MAX_HOURS_S:g}, but is {self.lasts_s}")


@dataclass(frozen=True, slots=True)
class Probe:
    """A self-test of a camera begins, and must be passed within `within_s` seconds."""

    camera_id: str
    probe_id: str
    within_s: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.within_s) and self.within_s > 0.0):
            raise ValueError(f"within_s must be positive and finite, but is {self.within_s}")


@dataclass(frozen=True, slots=True)
class ProbeSight:
    """What was seen in the copy of a frame into which a person was put: it tells nothing of what is really there."""

    probe_id: str
    seen: Observation


@dataclass(frozen=True, slots=True)
class ProbeHeard:
    """The alert of a self-test has arrived at a subscriber."""

    camera_id: str
    probe_id: str


@dataclass(frozen=True, slots=True)
class ProbeEnded:
    """A self-test could not be carried out, and why."""

    camera_id: str
    probe_id: str
    reason: str


Input = (
    Observation
    | Tick
    | WorkerLost
    | Acknowledge
    | SystemFault
    | Consumers
    | ConfigChange
    | TrainReport
    | Possession
    | Hours
    | Probe
    | ProbeSight
    | ProbeHeard
    | ProbeEnded
    | Annotation
)


@dataclass(frozen=True, slots=True)
class Stamped:
    """An input with the hub's clocks: `received_s` monotonic, in seconds; `received_at` UTC, for people only."""

    received_s: float
    received_at: str
    input: Input

    def __post_init__(self) -> None:
        if not math.isfinite(self.received_s):
            raise ValueError(f"received_s must be finite, but is {self.received_s}")
