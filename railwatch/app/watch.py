"""`railwatch watch`: perception, decision and messaging in one process, for a recording or one camera."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final, Self

from railwatch.app.decider import Decider, status_body
from railwatch.app.guarded import guard_of
from railwatch.app.interrupt import noted_interrupt
from railwatch.app.lines import LineFile
from railwatch.app.record import Recorder, RecordHeader
from railwatch.app.record_site import site_to_mapping
from railwatch.app.sources import open_source, options_of
from railwatch.app.watch_again import WatchedAgain
from railwatch.app.watch_output import Progress, WatchReport, alert_line
from railwatch.app.watch_site import WatchOptions, site_for
from railwatch.core.address import is_address
from railwatch.core.alerts import Action, Alert, AlertKind, Epoch, SectionState, Status
from railwatch.core.errors import MessagingError, RailwatchError
from railwatch.core.settings import SiteSettings
from railwatch.core.types import Frame, Observation
from railwatch.decision.inputs import WorkerLost
from railwatch.decision.status import status_of
from railwatch.decision.step import start
from railwatch.evidence.overlay import draw_overlay
from railwatch.evidence.video import VideoWriter
from railwatch.messaging.publisher import Publisher
from railwatch.perception.detector import OnnxDetector, open_detector
from railwatch.perception.pipeline import CameraPipeline, class_groups, run_file
from railwatch.perception.source import Source, utc_now
from railwatch.perception.tracker import Tracker

WAIT_SUBSCRIBERS_S: Final = 60.0
"""Longest wait for subscribers before the clip begins."""


class Watch:
    """One run over one recording.

    Building it opens everything and may refuse; then `wait`, `run` once, and `close`.
    """

    def __init__(self, options: WatchOptions, say: Callable[[str], None]) -> None:
        self._options = options
        self.report = WatchReport()
        self._stack = ExitStack()
        with self._closing_on_failure():
            site, self._camera_id = site_for(options)
            fetch = options_of(site.cameras[0]) if is_address(options.source) else None
            self._source: Source = self._stack.enter_context(open_source(options.source, self._camera_id, fetch))
            self._detector: OnnxDetector = open_detector(
                Path(site.model.file),
                confidence=site.model.confidence,
                provider=site.model.provider,
                threads=site.model.threads,
                sha256=site.model.sha256,
                say=say,
            )
            sha256 = self._detector.model_sha256
            self.site = replace(site, model=replace(site.model, sha256=sha256))
            say(f"model {site.model.file} sha256 {sha256}, run by {site.model.provider.value}")
            seeable = class_groups(self.site.groups, self._detector.class_names)
            for group in self.site.alarm_groups:
                if group not in seeable:
                    say(f"this model has no class of the group {group}: nothing of it can be seen")
            if not options.zones and options.config is None:
                say("no --zone given: the whole frame is one track zone")
            self._pipeline = CameraPipeline(
                self._camera_id,
                Tracker(self.site.tracker, self._detector.class_names, self.site.groups),
                self.site.zones,
                vitals_off=self.site.cameras[0].vitals_off,
            )
            self._second = self._stack.enter_context(WatchedAgain(site.second_look, wait=self._in_no_hurry))
            epoch = Epoch(_run_id(self.site, options.source), 1)
            self._state = start(self.site, epoch, sha256, 0.0)
            self._open_outputs(epoch)
            say(f"alerts at {self._publisher.endpoint}, nonces at {self._publisher.request_endpoint}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        self.close()

    def wait(self) -> None:
        """Wait until as many subscribers are there as were asked for; raises MessagingError after a minute."""
        count, endpoint = self._options.wait_subscribers, self._publisher.endpoint
        if count and not self._publisher.wait_subscribers(count, WAIT_SUBSCRIBERS_S):
            raise MessagingError(
                f"{count} subscribers must connect within {WAIT_SUBSCRIBERS_S:g} s, but "
                f"{self._publisher.subscribers} did: start them with `railwatch listen --connect {endpoint}`"
            )

    def run(self, on_progress: Callable[[Progress], None]) -> None:
        """Watch the whole clip, or until Ctrl-C.

        What breaks makes the camera BLIND for the subscribers before it is raised.
        """
        begun = time.monotonic()
        try:
            with noted_interrupt() as interrupted:
                self._watch(begun if self._options.realtime else None, interrupted, on_progress)
                self.report.interrupted = interrupted.is_set()
        except KeyboardInterrupt:
            self.report.interrupted = True
        except RailwatchError as error:
            self._decider.feed(WorkerLost((self._camera_id,), _first_line(error)), self._decider.state.now_s)
            raise
        finally:
            self.report.work_s = time.monotonic() - begun

    def _watch(
        self, begun: float | None, interrupted: threading.Event, on_progress: Callable[[Progress], None]
    ) -> None:
        """Frame by frame; with `begun`, the monotonic time of the first one, each when it is due."""
        for frame, seen in run_file(self._source, self._detector, self._pipeline):
            if begun is not None:
                # Event.wait and not time.sleep: a machine whose clock is stepped still waits right.
                interrupted.wait(max(0.0, begun + seen.t_s - time.monotonic()))
            if interrupted.is_set():
                return
            self._take(frame, seen)
            on_progress(Progress(self.report.frames, self._source.info.frame_count, self._sections))

    def close(self) -> None:
        """Close everything; a last Status says UNKNOWN, for nobody watches any more."""
        self._stack.close()

    @property
    def _in_no_hurry(self) -> bool:
        """Whether it is a recording that is watched as fast as it goes."""
        source = self._options.source
        return not (self._options.realtime or is_address(source) or source.isdecimal())

    def _take(self, frame: Frame, seen: Observation) -> None:
        self._decider.feed_on_source_time(seen)
        self._second.look(frame, seen, self._decider)
        self.report.frames += 1
        self.report.source_s = seen.t_s
        if self._video is not None:
            text = self._last_words if seen.t_s - self._last_words_s < 5.0 else ""
            picture = draw_overlay(frame.picture.bgr(), seen, self.site.zones, self._sections, text)
            self._video.write(picture, seen.t_s)

    def _open_outputs(self, epoch: Epoch) -> None:
        options = self._options
        enter = self._stack.enter_context
        self._publisher = enter(
            Publisher(
                site_id=self.site.site_id,
                epoch=epoch,
                body=status_body(status_of(self._state)),
                bind=self.site.messaging.bind,
                request_bind=self.site.messaging.request_bind,
                lease_s=self.site.messaging.lease_s,
                guard=enter(guard_of(self.site.messaging)),
            )
        )
        header = RecordHeader(epoch, self._detector.model_sha256, 0.0, site_to_mapping(self.site))
        recorder = enter(Recorder(options.record, header)) if options.record else None
        self._jsonl = enter(LineFile(options.jsonl)) if options.jsonl else None
        self._video = enter(VideoWriter(options.save, self._source.info.fps or 0.0)) if options.save else None
        self._sections: dict[str, SectionState] = dict.fromkeys(self.site.sections, SectionState.UNKNOWN)
        self._last_words, self._last_words_s = "", 0.0
        self._decider = Decider(self._state, utc_now, self._tell, self._show, recorder)

    def _tell(self, alert: Alert, t_s: float) -> None:
        self._publisher.publish(alert)  # first of all: the files below may fail
        self.report.alerts.append((t_s, alert))
        self._last_words = f"{alert.severity.value} {alert.action.value}: {alert.why}"
        self._last_words_s = t_s
        if alert.kind is AlertKind.INTRUSION and alert.action is Action.OPENED:
            view = self._decider.state.cameras[self._camera_id].view(alert.section_id)
            self.report.seconds_to_alert[alert.incident_id] = view.longest_dwell_s
        if self._jsonl is not None:
            self._jsonl.write(alert_line(alert, t_s))

    def _show(self, status: Status) -> None:
        self._sections = dict(status.sections)
        for name, state in self._sections.items():
            seen = self.report.states_seen.setdefault(name, [])
            if not seen or seen[-1] is not state:
                seen.append(state)
        self._publisher.set_status(status_body(status))

    @contextmanager
    def _closing_on_failure(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._stack.close()
            raise


def _run_id(site: SiteSettings, source: str) -> str:
    """The journal's name for a run without a journal: the same clip and configuration give the same identifiers."""
    text = f"{site.config_rev} {site.model.sha256} {Path(source).name.partition('?')[0]}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _first_line(error: RailwatchError) -> str:
    return " ".join(str(error).split())[:500]
