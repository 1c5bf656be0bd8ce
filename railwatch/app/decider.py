"""The decision with its surroundings: inputs are stamped, recorded, decided and told, in one order."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, floor
from typing import Protocol

from railwatch.core.alerts import Alert, Status
from railwatch.core.settings import SiteSettings
from railwatch.core.types import Observation
from railwatch.decision.escalation import RECEIVED_WITHIN_S
from railwatch.decision.inputs import Input, Stamped, Tick
from railwatch.decision.status import status_of
from railwatch.decision.step import DecisionState, step
from railwatch.messaging.heartbeat import StatusBody


class InputSink(Protocol):
    """Keeps inputs, as `railwatch.app.record.Recorder` does."""

    def write(self, stamped: Stamped) -> None:
        """Keep one more."""


OnDecided = Callable[[Stamped, DecisionState, tuple[Alert, ...]], None]


class Decider:
    """Holds the state of the decision and passes on what it says.

    `on_alert(alert, received_s)` is called for every alert in order, then `on_status` with the state after it; every
    input is recorded before it is decided. `on_decided` is called last, with the input, the state after it, and the
    alerts: what it does delays none of them. `utc_now` gives the time stamps for people (ISO 8601).
    """

    def __init__(
        self,
        state: DecisionState,
        utc_now: Callable[[], str],
        on_alert: Callable[[Alert, float], None],
        on_status: Callable[[Status], None],
        recorder: InputSink | None = None,
        on_decided: OnDecided | None = None,
    ) -> None:
        self.state = state
        self._utc_now = utc_now
        self._on_alert = on_alert
        self._on_status = on_status
        self._recorder = recorder
        self._on_decided = on_decided

    def feed(self, value: Input, received_s: float) -> tuple[Alert, ...]:
        """Decide one input that the hub received at `received_s` on its own clock."""
        stamped = Stamped(received_s, self._utc_now(), value)
        if self._recorder is not None:
            self._recorder.write(stamped)
        return self.decide(stamped)

    def decide(self, stamped: Stamped) -> tuple[Alert, ...]:
        """Decide an input that is stamped already, as a replay does."""
        self.state, alerts = step(self.state, stamped)
        for alert in alerts:
            self._on_alert(alert, stamped.received_s)
        self._on_status(status_of(self.state))
        if self._on_decided is not None:
            self._on_decided(stamped, self.state, alerts)
        return alerts

    def feed_on_source_time(self, seen: Observation) -> tuple[Alert, ...]:
        """Decide an Observation of a recording: its own time is the clock, with a tick for every second that passed.

        So the same clip gives the same alerts on a slow and on a fast machine, and a hole in the recording counts as
        time in which nobody looked.
        """
        alerts: tuple[Alert, ...] = ()
        first = floor(self.state.now_s) + 1
        # Once every camera has timed out and every group was told, more ticks change nothing: a clip whose clock jumps
        # by years stays cheap.
        last = first + ceil(settling_s(self.state.site)) + 1
        for second in range(first, min(last, floor(seen.t_s)) + 1):
            alerts += self.feed(Tick(float(second)), float(second))
        return alerts + self.feed(seen, seen.t_s)


def settling_s(site: SiteSettings) -> float:
    """Seconds of silence after which nothing changes any more: cameras are BLIND, and all groups were told."""
    escalation = site.escalation
    longest_s = max((rule.within_s for rule in escalation.rules), default=0.0)
    return site.camera_timeout_s + (len(escalation.groups) + 1) * longest_s + RECEIVED_WITHIN_S


def status_body(status: Status) -> StatusBody:
    """The part of a Status that the publisher is given; it adds identity, numbers and nonces."""
    return StatusBody(status.sections, status.cameras, status.trains, status.open_incidents, status.config_rev)
