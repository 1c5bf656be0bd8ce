"""The hub's side of the seam: workers are started, received, watched, started again; what they see becomes inputs."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from itertools import count
from typing import Final

import zmq

from railwatch.app.command_desk import CommandDesk, OnAnswer
from railwatch.app.refusals import Refusals
from railwatch.app.restarts import STEADY_S, Restarts
from railwatch.app.second_look_health import SecondLookHealth
from railwatch.app.worker_lives import ASK_TIMEOUT_S, LOAD_TIMEOUT_S, SILENT_S, Group, Life, Stage
from railwatch.app.worker_process import Endings, WorkerProcess
from railwatch.core.errors import ConfigError, InstallError, ModelError, WireError
from railwatch.core.second_look import Annotation
from railwatch.core.types import Observation
from railwatch.decision.inputs import ProbeSight, WorkerLost
from railwatch.seam import sockets as verbs
from railwatch.seam.annotations import decode_annotation, decode_health
from railwatch.seam.beats import Beats, beat_number
from railwatch.seam.codec import decode_observation
from railwatch.seam.commands import Answer, Command, CommandKind, decode_answer, encode_command
from railwatch.seam.greeting import Hello, decode_hello, decode_lost, encode_welcome
from railwatch.seam.handover import Handover
from railwatch.seam.orders import WorkerOrder, order_to_json
from railwatch.seam.probes import decode_probed
from railwatch.seam.sockets import HubSocket, Upward

LATE_S: Final = 2.0
"""An Observation that may be older than this is refused: it says nothing about now."""

READS_A_TURN: Final = 512
_FATAL: Final = {error.exit_code: error for error in (ConfigError, ModelError, InstallError)}

Say = Callable[[str], None]
StartProcess = Callable[[Handover], WorkerProcess]
Feed = Callable[[Observation | ProbeSight | WorkerLost | Annotation], None]
Trouble = Callable[[str, str | None], None]
"""Told of a trouble of the system by its name, with the reason; with None when it is over."""


class Workers:
    """All worker groups of a site. Used from the deciding thread only.

    `feed` gets every Observation that may be believed, and WorkerLost the moment one cannot be relied on any more.
    `hand_over(group, token)` gives what a worker of that group is started with. Times are seconds of the hub's clock.
    """

    def __init__(
        self,
        sockets: Iterable[HubSocket],
        hand_over: Callable[[str, str], Handover],
        start_process: StartProcess,
        *,
        feed: Feed,
        trouble: Trouble,
        say: Say,
    ) -> None:
        self._sockets = tuple(sockets)
        self._hand_over, self._start_process = hand_over, start_process
        self._feed, self._trouble, self._say = feed, trouble, say
        self.groups: dict[str, Group] = {}
        self._peers: dict[bytes, Life] = {}
        self._links: dict[bytes, HubSocket] = {}
        self._tokens: dict[str, Life] = {}
        self._beats, self._desk = Beats(), CommandDesk()
        self._beat = 0
        self._epochs = count(1)
        self._now_s = 0.0
        self._refusals = Refusals(say)
        self._endings = Endings()
        self._looks = SecondLookHealth(trouble)

    @property
    def pollable(self) -> list[zmq.Socket[bytes]]:
        """What to wait on: it becomes readable when a worker has said something."""
        return [link.socket for link in self._sockets]

    @property
    def settled(self) -> bool:
        """Whether every worker of this machine is armed, or has failed at least once."""
        return all(
            group.remote or group.reason or (group.life is not None and group.life.stage is Stage.ARMED)
            for group in self.groups.values()
        )

    def turn(self, now_s: float, turned_s: float) -> None:
        """One turn of the hub at `now_s`; `turned_s` are the seconds since the last one in which the hub was turning.

        Raises ConfigError, ModelError or InstallError when a worker of this machine cannot ever do what it is ordered.
        """
        self._now_s = now_s
        if self._beats.due_in_s(now_s) == 0.0:
            self._beat = self._beats.next(now_s)
            for peer in list(self._peers):
                self._send(peer, verbs.BEAT, str(self._beat).encode())
        for link in self._sockets:
            for _ in range(READS_A_TURN):
                message = link.receive()
                if message is None:
                    break
                self._take(link, message)
        for peer, command, beat in self._desk.due(now_s):
            self._send(peer, verbs.COMMAND, str(beat).encode(), encode_command(command))
        for life in set(self._tokens.values()) | set(self._peers.values()):
            self._watch(life, turned_s)
        for group in self.groups.values():
            self._tend(group)
        self._looks.tend({name for name, group in self.groups.items() if group.order.second_look is not None})
        self._refusals.say_some(now_s)
        self._endings.tend(now_s)

    def add_group(self, name: str, order: WorkerOrder, *, remote: bool) -> None:
        """Serve one more group: its worker is started at the next turn, or waited for if it is remote."""
        chance = secrets.SystemRandom().random
        start_s = None if remote else self._now_s
        self.groups[name] = Group(name, order, remote, Restarts(chance), start_s=start_s)

    def remove_group(self, name: str) -> None:
        """Serve it no more; its worker ends."""
        group = self.groups.pop(name)
        if group.life is not None:
            self._dismiss(group.life)

    def stand_by(self, name: str, order: WorkerOrder, on_ready: Callable[[Life, Answer], None]) -> Life:
        """Start another worker for a group, armed only when it takes over; `on_ready` tells what became of it."""
        return self._start(name, order, on_ready)

    def take_over(self, life: Life) -> None:
        """A worker that stands by serves its group from now on; the one before ends."""
        group = self.groups.get(life.worker_group)
        if group is None:
            self.add_group(life.worker_group, life.order, remote=False)
            group = self.groups[life.worker_group]
        before, group.life, group.order, group.start_s = group.life, life, life.order, None
        life.on_ready, group.proven = self._loaded, True
        if before is not None:
            self._dismiss(before)
        self._arm(life)

    def reorder(self, name: str, order: WorkerOrder) -> None:
        """Other cameras or zones for a group whose model stays: its worker goes on, unchanged cameras keep tracks."""
        group = self.groups[name]
        group.order = order
        if group.life is not None:
            group.life.order = order
            if group.life.stage in (Stage.READY, Stage.ARMED):
                self._load(group.life)

    def dismiss(self, life: Life) -> None:
        """End a worker that stands by."""
        self._dismiss(life)

    def ask(self, name: str, command: Command, on_answer: OnAnswer) -> None:
        """Send a command to the worker of a group; `on_answer` is called once, with a refusal if there is no worker."""
        group = self.groups.get(name)
        if group is None or group.life is None or not group.life.peer:
            on_answer(Answer(command.command_id, ok=False, reason=f"worker group {name} has no worker now"))
            return
        self._desk.ask(group.life.peer, command, self._beat, on_answer, self._now_s)

    def close(self, timeout_s: float) -> None:
        """End all workers of this machine within about `timeout_s` seconds."""
        lives = set(self._tokens.values()) | set(self._peers.values())
        for life in lives:
            if life.peer and life.process is not None:
                self._send(life.peer, verbs.STOP)
            if life.process is not None:
                life.process.release()
        for life in lives:
            if life.process is not None:
                life.process.wait(timeout_s)
        self._endings.close()

    def _take(self, link: HubSocket, message: Upward) -> None:
        try:
            if message.verb == verbs.HELLO:
                self._greet(link, message)
                return
            life = self._peers.get(message.peer)
            if life is None:
                link.send(message.peer, verbs.WHO)
                return
            self._hear(life, message)
        except WireError as error:
            self._refusals.note("worker", str(error))

    def _greet(self, link: HubSocket, message: Upward) -> None:
        hello = decode_hello(b"".join(message.frames))
        life = self._life_of(hello, message)
        if life is None:
            link.send(message.peer, verbs.REFUSED, b"it is not a worker that this hub started or knows by its key")
            self._refusals.note(hello.worker_group[:64], "a stranger said hello")
            return
        if hello.protocol != verbs.PROTOCOL:
            reason = f"the hub speaks version {verbs.PROTOCOL} of the seam, but the worker {hello.protocol}"
            link.send(message.peer, verbs.REFUSED, reason.encode())
            return
        life.instance, life.peer = hello.instance, message.peer
        self._peers[message.peer], self._links[message.peer] = life, link
        self._send(message.peer, verbs.WELCOME, encode_welcome(life.worker_epoch))
        if life.stage is Stage.STARTED:
            self._load(life)
        elif life.stage is Stage.ARMED:  # it came back after its connection was lost
            self._arm(life)

    def _life_of(self, hello: Hello, message: Upward) -> Life | None:
        """Whose greeting it is: that of a worker that was started here, by its token, or a remote one, by its key."""
        if hello.token:
            life = self._tokens.get(hello.token)
            return life if life is not None and life.instance in ("", hello.instance) else None
        group = self.groups.get(hello.worker_group)
        if group is None or not group.remote or message.user_id != group.name:
            return None
        if group.life is None or group.life.instance != hello.instance:
            if group.life is not None:
                self._lose(group.life, f"another worker took over for {group.name}")
            group.life = Life(group.name, group.order, next(self._epochs), "", self._now_s, self._loaded)
        return group.life

    def _hear(self, life: Life, message: Upward) -> None:
        match message.verb, message.frames:
            case verbs.OBSERVATION, (number, payload):
                if self._fresh(life, number):
                    seen = decode_observation(payload)
                    self._observe(life, seen, seen)
            case verbs.PROBED, (number, payload):
                if self._fresh(life, number):
                    probed = decode_probed(payload)
                    self._observe(life, probed.seen, ProbeSight(probed.probe_id, probed.seen))
            case verbs.ALIVE, (number,):
                self._fresh(life, number)
            case verbs.LOST, (payload,):
                lost = decode_lost(payload)
                if lost.camera_id in life.camera_ids and self._current(life):
                    self._say(f"camera {lost.camera_id}: {lost.reason}")
                    self._feed(WorkerLost((lost.camera_id,), lost.reason))
            case ((verbs.ANNOTATION | verbs.SECOND_LOOK), (payload,)):
                self._hear_second_look(life, message.verb, payload)
            case verbs.ANSWER, (payload, attachment):
                life.heard()
                self._desk.answered(life.peer, decode_answer(payload, attachment))
            case _:
                raise WireError(f"a worker must send what docs/seam.md lists, but sent {message.verb[:20]!r}")

    def _fresh(self, life: Life, number: bytes) -> bool:
        """Whether what came with this beat tells about now; then the worker is alive."""
        beat = beat_number(number)
        age_s = None if beat is None else self._beats.age_s(beat, self._now_s)
        if age_s is None or age_s > LATE_S:
            return False
        life.heard()
        return True

    def _observe(self, life: Life, seen: Observation, value: Observation | ProbeSight) -> None:
        if not self._current(life) or life.stage is not Stage.ARMED:
            self._refusals.note(life.worker_group, "an Observation of a worker that is not armed")
        elif seen.camera_id not in life.camera_ids or seen.worker_epoch != life.worker_epoch:
            self._refusals.note(life.worker_group, "an Observation that is not this worker's to make")
        else:
            self._feed(value)

    def _hear_second_look(self, life: Life, verb: bytes, payload: bytes) -> None:
        """A late word counts as long as its worker serves the camera: it can only add."""
        if verb == verbs.SECOND_LOOK:
            if self._current(life):
                self._looks.heard(life.worker_group, decode_health(payload))
            return
        said = decode_annotation(payload)
        own = said.camera_id in life.camera_ids and said.worker_epoch == life.worker_epoch
        if own and self._current(life):
            self._feed(said)
        else:
            self._refusals.note(life.worker_group, "an Annotation that is not this worker's to make")

    def _current(self, life: Life) -> bool:
        group = self.groups.get(life.worker_group)
        return group is not None and group.life is life

    def _watch(self, life: Life, turned_s: float) -> None:
        """Whether a worker is alive; a silent one is not believed any more, and then ended."""
        life.silent_s += turned_s
        ended = life.process.ended() if life.process is not None else None
        reason = ended or life.overdue(self._now_s)
        if reason is not None:
            self._lose(life, reason)
        elif life.stage is Stage.ARMED and life.silent_s > SILENT_S and not life.told_silent:
            life.told_silent = True
            if self._current(life):
                text = f"worker {life.worker_group} gave no sign of life for {SILENT_S:g} s"
                self._say(text)
                self._feed(WorkerLost(life.camera_ids, text))

    def _lose(self, life: Life, reason: str) -> None:
        """A worker has ended, or is ended here; its cameras are BLIND, and another one is started in time."""
        self._say(reason)
        current = self._current(life)
        if current:
            self._feed(WorkerLost(life.camera_ids, reason))
        self._forget(life, reason)
        if life.process is not None:
            life.process.kill()
            self._endings.add(life.process, self._now_s)
        if not current:
            life.on_ready(life, Answer("", ok=False, reason=reason))
            return
        group = self.groups[life.worker_group]
        group.life, group.reason = None, reason
        if not group.remote:
            group.start_s = self._now_s + group.restarts.delay_s(self._now_s)
        if group.restarts.exhausted:
            group.told_exhausted = True
            self._trouble(f"worker-{group.name}", f"it does not stay alive and is tried once a minute: {reason}")

    def _tend(self, group: Group) -> None:
        if group.life is None and group.start_s is not None and self._now_s >= group.start_s:
            group.start_s = None
            group.life = self._start(group.name, group.order, self._loaded)
        elif group.life is not None and group.life.stage is Stage.ARMED and self._now_s - group.life.since_s > STEADY_S:
            group.restarts.steady()
            if group.told_exhausted:
                group.told_exhausted = False
                self._trouble(f"worker-{group.name}", None)

    def _start(self, name: str, order: WorkerOrder, on_ready: Callable[[Life, Answer], None]) -> Life:
        token = secrets.token_urlsafe(32)
        life = Life(name, order, next(self._epochs), token, self._now_s, on_ready)
        self._tokens[token] = life
        life.process = self._start_process(self._hand_over(name, token))
        self._say(f"worker {name} started, process {life.process.pid}")
        return life

    def _load(self, life: Life) -> None:
        if life.stage is not Stage.ARMED:  # one that is armed goes on observing while it takes over other zones
            life.enter(Stage.LOADING, self._now_s)
        order = life.order
        command = Command(secrets.token_hex(8), CommandKind.RELOAD, LOAD_TIMEOUT_S, order_to_json(order))
        self._desk.ask(life.peer, command, self._beat, lambda said: self._done_loading(life, order, said), self._now_s)

    def _done_loading(self, life: Life, order: WorkerOrder, answer: Answer) -> None:
        if life.peer not in self._peers:
            return  # it has ended: that was told already
        if answer.ok and life.stage is Stage.LOADING:
            life.enter(Stage.READY, self._now_s)
        if life.order is not order:
            self._load(life)  # the site has changed meanwhile
        else:
            life.on_ready(life, answer)

    def _loaded(self, life: Life, answer: Answer) -> None:
        """The worker of a group answered its order."""
        group = self.groups.get(life.worker_group)
        if not self._current(life) or group is None:
            return
        if answer.ok:
            group.proven = True
            self._arm(life)
            return
        fatal = _FATAL.get(answer.body.get("exit_code", 0))
        if fatal is not None and not group.remote and not group.proven:
            raise fatal(answer.reason)
        self._lose(life, f"worker {life.worker_group} cannot do what it is ordered: {answer.reason}")

    def _arm(self, life: Life) -> None:
        command = Command(secrets.token_hex(8), CommandKind.ARM, ASK_TIMEOUT_S, {"config_rev": life.order.config_rev})
        self._desk.ask(life.peer, command, self._beat, lambda answer: self._armed(life, answer), self._now_s)

    def _armed(self, life: Life, answer: Answer) -> None:
        if life.peer not in self._peers:
            return
        if not answer.ok:
            self._lose(life, f"worker {life.worker_group} does not arm: {answer.reason}")
        elif life.stage is not Stage.ARMED:
            life.enter(Stage.ARMED, self._now_s)
            self.groups[life.worker_group].reason = ""
            self._say(f"worker {life.worker_group} is armed for {', '.join(life.camera_ids)}")

    def _dismiss(self, life: Life) -> None:
        """End a worker that is not needed any more: nobody is blind for it."""
        if life.peer:
            self._send(life.peer, verbs.STOP)
        self._forget(life, "the worker is not needed any more")
        if life.process is not None:
            life.process.release()
            self._endings.add(life.process, self._now_s)

    def _forget(self, life: Life, reason: str) -> None:
        self._tokens.pop(life.token, None)
        for peer in [peer for peer, known in self._peers.items() if known is life]:
            del self._peers[peer], self._links[peer]
            self._desk.gone(peer, reason)

    def _send(self, peer: bytes, verb: bytes, *frames: bytes) -> None:
        self._links[peer].send(peer, verb, *frames)
