"""The self-test as the decision sees it: a person is put into copies of a camera's frames, and must be told of in time.

Its zones, tracks and on-delay are its own: what it sees raises and clears nothing but itself. Only that it fails
counts: two misses in a row make the camera BLIND until one is passed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from typing import Final

from railwatch.core.alerts import SelfTest
from railwatch.core.settings import SiteSettings
from railwatch.core.types import Observation, ZoneKind
from railwatch.decision.assessing import Outlook
from railwatch.decision.presence import ON_TRACK, CameraMemory, observe, tracked

MISSES_TO_BLIND: Final = 2
KEPT: Final = 100
"""Latencies of passed self-tests that percentiles are taken of."""

UNSEEN: Final = "the person who was put into its pictures was not seen in the track zone"
UNHEARD: Final = "the person who was put into its pictures was seen, but the alert did not arrive at a subscriber"


@dataclass(frozen=True, slots=True)
class Running:
    """A self-test that is going on since `begun_s` of the hub's clock; `memory` is what its own pictures said.

    `sections` are those in which the person was seen for the on-delay, empty before that; `seen_s` is when that was,
    and `age_s` how old the deciding frame was then.
    """

    probe_id: str
    begun_s: float
    within_s: float
    memory: CameraMemory
    sections: tuple[str, ...] = ()
    seen_s: float = 0.0
    age_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Probing:
    """What the self-tests of one camera have come to. `words` tells of the last one; times are of the hub's clock.

    `latencies_s` are those of the last KEPT passed ones: from the frame that decided to the arrival of the alert.
    """

    running: Running | None = None
    runs: int = 0
    misses: int = 0
    passed_s: float | None = None
    latencies_s: tuple[float, ...] = ()
    words: str = "the hub was started anew"

    @property
    def failing(self) -> bool:
        """Whether the camera is not to be trusted for it."""
        return self.misses >= MISSES_TO_BLIND

    @property
    def reason(self) -> str:
        """Why not."""
        return f"self-test failed {self.misses} times: {self.words}"

    def status(self, now_s: float) -> SelfTest:
        """What a Status tells of it."""
        ordered = sorted(self.latencies_s)
        return SelfTest(
            runs=self.runs,
            misses=self.misses,
            passed_age_s=None if self.passed_s is None else now_s - self.passed_s,
            p50_s=percentile(ordered, 0.5),
            p95_s=percentile(ordered, 0.95),
        )


def tried_cameras(site: SiteSettings) -> tuple[str, ...]:
    """The cameras that a self-test makes sense of: with a track zone, where people raise alarms."""
    people = any("person" in site.groups[group] for group in site.alarm_groups)
    watching = {zone.camera_id for zone in site.zones if zone.kind is ZoneKind.TRACK}
    return tuple(camera.camera_id for camera in site.cameras if people and camera.camera_id in watching)


def percentile(ordered: list[float], share: float) -> float | None:
    """The smallest of `ordered` values that `share` of them do not exceed; None without any.

    >>> percentile([0.1, 0.2, 0.3, 0.4], 0.5)
    0.2
    """
    return ordered[max(0, ceil(share * len(ordered)) - 1)] if ordered else None


def begun(before: Probing, probe_id: str, within_s: float, now_s: float) -> Probing:
    """A self-test begins; one that was going on is forgotten without a verdict."""
    words = before.words if before.running is None else "another one was begun before it was over: no verdict"
    return replace(before, running=Running(probe_id, now_s, within_s, CameraMemory(heard_s=now_s)), words=words)


def sighted(
    before: Probing, probe_id: str, seen: Observation, site: SiteSettings, outlook: Outlook, now_s: float
) -> Probing:
    """What one picture with the person in it said; of a self-test that is over, or has seen the person, nothing."""
    running = before.running
    if running is None or running.probe_id != probe_id or running.sections:
        return before
    memory = observe(tracked(running.memory, seen, site), seen, site, now_s, outlook)
    sections = tuple(
        section_id
        for section_id in site.sections
        if ON_TRACK in memory.view(section_id).raised(site.incidents.on_delay_hits)
    )
    running = replace(running, memory=memory, sections=sections)
    if sections:
        running = replace(running, seen_s=now_s, age_s=seen.vitals.frame_age_s or 0.0)
    return replace(before, running=running)


def heard(before: Probing, probe_id: str, now_s: float) -> Probing:
    """The alert of a self-test has arrived at a subscriber: it is passed."""
    running = before.running
    if running is None or running.probe_id != probe_id or not running.sections:
        return before
    latency_s = running.age_s + now_s - running.seen_s
    return replace(
        before,
        running=None,
        runs=before.runs + 1,
        misses=0,
        passed_s=now_s,
        latencies_s=(*before.latencies_s, latency_s)[-KEPT:],
        words=f"seen in the track zone, and heard by a subscriber {latency_s:.2f} s after the frame was taken",
    )


def overdue(running: Running | None, now_s: float) -> bool:
    """Whether the time of a self-test is up."""
    return running is not None and now_s - running.begun_s > running.within_s


def ended(before: Probing, reason: str | None, *, trusted: bool) -> Probing:
    """A self-test ends without having been passed: a miss, if the camera was to be trusted (`trusted`), else nothing.

    `reason` is why it could not be carried out, None when only its time is up.
    """
    running = before.running
    if not (trusted or before.failing):
        return replace(before, running=None, words="the camera could not be trusted: no verdict")
    words = reason or (UNHEARD if running is not None and running.sections else UNSEEN)
    return replace(before, running=None, runs=before.runs + 1, misses=before.misses + 1, words=words)
