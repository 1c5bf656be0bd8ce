"""The hub's part of evidence: what is asked of the workers when an incident opens, escalates or closes.

Everything here happens after the alert has gone out, in turns that wait for nothing; the disk has a thread of its own.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from railwatch.app.evidence_writer import FAULT, EvidenceWriter, Piece, Trouble
from railwatch.app.explain_frame import Moment
from railwatch.core.alerts import Action, Alert
from railwatch.core.errors import WireError
from railwatch.core.evidence import LONGEST_APPROACH_S, EvidenceSettings
from railwatch.core.types import Observation
from railwatch.decision.incidents import cameras_of
from railwatch.decision.inputs import Stamped
from railwatch.decision.state import DecisionState
from railwatch.evidence.store import EvidenceFile
from railwatch.seam.clips import ClipFile, ClipOrder, order_to_body, state_from_body
from railwatch.seam.commands import Answer, Command, CommandKind

MOST_MOMENTS: Final = 2000
"""Most frames of one camera that are remembered: a minute at 30 a second."""

MOST_JOBS: Final = 32
MOST_CAMERAS: Final = 4
"""Cameras of one incident of which clips are kept: the one of the worst object first."""

ASK_S: Final = 0.3
ASK_TIMEOUT_S: Final = 5.0
READY_WITHIN_S: Final = 90.0
"""A worker must have a clip ready so soon after its end; encoding one anew takes some time."""

MAX_FILE_BYTES: Final = 2 * 1024**3

Ask = Callable[[str, Command, Callable[[Answer], None]], None]
"""Sends a command to the worker of a group."""


@dataclass(slots=True, eq=False)
class _Part:
    """What one camera gives to a piece. `due_s`: when the worker is asked next; `asking`: an answer is under way."""

    order: ClipOrder
    group: str
    first_detection_s: float | None
    due_s: float
    deadline_s: float
    begun: bool = False
    asking: bool = False
    finished: bool = False
    expected: tuple[ClipFile, ...] | None = None
    content: dict[str, bytearray] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class _Job:
    alert: Alert
    section_id: str
    parts: list[_Part]
    from_s: float
    until_s: float


class EvidenceDesk:
    """Jobs that are under way. Used from the deciding thread; times are seconds of the hub's clock."""

    def __init__(self, ask: Ask, writer: EvidenceWriter, on_trouble: Trouble) -> None:
        self._ask, self._writer, self._on_trouble = ask, writer, on_trouble
        self._moments: dict[str, deque[Moment]] = {}
        self._jobs: list[_Job] = []
        self._settings = EvidenceSettings()

    def decided(self, stamped: Stamped, state: DecisionState, alerts: tuple[Alert, ...]) -> None:
        """An input was decided, and its alerts have gone out: remember the frame, begin what is to be kept."""
        settings = state.site.evidence
        if settings != self._settings:
            self._settings = settings
            self._writer.arrange(settings)
        if not settings.record:
            self._moments.clear()
            return
        if isinstance(stamped.input, Observation):
            self._remember(Moment(stamped.received_s, stamped, state, alerts))
        for alert in alerts:
            if alert.evidence is not None:
                self._begin(alert, state, stamped.received_s)

    def turn(self, now_s: float) -> None:
        """Ask the workers what is to be asked, hand on what is whole; never waits."""
        for job in list(self._jobs):
            for part in job.parts:
                if not part.finished:
                    self._push(part, now_s)
            if now_s >= job.until_s and all(part.finished for part in job.parts):
                self._jobs.remove(job)
                self._writer.write(self._piece(job))

    def close(self) -> None:
        """The hub ends: what is there is kept, what is not is noted."""
        for job in self._jobs:
            for part in job.parts:
                if not part.finished:
                    part.notes.append("the hub ended before the worker had given everything")
            self._writer.write(self._piece(job))
        self._jobs.clear()
        self._writer.close()

    def _remember(self, moment: Moment) -> None:
        seen = moment.stamped.input
        assert isinstance(seen, Observation)  # noqa: S101 - for the type checker
        kept = self._moments.setdefault(seen.camera_id, deque(maxlen=MOST_MOMENTS))
        kept.append(moment)
        while moment.t_s - kept[0].t_s > self._settings.ring_s:
            kept.popleft()

    def _begin(self, alert: Alert, state: DecisionState, now_s: float) -> None:
        if len(self._jobs) >= MOST_JOBS:
            self._on_trouble(FAULT, f"{MOST_JOBS} pieces of evidence are under way: {alert.evidence} is lost")
            return
        named = dict.fromkeys([*([alert.camera_id] if alert.camera_id else []), *alert.camera_ids])
        parts = [part for name in list(named)[:MOST_CAMERAS] if (part := self._part(name, alert, state, now_s))]
        until_s = now_s + self._settings.post_roll_s
        longest_s = self._settings.pre_roll_s + LONGEST_APPROACH_S
        self._jobs.append(_Job(alert, alert.section_id, parts, now_s - longest_s, until_s))
        for part in parts:
            self._push(part, now_s)  # now: the frame that decided is held by the worker for a moment only

    def _part(self, camera_id: str, alert: Alert, state: DecisionState, now_s: float) -> _Part | None:
        moments = self._moments.get(camera_id)
        group = next((c.worker_group for c in state.site.cameras if c.camera_id == camera_id), None)
        if not moments or group is None:
            return None
        seen = moments[-1].stamped.input
        assert isinstance(seen, Observation)  # noqa: S101 - for the type checker
        told = {item.track_id for item in alert.objects}
        since = [track.first_seen_s for track in seen.tracks if track.track_id in told]
        first_s = min(since, default=None) if alert.action is not Action.CLOSED else None
        begin_s = max(seen.t_s - LONGEST_APPROACH_S, seen.t_s if first_s is None else first_s)
        order = ClipOrder(
            hashlib.sha256(f"{alert.evidence} {camera_id}".encode()).hexdigest()[:32],
            camera_id,
            seen.index,
            begin_s - self._settings.pre_roll_s,
            seen.t_s + self._settings.post_roll_s,
            f"{alert.severity.value} {alert.action.value} {alert.published_at} {alert.why}"[:200],
        )
        deadline_s = now_s + self._settings.post_roll_s + READY_WITHIN_S
        return _Part(order, group, first_s, now_s, deadline_s)

    def _push(self, part: _Part, now_s: float) -> None:
        """The next question to the worker, if one is due."""
        if now_s > part.deadline_s:
            self._finish(part, "the worker was not ready in time")
        if part.asking or part.finished or now_s < part.due_s:
            return
        if not part.begun:
            self._send(part, order_to_body(part.order), lambda _: self._accepted(part, now_s))
        elif part.expected is None:
            self._send(part, self._named(part, "ask"), lambda answer: self._ready(part, answer, now_s))
        else:
            self._fetch(part)

    def _fetch(self, part: _Part) -> None:
        for file in part.expected or ():
            held = part.content.setdefault(file.kind, bytearray())
            if len(held) < file.size:
                body = self._named(part, "fetch") | {"kind": file.kind, "offset": len(held)}
                self._send(part, body, partial(_came, held))
                return
        self._send(part, self._named(part, "forget"), lambda _: None)
        part.finished = True

    def _named(self, part: _Part, do: str) -> dict[str, Any]:
        return {"do": do, "evidence_id": part.order.evidence_id}

    def _send(self, part: _Part, body: dict[str, Any], then: Callable[[Answer], None]) -> None:
        def answered(answer: Answer) -> None:
            part.asking = False
            if part.finished:
                return
            if not answer.ok:
                self._finish(part, answer.reason)
                return
            try:
                then(answer)
            except WireError as error:
                self._finish(part, str(error))

        part.asking = True
        self._ask(part.group, Command(secrets.token_hex(8), CommandKind.CUT_CLIP, ASK_TIMEOUT_S, body), answered)

    def _accepted(self, part: _Part, now_s: float) -> None:
        part.begun = True
        part.due_s = now_s + self._settings.post_roll_s

    def _ready(self, part: _Part, answer: Answer, now_s: float) -> None:
        state = state_from_body(answer.body)
        part.due_s = now_s + ASK_S
        if state.done:
            part.expected = tuple(file for file in state.files if file.size <= MAX_FILE_BYTES)
            part.notes += state.notes

    def _finish(self, part: _Part, reason: str) -> None:
        part.notes.append(reason)
        part.finished = True

    def _piece(self, job: _Job) -> Piece:
        names = {part.order.camera_id for part in job.parts}
        files: list[EvidenceFile] = []
        cameras = []
        for number, part in enumerate(job.parts, start=1):
            found = tuple(_whole(part, number))
            files += found
            cameras.append(
                {
                    "camera_id": part.order.camera_id,
                    "first_detection_s": part.first_detection_s,
                    "files": [file.name for file in found],
                    "notes": part.notes,
                }
            )
        notes = () if job.parts else ("no camera of the incident gave anything",)
        return Piece(job.alert, tuple(self._frames(job, names)), tuple(files), tuple(cameras), notes)

    def _frames(self, job: _Job, names: Iterable[str]) -> list[Moment]:
        found = [
            moment
            for name in names
            for moment in self._moments.get(name, ())
            if job.from_s <= moment.t_s <= job.until_s and name in cameras_of(moment.state.site, job.section_id)
        ]
        return sorted(found, key=lambda moment: moment.t_s)


def _came(held: bytearray, answer: Answer) -> None:
    if not answer.attachment:
        raise WireError("a chunk of evidence must hold something, but is empty")
    held += answer.attachment


def _whole(part: _Part, number: int) -> Iterable[EvidenceFile]:
    """The files that came whole."""
    for file in part.expected or ():
        held = part.content.get(file.kind, b"")
        if file.size and len(held) == file.size:
            about = {"kind": file.kind, "camera_id": part.order.camera_id, **file.about}
            suffix = "mp4" if file.kind == "clip" else "jpg"
            yield EvidenceFile(f"{file.kind}-{number}.{suffix}", bytes(held), about)
