"""When each camera is tried by a self-test: on a schedule, again soon after a miss, and when somebody asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from railwatch.core.alerts import Alert, AlertKind, CameraState
from railwatch.decision.inputs import Probe, ProbeEnded, ProbeHeard
from railwatch.decision.probing import tried_cameras
from railwatch.decision.state import DecisionState
from railwatch.seam.commands import Answer, Command, CommandKind

AFTER_A_MISS_S: Final = 1.0
WHILE_FAILING_S: Final = 10.0
"""A camera that is BLIND for its self-test is tried again so often (or at its interval, if that is shorter)."""

SETTLED_FRAMES: Final = 10
"""Good frames in a row before a camera is tried: one that has just come back has enough to do."""

EXTRA_FRAMES: Final = 3

Ask = Callable[[str, Command, Callable[[Answer], None]], None]
"""Sends a command to the worker of a group."""

Feed = Callable[[Probe | ProbeHeard | ProbeEnded], None]


class Prober:
    """Begins self-tests, one after the other. Used from the deciding thread; times are those of the hub's clock.

    `ask` sends a command to the worker of a group; `feed` hands an input to the decision.
    """

    def __init__(self, ask: Ask, feed: Feed) -> None:
        self._ask, self._feed = ask, feed
        self._due_s: dict[str, float] = {}
        self._count = 0
        self._open: dict[str, str] = {}

    def turn(self, state: DecisionState, now_s: float) -> None:
        """Begin the self-test that is due, if none is going on: one at a time costs the least delay."""
        names = tried_cameras(state.site)
        self._plan(state, names, now_s)
        if any(probing.running is not None for probing in state.probes.values()):
            return
        for name in sorted(names, key=lambda name: self._due_s.get(name, now_s)):
            if self._due_s.get(name, float("inf")) <= now_s and _ready(state, name):
                self._begin(state, name)
                return

    def request(self, state: DecisionState, camera_ids: Iterable[str], now_s: float) -> tuple[str, ...]:
        """Try these cameras as soon as may be; those of them that are tried at all."""
        chosen = tuple(name for name in tried_cameras(state.site) if name in set(camera_ids))
        self._due_s |= dict.fromkeys(chosen, now_s)
        return chosen

    def heard(self, state: DecisionState, alert: Alert) -> None:
        """A subscriber has the alert of a self-test."""
        name = alert.camera_id or ""
        probe_id = self._open.get(name)
        incident = state.incidents.get((AlertKind.TEST, alert.section_id, name))
        if probe_id is not None and incident is not None and incident.incident_id == alert.incident_id:
            self._feed(ProbeHeard(name, probe_id))

    def _plan(self, state: DecisionState, names: tuple[str, ...], now_s: float) -> None:
        """Give every camera its time; after the end of a self-test, that of the next."""
        interval_s = state.site.self_test.interval_s
        self._due_s = {name: due_s for name, due_s in self._due_s.items() if name in names}
        for number, name in enumerate(names, start=1):
            if interval_s and name not in self._due_s and name not in self._open:
                self._due_s[name] = now_s + interval_s * number / len(names)
        for name in list(self._open):
            probing = state.probing(name)
            if probing.running is not None:
                continue
            del self._open[name]
            if name in names and probing.misses:
                wait_s = WHILE_FAILING_S if probing.failing else AFTER_A_MISS_S
                self._due_s[name] = now_s + (min(wait_s, interval_s) if interval_s else wait_s)
            elif name in names and interval_s:
                self._due_s[name] = now_s + interval_s

    def _begin(self, state: DecisionState, name: str) -> None:
        site = state.site
        self._count += 1
        probe_id = f"{state.head.epoch}-t{self._count}"
        self._due_s.pop(name, None)
        self._open[name] = probe_id
        within_s = site.self_test.within_s
        self._feed(Probe(name, probe_id, within_s))
        frames = site.incidents.on_delay_window + site.tracker.confirm_hits + EXTRA_FRAMES
        group = next(camera.worker_group for camera in site.cameras if camera.camera_id == name)
        body = {"camera_id": name, "probe_id": probe_id, "frames": frames}
        self._ask(
            group,
            Command(probe_id, CommandKind.PROBE, within_s, body),
            lambda answer: self._answered(name, probe_id, answer),
        )

    def _answered(self, name: str, probe_id: str, answer: Answer) -> None:
        if not answer.ok:
            self._feed(ProbeEnded(name, probe_id, f"it could not be carried out: {answer.reason}"))


def _ready(state: DecisionState, name: str) -> bool:
    memory = state.cameras[name]
    if state.probing(name).failing:
        return not memory.waiting
    return memory.state is not CameraState.BLIND and memory.good_frames >= SETTLED_FRAMES
