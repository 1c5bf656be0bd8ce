"""The hub: it puts all inputs in one order, decides, and tells. It starts the perception workers and watches them.

It imports no library that can crash or hang: those live in the workers.
"""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final, Self

import zmq

from railwatch.app.decider import Decider, status_body
from railwatch.app.inbox import Inbox
from railwatch.app.notify import Notifier
from railwatch.app.record import Recorder, RecordHeader
from railwatch.app.record_site import site_to_mapping
from railwatch.app.state_dir import HubReport, StateDir
from railwatch.app.worker_process import WORKER_COMMAND, WorkerProcess
from railwatch.app.workers import Workers
from railwatch.config import load_site
from railwatch.core.alerts import Alert, Epoch, SectionState, Status
from railwatch.core.clock import elapsed_s, utc_now
from railwatch.core.errors import ConfigError
from railwatch.core.settings import SiteSettings
from railwatch.core.types import Observation
from railwatch.decision.inputs import Tick, WorkerLost
from railwatch.decision.status import status_of
from railwatch.decision.step import start
from railwatch.messaging.publisher import Publisher
from railwatch.seam.handover import Handover
from railwatch.seam.orders import order_for
from railwatch.seam.sockets import HubSocket, server_keys

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
        self._stack = ExitStack()
        with self._closing_on_failure():
            enter = self._stack.enter_context
            self.site = armable_site(options.site_file)
            self._notifier = enter(Notifier())
            self._state_dir = enter(StateDir(options.state or options.site_file.parent / "state"))
            self._inbox = Inbox()
            self._stack.callback(self._inbox.close)
            self._open_decision()
            self._open_workers()

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
        for action in self._inbox.take():
            action()
        self._workers.turn(self._now_s, turned_s)
        self._notifier.turned(self._now_s)

    def _feed(self, value: Observation | WorkerLost) -> None:
        self._decider.feed(value, self._now_s)

    def _open_decision(self) -> None:
        enter, site = self._stack.enter_context, self.site
        epoch = Epoch(uuid.uuid4().hex[:16], 1)
        sha256 = site.model.sha256 or ""
        state = start(site, epoch, sha256, self._now_s)
        self._publisher = enter(
            Publisher(
                site_id=site.site_id,
                epoch=epoch,
                body=status_body(status_of(state)),
                bind=site.messaging.bind,
                request_bind=site.messaging.request_bind,
                lease_s=site.messaging.lease_s,
            )
        )
        header = RecordHeader(epoch, sha256, self._now_s, site_to_mapping(site))
        recorder = enter(Recorder(self._options.record, header)) if self._options.record else None
        self._decider: Decider = Decider(state, utc_now, self._tell, self._show, recorder)
        self._report()
        self._say(f"alerts at {self._publisher.endpoint}, nonces at {self._publisher.request_endpoint}")

    def _open_workers(self) -> None:
        """The seam: keys that are new at every start, known to this process and to the workers that it starts."""
        context = self._stack.enter_context(zmq.Context())
        public_key, secret_key = zmq.curve_keypair()
        link = HubSocket(context, "tcp://127.0.0.1:*", server_keys(secret_key))
        self._stack.callback(link.close)

        def hand_over(worker_group: str, token: str) -> Handover:
            client = [key.decode() for key in zmq.curve_keypair()]
            return Handover(link.endpoint, public_key.decode(), client[0], client[1], worker_group, token)

        def start_process(handover: Handover) -> WorkerProcess:
            return WorkerProcess(handover, self._say, self._inbox.wake, self._options.worker_command)

        self._workers = Workers([link], hand_over, start_process, feed=self._feed, trouble=self._trouble, say=self._say)
        self._stack.callback(lambda: self._workers.close(STOP_WITHIN_S))
        for name in dict.fromkeys(camera.worker_group for camera in self.site.cameras):
            self._workers.add_group(name, order_for(self.site, name, loop=self._options.loop), remote=False)

    def _tell(self, alert: Alert, _: float) -> None:
        self._publisher.publish(alert)
        self._say(f"{alert.severity.value} {alert.kind.value} {alert.action.value} {alert.section_id}: {alert.why}")

    def _show(self, status: Status) -> None:
        self._publisher.set_status(status_body(status))
        sections = dict(status.sections)
        if sections != self._sections:
            self._sections = sections
            self._notifier.status(", ".join(f"{name} {state.value}" for name, state in sections.items()))

    def _trouble(self, name: str, reason: str | None) -> None:
        self._say(f"{name}: {reason or 'is well again'}")

    def _report(self) -> None:
        endpoints = self._publisher.endpoint, self._publisher.request_endpoint
        self._state_dir.report(HubReport(os.getpid(), self.site.site_id, *endpoints, self.site.config_rev))

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT end the run in order."""

        def stop(_number: int, _frame: FrameType | None) -> None:
            self.stop()

        before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
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


def armable_site(path: Path) -> SiteSettings:
    """The site of a file, if it may be armed. Raises ConfigError: a model that is not pinned is never armed."""
    site = load_site(path)
    if site.model.sha256 is None:
        raise ConfigError(
            f"{path.name} must give model.sha256, for only a pinned model is armed: it is what `sha256sum` prints of "
            f"{Path(site.model.file).name}"
        )
    return site
