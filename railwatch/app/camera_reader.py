"""The threads that read one live camera, and the watch over them from outside.

A thread opens the camera, drains it and hands over the newest frame; it may hang in a native call for as long as it
likes. Whoever calls `turn` notices by the clock: such a thread is left behind, nothing that it still gives counts, and
another one opens the camera anew.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Final

from railwatch.core.clock import Clock
from railwatch.core.errors import RailwatchError
from railwatch.core.settings import CameraSettings
from railwatch.core.types import Frame
from railwatch.perception.live import LatestFrame
from railwatch.perception.source import Source

REOPEN_FIRST_S: Final = 0.25
REOPEN_LONGEST_S: Final = 1.0
"""A camera that is back must be seen again soon: an attempt a second harms nobody."""

STEADY_S: Final = 10.0
"""A camera that gave frames for so long is opened again soon when it fails."""

STALLED_S: Final = 1.5
"""A camera that has given frames and gives none for so long, or for three of its periods, has stalled."""

FIRST_S: Final = 12.0
"""A camera must give a first frame so soon: some send a key frame only every ten seconds."""

MOST_LEFT_BEHIND: Final = 4
"""Threads of one camera that may hang; one more, and the whole process must be replaced."""

OpenLive = Callable[[CameraSettings, bool, threading.Event], Source]
"""Opens a camera; a recording begins again at its end if the second is true; the event ends its frames."""


class ReadersHangError(RailwatchError):
    """Too many threads hang in native calls: only a new process gets rid of them."""

    exit_code = 76


class Attempt:
    """One thread that opens a camera and reads it until it fails, ends, or is left behind."""

    def __init__(self, name: str, read: Callable[[Attempt], None], begun_s: float) -> None:
        self.stop = threading.Event()
        self.begun_s = begun_s
        self.newest_s: float | None = None
        self.period_s = 0.0
        self.failure: str | None = None
        self._read = read
        self.thread = threading.Thread(target=self._run, name=f"read-{name}", daemon=True)
        self.thread.start()

    def took(self, now_s: float) -> None:
        """A fresh frame has come."""
        if self.newest_s is not None:
            self.period_s += 0.1 * (now_s - self.newest_s - self.period_s)
        self.newest_s = now_s

    def stalled_s(self, now_s: float) -> float | None:
        """For how long no frame has come, if that is too long; None while it is well."""
        if self.newest_s is None:
            silent_s, bound_s = now_s - self.begun_s, FIRST_S
        else:
            silent_s, bound_s = now_s - self.newest_s, max(STALLED_S, 3.0 * self.period_s)
        return silent_s if silent_s > bound_s else None

    def _run(self) -> None:
        try:
            self._read(self)
        except Exception as error:  # noqa: BLE001 - whatever ends the reading is told, and the camera is opened again
            self.failure = " ".join(str(error).split())[:500] or type(error).__name__


class CameraReader:
    """Reads a camera from the moment it is made. `mark()` is put to every frame; `wake()` is called when there is news.

    Call `turn` often, from the one thread that uses this. `chance` gives numbers from 0 to 1 for the jitter.
    """

    def __init__(
        self,
        camera: CameraSettings,
        open_live: OpenLive,
        *,
        loop: bool,
        mark: Callable[[], int],
        wake: Callable[[], None],
        clock: Clock,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.camera = camera
        self.latest = LatestFrame()
        self.newest: Frame | None = None
        self.description = ""
        self._open_live, self._loop = open_live, loop
        self._mark, self._wake, self._clock, self._chance = mark, wake, clock, chance
        self._wait_s, self._due_s = REOPEN_FIRST_S, float("-inf")
        self._left_behind: list[Attempt] = []
        self._lock = threading.Lock()
        self._current: Attempt | None = None
        self._begin()

    def turn(self) -> str | None:
        """See to the reading; why the camera gives no frames, once for each failure.

        Raises ReadersHangError when too many threads were left behind.
        """
        now_s = self._clock()
        self._left_behind = [attempt for attempt in self._left_behind if attempt.thread.is_alive()]
        attempt = self._current
        if attempt is None:
            if now_s >= self._due_s:
                self._begin()
            return None
        if not attempt.thread.is_alive():
            return self._ended(attempt, attempt.failure or "the camera gives no more frames", now_s)
        silent_s = attempt.stalled_s(now_s)
        if silent_s is None:
            return None
        self._left_behind.append(attempt)
        reason = self._ended(attempt, f"no fresh picture came for {silent_s:.1f} s", now_s)
        if len(self._left_behind) > MOST_LEFT_BEHIND:
            raise ReadersHangError(
                f"camera {self.camera.camera_id}: {len(self._left_behind)} threads hang while they read it"
            )
        return reason

    def close(self, wait_s: float = 2.0) -> None:
        """End the threads; one that hangs in a native call is left behind after `wait_s` seconds."""
        with self._lock:
            attempt, self._current = self._current, None
        self._due_s = float("inf")
        if attempt is not None:
            attempt.stop.set()
            attempt.thread.join(wait_s)

    def _begin(self) -> None:
        with self._lock:
            self._current = Attempt(self.camera.camera_id, self._read, self._clock())

    def _ended(self, attempt: Attempt, reason: str, now_s: float) -> str:
        """Nothing of an attempt counts any more; the next is due after a wait that grows up to a bound."""
        with self._lock:
            self._current = None
        attempt.stop.set()
        steady = attempt.newest_s is not None and attempt.newest_s - attempt.begun_s >= STEADY_S
        self._wait_s = REOPEN_FIRST_S if steady else min(REOPEN_LONGEST_S, 2.0 * self._wait_s)
        self._due_s = now_s + self._wait_s * (0.8 + 0.4 * self._chance())
        return reason

    def _read(self, attempt: Attempt) -> None:
        """Read the camera, in a thread of its own."""
        try:
            with self._open_live(self.camera, self._loop, attempt.stop) as source:
                for frame in source.frames():
                    if not self._take(attempt, frame, source.info.description):
                        return
        finally:
            self._wake()

    def _take(self, attempt: Attempt, frame: Frame, description: str) -> bool:
        """Hand over a frame, if the attempt still counts."""
        with self._lock:
            if self._current is not attempt:
                return False
            attempt.took(self._clock())
            self.newest, self.description = frame, description
            self.latest.put(frame, self._mark())
        self._wake()
        return not attempt.stop.is_set()
