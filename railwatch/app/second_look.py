"""The worker's end of the second look: crops are handed to a process of its own, answers come when they come.

The thread that detects only cuts out small pictures and puts them into a bounded queue; it waits for nothing. A thread
of the second look owns the process: it sends what waits as one batch, starts the process again when it is out, later
and later, and tells why.
"""

from __future__ import annotations

import secrets
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from railwatch.app.restarts import STEADY_S, Restarts
from railwatch.app.second_look_pipe import ANSWER_S, PROCESS_COMMAND, Introduction, OutError, Pipe
from railwatch.core.clock import elapsed_s
from railwatch.core.second_look import Annotation, SecondLookSettings
from railwatch.core.types import Frame, Observation, UInt8Array
from railwatch.perception.second_look import Turns, crop_of

MOST_WAITING: Final = 32
"""Crops that wait at most, of all cameras; the oldest give way."""

MOST_IN_BATCH: Final = 8
MOST_ANSWERS: Final = 256
SIGN_OF_LIFE_S: Final = 2.0
"""A process that has nothing to do is asked for a sign of life so often."""

WELL_AFTER_S: Final = 10.0
"""A process that was started again counts as well when it has answered, or after so long without work."""


_OUT: Final = "the second look at animals is out, alarms go on without it"


class Crop(NamedTuple):
    """A picture of an animal, (side, side, 3) uint8 RGB, and which one it is."""

    camera_id: str
    worker_epoch: int
    track_id: int
    t_s: float
    picture: UInt8Array


class SecondLook:
    """The second look of one worker, batched across its cameras. `look` and `take` never wait; `close` ends it.

    `wake` is called, from another thread, when there is something to take. `trouble` is why it is out, None while it is
    not; it begins as None, and is told anew when it changes.
    """

    def __init__(
        self,
        settings: SecondLookSettings,
        wake: Callable[[], None],
        command: Sequence[str] = PROCESS_COMMAND,
        answer_s: float = ANSWER_S,
    ) -> None:
        self.settings = settings
        self.trouble: str | None = None
        self._wake, self._command, self._answer_s = wake, command, answer_s
        self._changed = threading.Condition()
        self._waiting: deque[Crop] = deque(maxlen=MOST_WAITING)
        self._answers: deque[Annotation] = deque(maxlen=MOST_ANSWERS)
        self._turns: dict[str, Turns] = {}
        self._pipe: Pipe | None = None
        self._side = self._asking = 0
        self._closed = False
        self._restarts = Restarts(secrets.SystemRandom().random)
        self._thread = threading.Thread(target=self._run, name="second-look", daemon=True)
        self._thread.start()

    def look(self, frame: Frame, seen: Observation) -> None:
        """Cut out the animals of a frame that are due. Nothing is cut out while the process is not ready."""
        side = self._side
        if not side or not seen.tracks:
            return
        turns = self._turns.setdefault(seen.camera_id, Turns())
        for track in turns.due(seen, self.settings.every_s):
            try:
                picture = crop_of(frame.picture, track.xyxy, side)
            except Exception as error:  # noqa: BLE001 - nothing that goes wrong here may blind a camera
                self.trouble = f"{_OUT}: an animal cannot be cut out: {error}"
                continue
            with self._changed:
                self._waiting.append(Crop(seen.camera_id, seen.worker_epoch, track.track_id, seen.t_s, picture))
                self._changed.notify_all()

    def take(self) -> list[Annotation]:
        """The answers that have come, in order."""
        with self._changed:
            answers = list(self._answers)
            self._answers.clear()
        return answers

    def settle(self, timeout_s: float) -> None:
        """Wait until the process is ready and has answered all crops, or is out: for who is in no hurry."""
        with self._changed:
            self._changed.wait_for(
                lambda: self.trouble is not None or (self._side > 0 and not self._waiting and not self._asking),
                timeout_s,
            )

    @property
    def pid(self) -> int | None:
        """Number of the process, None between two."""
        pipe = self._pipe
        return None if pipe is None else pipe.pid

    def close(self) -> None:
        """End process and thread."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if (pipe := self._pipe) is not None:
            pipe.kill()
        self._thread.join(1.0)

    def _run(self) -> None:
        while not self._closed:
            try:
                with Pipe(self.settings, self._command, self._answer_s) as pipe:
                    self._pipe = pipe
                    if not self._closed:
                        self._serve(pipe, pipe.introduce())
            except OutError as error:
                self._out(str(error))
            except Exception as error:  # noqa: BLE001 - it must be told, and the thread must go on
                self._out(f"{type(error).__name__}: {error}")
            finally:
                self._pipe = None

    def _serve(self, pipe: Pipe, who: Introduction) -> None:
        least = self.settings.least_confidence
        least = who.abstain_below if least is None else least
        with self._changed:
            self._side = who.side
            self._changed.notify_all()
        try:
            begun_s = elapsed_s()
            while not self._closed:
                batch = self._next_batch()
                self._tell(batch, pipe.ask([crop.picture for crop in batch]), least)
                self._well(elapsed_s() - begun_s, answered=bool(batch))
        finally:
            with self._changed:
                self._side = self._asking = 0
                self._waiting.clear()

    def _next_batch(self) -> list[Crop]:
        """What waits, the oldest first; nothing when a sign of life is due."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._waiting, SIGN_OF_LIFE_S)
            batch = [self._waiting.popleft() for _ in range(min(MOST_IN_BATCH, len(self._waiting)))]
            self._asking = len(batch)
        return batch

    def _tell(self, batch: Sequence[Crop], answers: Sequence[tuple[str, float]], least: float) -> None:
        told = [
            Annotation(*crop[:4], taxon if confidence >= least else None, confidence)
            for crop, (taxon, confidence) in zip(batch, answers, strict=True)
        ]
        with self._changed:
            self._answers.extend(told)
            self._asking = 0
            self._changed.notify_all()
        if told:
            self._wake()

    def _well(self, lived_s: float, *, answered: bool) -> None:
        """A process has lived for so long; what was wrong is over when it does its work again."""
        if lived_s > STEADY_S:
            self._restarts.steady()
        if self.trouble is not None and (answered or lived_s > WELL_AFTER_S):
            with self._changed:
                self.trouble = None
            self._wake()

    def _out(self, reason: str) -> None:
        """Tell why, and wait before the next start."""
        if self._closed:
            return
        with self._changed:
            self.trouble = f"{_OUT}: {reason}"
            self._changed.notify_all()
        self._wake()
        delay_s = self._restarts.delay_s(elapsed_s())
        with self._changed:
            self._changed.wait_for(lambda: self._closed, delay_s)
