"""The hub: it puts all inputs in one order, decides, and tells. It starts the perception workers and watches them.

It imports no library that can crash or hang: those live in the workers.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final, Self

import zmq

from railwatch.app.arming import armable_site
from railwatch.app.decider import Decider, status_body
from railwatch.app.evidence_desk import EvidenceDesk
from railwatch.app.evidence_writer import FOLDER_NAME, EvidenceWriter
from railwatch.app.feeding import FeedRate, report_of
from railwatch.app.hours import HoursWatch
from railwatch.app.inbox import Inbox
from railwatch.app.notify import Notifier
from railwatch.app.outward import Asked, Outward, said_of
from railwatch.app.prober import Prober
from railwatch.app.record import RecordHeader
from railwatch.app.record_site import site_to_mapping
from railwatch.app.record_thread import ThreadedRecorder
from railwatch.app.reload import Reload
from railwatch.app.seams import LocalSeam
from railwatch.app.state_dir import HubReport, StateDir
from railwatch.app.timetable_feed import TimetableFeed
from railwatch.app.worker_process import WORKER_COMMAND, WorkerProcess
from railwatch.app.workers import Workers
from railwatch.core.alerts import Alert, SectionState, Status
from railwatch.core.clock import elapsed_s, utc_now
from railwatch.core.errors import RailwatchError
from railwatch.core.settings import SiteSettings
from railwatch.decision.escalation import judge
from railwatch.decision.inputs import (
    ConfigChange,
    Input,
    Possession,
    SystemFault,
    Tick,
    WorkerLost,
)
from railwatch.decision.probing import tried_cameras
from railwatch.decision.status import status_of
from railwatch.decision.step import start
from railwatch.decision.trains import rail_tracks, why_not
from railwatch.messaging.requests import AckRequest, PossessionRequest, ProbeRequest, TrainRequest
from railwatch.seam.handover import Handover
from railwatch.seam.orders import order_for

TICK_S: Final = 0.25
MAX_TURN_S: Final = 0.5
"""A turn that took longer counts as so long: a hub that was held up does not blame its workers for it."""

STOP_WITHIN_S: Final = 3.0


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What to run; names are those of the command line. `worker_command` is what a worker is started with."""

    site_file: Path
    state: Path | None = None
    record: Path | None = None
    loop: bool = False
    worker_command: Sequence[str] = WORKER_COMMAND


class Hub:
    """One run of the hub. Building it opens everything and may refuse; then `run` once, from the main thread."""

    def __init__(self, options: RunOptions, say: Callable[[str], None]) -> None:
        self._options, self._say = options, say
        self._stopping = False
        self._now_s, self._tick_s = elapsed_s(), float("-inf")
        self._sections: dict[str, SectionState] = {}
        self._remote: frozenset[str] = frozenset()
        self._reload: Reload | None = None
        self._reading = self._reload_again = False
        self._reloads = 0
        self._feed_rate, self._hours = FeedRate(), HoursWatch(self._trouble)
        self._reload_fault: str | None = None
        self._stack = ExitStack()
        with self._closing_on_failure():
            enter = self._stack.enter_context
            self.site = armable_site(options.site_file)
            self._notifier = enter(Notifier())
            self._state_dir = enter(StateDir(options.state or options.site_file.parent / "state"))
            self._inbox = Inbox()
            self._stack.callback(self._inbox.close)
            self._open_workers()  # first in, last out: nobody waits for their end to hear that nobody watches
            self._open_decision()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self) -> None:
        """Watch until SIGTERM or SIGINT. Raises what makes it impossible to go on."""
        with self._signals():
            poller = zmq.Poller()
            for source in (self._inbox.socket, *self._workers.pollable):
                poller.register(source, zmq.POLLIN)
            turned_s = self._now_s = elapsed_s()
            ready = False
            while not self._stopping:
                self._turn(min(MAX_TURN_S, self._now_s - turned_s))
                turned_s = self._now_s
                if not ready and self._workers.settled:
                    ready = True
                    self._notifier.ready(f"watching {len(self.site.cameras)} cameras")
                poller.poll(int(max(0.0, self._tick_s - elapsed_s()) * 1000) + 1)
                self._now_s = elapsed_s()
        self._notifier.stopping()

    def stop(self) -> None:
        """End `run`; from any thread or a signal handler."""
        self._stopping = True
        self._inbox.wake()

    def close(self) -> None:
        """End the workers; a last Status says UNKNOWN, for nobody watches any more."""
        self._stack.close()

    def _turn(self, turned_s: float) -> None:
        """One turn: time goes by, other threads and the workers are heard, and the watchdog learns of it."""
        if self._now_s >= self._tick_s:
            self._tick_s = self._now_s + TICK_S
            self._decider.feed(Tick(self._now_s), self._now_s)
            hours = self._hours.turn(self.site.schedules, self._now_s)
            if hours is not None:
                self._decider.feed(hours, self._now_s)
            consumers = self._outward.consumers()
            if consumers is not None:
                self._decider.feed(consumers, self._now_s)
        for action in self._inbox.take():
            action()
        self._workers.turn(self._now_s, turned_s)
        self._timetables.turn(self.site, self._now_s)
        self._prober.turn(self._decider.state, self._now_s)
        self._evidence.turn(self._now_s)
        self._notifier.turned(self._now_s)

    def _feed(self, value: Input) -> None:
        self._decider.feed(value, self._now_s)

    def _open_decision(self) -> None:
        enter, site = self._stack.enter_context, self.site
        self._outward = enter(
            Outward(
                site,
                self._state_dir.path,
                lambda asked: self._inbox.post(lambda: self._answer(asked)),
                self._pass_on_trouble,
            )
        )
        sha256, restored = site.model.sha256 or "", self._outward.restored
        state = start(site, self._outward.epoch, sha256, self._now_s, restored)
        header = RecordHeader(self._outward.epoch, sha256, self._now_s, site_to_mapping(site), restored)
        recorder = (
            enter(ThreadedRecorder(self._options.record, header, self._pass_on_trouble))
            if self._options.record
            else None
        )
        self._outward.open(status_body(status_of(state)))
        writer = EvidenceWriter(self._state_dir.path / FOLDER_NAME, self._pass_on_trouble, self._outward.note_evidence)
        self._evidence = EvidenceDesk(self._workers.ask, writer, self._pass_on_trouble)
        self._stack.callback(self._evidence.close)
        self._decider: Decider = Decider(state, utc_now, self._tell, self._show, recorder, self._evidence.decided)
        self._timetables = TimetableFeed(self._feed, self._trouble, self._inbox.post)
        self._prober = Prober(self._workers.ask, self._feed)
        enter(self._outward.ear(lambda alert: self._inbox.post(lambda: self._prober.heard(self._decider.state, alert))))
        self._report()
        self._say(f"alerts at {self._outward.endpoint}, requests at {self._outward.request_endpoint}")
        for incident in restored:
            self._say(f"open since {incident.opened_at}: {incident.last.severity.value} {incident.last.incident_id}")

    def _open_workers(self) -> None:
        seam = self._stack.enter_context(LocalSeam())

        def start_process(handover: Handover) -> WorkerProcess:
            return WorkerProcess(handover, self._say, self._inbox.wake, self._options.worker_command)

        self._workers = Workers(
            [seam.link], seam.hand_over, start_process, feed=self._feed, trouble=self._trouble, say=self._say
        )
        self._stack.callback(lambda: self._workers.close(STOP_WITHIN_S))
        for name in dict.fromkeys(camera.worker_group for camera in self.site.cameras):
            self._workers.add_group(name, order_for(self.site, name, loop=self._options.loop), remote=False)

    def _tell(self, alert: Alert, _: float) -> None:
        self._outward.publish(alert)
        self._say(f"{alert.severity.value} {alert.kind.value} {alert.action.value} {alert.section_id}: {alert.why}")

    def _show(self, status: Status) -> None:
        self._outward.set_status(status_body(status))
        sections = dict(status.sections)
        if sections != self._sections:
            self._sections = sections
            self._notifier.status(", ".join(f"{name} {state.value}" for name, state in sections.items()))

    def _answer(self, asked: Asked) -> None:
        """Somebody asks for something: refused, or decided and then answered."""
        if not self._outward.may(asked):
            self._outward.refuse(asked, f"{asked.verb.decode()} needs a key of another role")
            return
        match asked.request:
            case AckRequest():
                self._acknowledge(asked, asked.request)
            case ProbeRequest():
                self._probe(asked, asked.request)
            case TrainRequest():
                self._take_report(asked, asked.request)
            case PossessionRequest():
                self._possess(asked, asked.request)

    def _acknowledge(self, asked: Asked, request: AckRequest) -> None:
        """Somebody acknowledges an incident: decided first, then in the journal, then answered."""
        said, state = said_of(asked.peer, request), self._decider.state
        verdict = judge(state.incidents, state.site.escalation, said)
        if verdict.key is None:
            self._outward.refuse(asked, verdict.refusal)
        else:
            self._decider.feed(said, self._now_s)
            self._outward.accept(asked.peer, request)

    def _probe(self, asked: Asked, request: ProbeRequest) -> None:
        """Somebody wants a self-test now."""
        cameras = [camera.camera_id for camera in self.site.cameras]
        wanted = cameras if request.camera_id is None else [request.camera_id]
        if self._prober.request(self._decider.state, wanted, self._now_s):
            self._outward.grant(asked)
        else:
            tried = ", ".join(tried_cameras(self.site)) or "none"
            self._outward.refuse(asked, f"a camera that is tried by self-tests must be named: {tried}")

    def _take_report(self, asked: Asked, request: TrainRequest) -> None:
        """A feed tells of trains: under its own name only, and no more than can be of use."""
        name, state = asked.peer.user_id, self._decider.state
        waited_s = self._outward.moments.since_s(request.after or "", self._now_s)
        if waited_s is None:
            self._outward.refuse(asked, "after must be a moment that this run of the hub noted (NOW), but is not")
            return
        report = report_of(request, waited_s)
        refusal = why_not(state.site, state.reports, report)
        if name is not None and name != request.source:
            refusal = f"source must be the name of the key, {name}, but is {request.source}"
        elif any(table.source_id == request.source for table in self.site.timetables):
            refusal = f"the timetable of {request.source} speaks for it, and nobody else"
        elif not refusal and not self._feed_rate.allows(request.source, self._now_s):
            refusal = "at most 50 reports a second are taken from a source"
        if refusal:
            self._outward.refuse(asked, refusal)
        else:
            self._decider.feed(report, self._now_s)
            self._outward.grant(asked)

    def _possess(self, asked: Asked, request: PossessionRequest) -> None:
        """Workers hold a track, or hold it no more."""
        tracks = rail_tracks(self._decider.state.site)
        if request.rail_track_id in tracks:
            self._decider.feed(Possession(request.rail_track_id, request.holder, request.lasts_s), self._now_s)
            self._outward.grant(asked)
            lasts = f"for {request.lasts_s:g} s" if request.lasts_s else "no more"
            self._say(f"possession: {request.holder} holds {request.rail_track_id} {lasts}")
        else:
            known = ", ".join(sorted(tracks)) or "none"
            self._outward.refuse(asked, f"rail_track_id must be one that a zone names, {known}")

    def _pass_on_trouble(self, name: str, reason: str | None) -> None:
        """Trouble that another thread has found."""
        self._inbox.post(lambda: self._trouble(name, reason))

    def _trouble(self, name: str, reason: str | None) -> None:
        self._say(f"{name}: {reason or 'is well again'}")
        self._decider.feed(SystemFault(name, reason), self._now_s)

    def _read_anew(self) -> None:
        """Read the site file in a thread of its own: the deciding thread waits for no disk."""
        if self._reload is not None or self._reading:
            self._reload_again = True
            return
        self._reading, self._reload_again = True, False
        self._notifier.reloading()

        def read() -> None:
            try:
                found: SiteSettings | str = armable_site(self._options.site_file)
            except RailwatchError as error:
                found = str(error)
            self._inbox.post(lambda: self._begin_reload(found))

        threading.Thread(target=read, name="read-site", daemon=True).start()

    def _begin_reload(self, found: SiteSettings | str) -> None:
        self._reading = False
        if isinstance(found, str):
            self._reloaded(found)
            return
        try:
            self._reload = Reload(
                self._workers, self.site, found, self._remote, self._prepared, loop=self._options.loop
            )
        except RailwatchError as error:
            self._reloaded(str(error))

    def _prepared(self, fault: str | None) -> None:
        """Everything is ready, or nothing is changed; the next turn goes on from there."""
        self._inbox.post(lambda: self._end_reload(fault))

    def _end_reload(self, fault: str | None) -> None:
        reload, self._reload = self._reload, None
        if fault is None and reload is not None:
            self.site = reload.site
            self._decider.feed(ConfigChange(reload.site), self._now_s)
            self._outward.forget_consumers()
            for name, reason in reload.commit().items():
                self._decider.feed(WorkerLost((name,), f"camera {name}: {reason}"), self._now_s)
        self._reloaded(fault)

    def _reloaded(self, fault: str | None) -> None:
        self._reloads, self._reload_fault = self._reloads + 1, fault
        self._report()
        self._say(
            f"the configuration is now {self.site.config_rev}"
            if fault is None
            else f"the configuration stays {self.site.config_rev}: {' '.join(fault.split())}"
        )
        self._notifier.ready(f"watching {len(self.site.cameras)} cameras, configuration {self.site.config_rev}")
        if self._reload_again:
            self._read_anew()

    def _report(self) -> None:
        self._state_dir.report(
            HubReport(
                os.getpid(),
                self.site.site_id,
                str(self._options.site_file.absolute()),
                self._outward.endpoint,
                self._outward.request_endpoint,
                self.site.config_rev,
                self._reloads,
                self._reload_fault,
            )
        )

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT end the run in order; SIGHUP reads the site file anew."""

        def stop(_number: int, _frame: FrameType | None) -> None:
            self.stop()

        def reload(_number: int, _frame: FrameType | None) -> None:
            self._inbox.post(self._read_anew)

        wanted = {signal.SIGTERM: stop, signal.SIGINT: stop, signal.SIGHUP: reload}
        before = {number: signal.signal(number, handler) for number, handler in wanted.items()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def _closing_on_failure(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._stack.close()
            raise
