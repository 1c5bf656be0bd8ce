"""A perception worker: `python -m railwatch.app.worker`. It watches the cameras that a hub gives it.

It holds every library that may crash or hang, and nothing else: what it sees goes to the hub, which decides. The hub
that starts it hands over address and keys on standard input and keeps that open: when the hub ends, so does the worker.
"""

from __future__ import annotations

import socket
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

import zmq

from railwatch.app.camera_reader import CameraReader
from railwatch.app.cutter import Cutter
from railwatch.app.second_look import SecondLook
from railwatch.app.trial import PERSON, Trial, Trials, spots
from railwatch.core.clock import Clock, elapsed_s
from railwatch.core.errors import ConfigError, RailwatchError, WireError
from railwatch.core.packets import PacketSink
from railwatch.core.privacy import private_areas
from railwatch.core.second_look import SecondLookSettings
from railwatch.core.settings import CameraSettings, ModelSettings
from railwatch.core.types import Detections, Detector, Observation
from railwatch.perception.live import Taken
from railwatch.perception.picture_file import encode_jpeg
from railwatch.perception.pipeline import CameraPipeline, class_groups
from railwatch.perception.source import Source
from railwatch.perception.tracker import Tracker
from railwatch.seam import sockets as verbs
from railwatch.seam.annotations import encode_annotation, encode_health
from railwatch.seam.beats import BEAT_INTERVAL_S, beat_number
from railwatch.seam.codec import encode_observation
from railwatch.seam.commands import Answer, Command, CommandKind, decode_command, encode_answer
from railwatch.seam.greeting import Hello, Lost, decode_welcome, encode_hello, encode_lost
from railwatch.seam.orders import WorkerOrder, order_from_json
from railwatch.seam.probes import Probed, encode_probed
from railwatch.seam.sockets import WorkerSocket

ALIVE_INTERVAL_S: Final = 0.25
HELLO_INTERVAL_S: Final = 0.5
KEPT_ANSWERS: Final = 16
MAX_TRIAL_FRAMES: Final = 2000

OpenDetector = Callable[[ModelSettings], Detector]
"""Opens and warms up the detector; raises ModelError and its like."""

OpenCamera = Callable[[CameraSettings, bool, threading.Event, PacketSink], Source]
"""Opens a camera, as `OpenLive` does, and hands its packets to a recording."""


class NeedsNewWorkerError(RailwatchError):
    """The order needs another detector than this worker has: a new worker must be started for it."""

    exit_code = 75


class Worker:
    """One life of a worker. `run` serves until `stop` or a STOP of the hub. Not to be used from two threads.

    `open_detector` and `open_live` name the concrete detector and sources (tests give others).
    """

    def __init__(
        self,
        link: WorkerSocket,
        hello: Hello,
        open_detector: OpenDetector,
        open_live: OpenCamera,
        clock: Clock = elapsed_s,
    ) -> None:
        self._link, self._hello, self._clock = link, hello, clock
        self._open_detector, self._open_live = open_detector, open_live
        self._order: WorkerOrder | None = None
        self._detector: Detector | None = None
        self._readers: dict[str, CameraReader] = {}
        self._pipelines: dict[str, CameraPipeline] = {}
        self._trials = Trials()
        self._cutter = Cutter(clock)
        self._second: SecondLook | None = None
        self._answers: OrderedDict[str, tuple[bytes, bytes]] = OrderedDict()
        self._beat, self._worker_epoch = 0, 0
        self._armed = self._stopped = self._received = False
        self._alive_s = self._hello_s = float("-inf")
        self._refused: str | None = None
        self._wake_out, self._wake_in = socket.socketpair()
        self._wake_out.setblocking(False)
        self._wake_in.setblocking(False)

    def run(self) -> None:
        """Serve the hub. Raises what the detector raises, ConfigError when the hub refuses this worker."""
        poller = zmq.Poller()
        poller.register(self._link.socket, zmq.POLLIN)
        poller.register(self._wake_in, zmq.POLLIN)
        try:
            while not self._stopped:
                poller.poll(int(self._wait_s() * 1000) + 1)
                self._turn()
        finally:
            for reader in self._readers.values():
                reader.close()
            self._cutter.close()
            self._look_again(None)
            self._wake_in.close()
            self._wake_out.close()

    def stop(self) -> None:
        """End `run`; from any thread or a signal handler."""
        self._stopped = True
        self._wake()

    def _turn(self) -> None:
        self._drain_wake()
        commands = self._read()
        if self._refused is not None:
            raise ConfigError(f"the hub refuses this worker: {self._refused}")
        for command, beat in commands:
            self._obey(command, beat)
        for reader in self._readers.values():
            failure = reader.turn()
            if failure is not None:
                self._link.send(verbs.LOST, encode_lost(Lost(reader.camera.camera_id, failure)))
        if self._armed:
            self._look()
            for said in self._second.take() if self._second else ():
                self._link.send(verbs.ANNOTATION, encode_annotation(said))
        now_s = self._clock()
        if not self._received and now_s >= self._hello_s:
            self._hello_s = now_s + HELLO_INTERVAL_S
            self._link.send(verbs.HELLO, encode_hello(self._hello))
        if now_s >= self._alive_s:
            self._alive_s = now_s + ALIVE_INTERVAL_S
            self._link.send(verbs.ALIVE, str(self._beat).encode())
            if self._second is not None:
                self._link.send(verbs.SECOND_LOOK, encode_health(self._second.trouble))

    def _wait_s(self) -> float:
        due_s = self._alive_s if self._received else min(self._alive_s, self._hello_s)
        return min(ALIVE_INTERVAL_S, max(0.0, due_s - self._clock()))

    def _read(self) -> list[tuple[Command, int]]:
        """Take in all that has come; commands are carried out after it, so that what is too late is known."""
        commands = []
        while (frames := self._link.receive()) is not None:
            match frames:
                case [verbs.BEAT, number]:
                    self._beat = beat_number(number) or self._beat
                case [verbs.WELCOME, payload]:
                    self._receive(decode_welcome(payload))
                case [verbs.COMMAND, number, payload]:
                    commands.append((decode_command(payload), beat_number(number) or 0))
                case [verbs.WHO]:
                    self._received, self._armed, self._hello_s = False, False, float("-inf")
                case [verbs.REFUSED, reason]:
                    self._refused = reason.decode(errors="replace")[:500]
                case [verbs.STOP]:
                    self._stopped = True
                case _:
                    raise WireError(f"the hub sent a message that this worker does not know: {frames[0][:20]!r}")
        return commands

    def _receive(self, worker_epoch: int) -> None:
        self._received, self._worker_epoch = True, worker_epoch
        if self._order is not None:
            self._assign(self._order)

    def _obey(self, command: Command, beat: int) -> None:
        """Carry out a command once; a repetition gets the same answer."""
        if command.command_id not in self._answers:
            if (self._beat - beat) * BEAT_INTERVAL_S > command.timeout_s:
                answer = Answer(command.command_id, ok=False, reason="the command came after its deadline")
            else:
                answer = self._carried_out(command)
            self._answers[command.command_id] = encode_answer(answer)
            if len(self._answers) > KEPT_ANSWERS:
                self._answers.popitem(last=False)
        self._link.send(verbs.ANSWER, *self._answers[command.command_id])

    def _carried_out(self, command: Command) -> Answer:
        try:
            match command.kind:
                case CommandKind.RELOAD:
                    body, attachment = self._reload(order_from_json(command.body)), b""
                case CommandKind.ARM:
                    body, attachment = self._arm(command.body), b""
                case CommandKind.PROBE:
                    body, attachment = self._probe(command.body), b""
                case CommandKind.SNAPSHOT:
                    body, attachment = self._snapshot(command.body)
                case CommandKind.CUT_CLIP:
                    body, attachment = self._cutter.obey(command.body)
        except RailwatchError as error:
            code = error.exit_code
            return Answer(command.command_id, ok=False, reason=" ".join(str(error).split()), body={"exit_code": code})
        return Answer(command.command_id, ok=True, body=body, attachment=attachment)

    def _reload(self, order: WorkerOrder) -> dict[str, Any]:
        """Take over an order. Cameras that stay as they are keep their tracks; the first order opens the detector."""
        if self._order is not None and not self._order.same_engine(order):
            raise NeedsNewWorkerError("another model, tracker or class groups need a new worker")
        if order.model.sha256 is None:
            raise ConfigError("model.sha256 must be given: only a pinned model is armed")
        if self._detector is None:
            self._detector = self._open_detector(order.model)
        self._order = order
        self._change_cameras(order)
        self._assign(order)
        self._look_again(order.second_look)
        seen = class_groups(order.groups, self._detector.class_names)
        return {"model_sha256": self._detector.model_sha256, "groups": list(seen), "config_rev": order.config_rev}

    def _look_again(self, settings: SecondLookSettings | None) -> None:
        """Have animals looked at again so, or no more; a process that does it already goes on."""
        if self._second is not None and self._second.settings != settings:
            self._second.close()
            self._second = None
        if self._second is None and settings is not None:
            self._second = SecondLook(settings, self._wake)

    def _change_cameras(self, order: WorkerOrder) -> None:
        wanted = {camera.camera_id: camera for camera in order.cameras}
        for name, reader in list(self._readers.items()):
            if name not in wanted or wanted[name].stream != reader.camera.stream:
                del self._readers[name], self._pipelines[name]
                self._trials.forget(name)
                reader.close(0.0)  # its thread ends by itself: the other cameras must not wait for it
        self._cutter.arrange(order.evidence, order.zones, set(wanted))
        for name, camera in wanted.items():
            if name not in self._readers:
                self._readers[name] = CameraReader(
                    camera,
                    self._recorded(name),
                    loop=order.loop,
                    mark=lambda: self._beat,
                    wake=self._wake,
                    clock=self._clock,
                )

    def _recorded(self, camera_id: str) -> Callable[[CameraSettings, bool, threading.Event], Source]:
        """Opens a camera so that its packets go into its ring."""
        ring = self._cutter.ring(camera_id)
        return lambda camera, loop, stop: self._open_live(camera, loop, stop, ring)

    def _assign(self, order: WorkerOrder) -> None:
        detector = self._engine()
        off = {camera.camera_id: camera.vitals_off for camera in order.cameras}
        for name in self._readers:
            zones = tuple(zone for zone in order.zones if zone.camera_id == name)
            if name not in self._pipelines:
                tracker = Tracker(order.tracker, detector.class_names, order.groups)
                self._pipelines[name] = CameraPipeline(name, tracker, zones)
            self._pipelines[name].reassign(zones, self._worker_epoch, off[name])

    def _arm(self, body: dict[str, Any]) -> dict[str, Any]:
        if self._order is None or body.get("config_rev") != self._order.config_rev:
            have = None if self._order is None else self._order.config_rev
            raise ConfigError(f"a worker arms for the configuration it has, {have}, but not for {body}")
        self._armed = True
        return {}

    def _probe(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Tell how the worker is; with a camera and a `probe_id`, begin a self-test of it."""
        if "probe_id" in asked:
            self._begin_trial(str(asked.get("camera_id")), str(asked["probe_id"]), asked.get("frames"))
        now_s = self._clock()
        return {
            "armed": self._armed,
            "config_rev": self._order.config_rev if self._order else None,
            "model_sha256": self._detector.model_sha256 if self._detector else None,
            "cameras": {
                name: {
                    "source": reader.description,
                    "frame_age_s": None if reader.newest is None else now_s - reader.newest.t_s,
                }
                for name, reader in self._readers.items()
            },
        }

    def _begin_trial(self, camera_id: str, probe_id: str, frames: object) -> None:
        reader, order, detector = self._readers.get(camera_id), self._order, self._engine()
        if order is None or reader is None or reader.newest is None:
            raise ConfigError(f"a self-test needs a camera of this worker that gives frames, but is of {camera_id}")
        if PERSON not in detector.class_names or not isinstance(frames, int) or not 1 <= frames <= MAX_TRIAL_FRAMES:
            raise ConfigError(
                f"a self-test needs a model that knows {PERSON}, and 1 to {MAX_TRIAL_FRAMES} frames, not {frames!r}"
            )
        zones = tuple(zone for zone in order.zones if zone.camera_id == camera_id)
        tracker = Tracker(order.tracker, detector.class_names, order.groups)
        untried = spots(zones, reader.newest.picture.size)
        self._trials.begin(Trial(probe_id, tracker, frames, untried, self._worker_epoch), camera_id, zones)

    def _snapshot(self, body: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        reader = self._readers.get(str(body.get("camera_id")))
        if reader is None or reader.newest is None:
            raise ConfigError(f"a snapshot needs a camera of this worker that gives frames, but is of {body}")
        frame = reader.newest
        about = {"captured_at": frame.captured_at, "frame_age_s": self._clock() - frame.t_s}
        zones = self._order.zones if self._order else ()
        return about, encode_jpeg(frame.picture, private=private_areas(zones, reader.camera.camera_id))

    def _look(self) -> None:
        """One batch: the newest frame of every camera that has one."""
        taken = {name: found for name, reader in self._readers.items() if (found := reader.latest.take()) is not None}
        if not taken:
            return
        detector = self._engine()
        further = self._trials.look({name: item.frame for name, item in taken.items()}, detector.form)
        samples = [item.frame.picture.sample(None, detector.form) for item in taken.values()]
        seen = detector.detect([*samples, *further.values()])
        told = [
            (item.frame, self._send(name, item, detections))
            for (name, item), detections in zip(taken.items(), seen[: len(samples)], strict=True)
        ]
        for name, detections in zip(further, seen[len(samples) :], strict=True):
            self._send_trial(name, taken[name], detections)
        second = self._second
        if second is not None:
            for frame, observation in told:  # last of all: what was seen is on its way to the hub
                second.look(frame, observation)

    def _send(self, name: str, item: Taken, detections: Detections) -> Observation:
        age_s = max(0.0, self._clock() - item.frame.t_s)
        seen = self._pipelines[name].observe(item.frame, detections, age_s, item.dropped)
        self._cutter.looked(item.frame, seen)
        self._link.send(verbs.OBSERVATION, str(item.mark).encode(), encode_observation(seen))
        return seen

    def _send_trial(self, name: str, item: Taken, detections: Detections) -> None:
        trial = self._trials.running[name]
        seen = trial.take(item.frame, detections, self._engine(), max(0.0, self._clock() - item.frame.t_s))
        if seen is not None:
            self._link.send(verbs.PROBED, str(item.mark).encode(), encode_probed(Probed(trial.probe_id, seen)))
        if trial.left == 0 and self._order is not None:
            zones = tuple(zone for zone in self._order.zones if zone.camera_id == name)
            self._trials.end(name, zones, seen=seen is not None and bool(seen.tracks))

    def _engine(self) -> Detector:
        if self._detector is None:
            raise AssertionError("a worker that is not ordered has no cameras")
        return self._detector

    def _wake(self) -> None:
        try:
            self._wake_out.send(b"\0")
        except (BlockingIOError, OSError):
            return  # a full pipe wakes as well; a closed one has nobody to wake

    def _drain_wake(self) -> None:
        try:
            self._wake_in.recv(4096)
        except BlockingIOError:
            return


def main() -> int:
    """Start a worker as a process; returns its exit code."""
    from railwatch.app.worker_start import start

    return start()


if __name__ == "__main__":
    raise SystemExit(main())
