"""The thread that reads one live camera: it drains it, hands over the newest frame, opens it again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from railwatch.core.clock import Clock
from railwatch.core.settings import CameraSettings
from railwatch.core.types import Frame
from railwatch.perception.live import LatestFrame
from railwatch.perception.source import Source

REOPEN_FIRST_S: Final = 0.5
REOPEN_LONGEST_S: Final = 10.0
STEADY_S: Final = 10.0
"""A camera that gave frames for so long is opened again soon when it fails."""

OpenLive = Callable[[CameraSettings, bool, threading.Event], Source]
"""Opens a camera; a recording begins again at its end if the second is true; the event ends its frames."""


class CameraReader:
    """Reads a camera from the moment it is made. `mark()` is put to every frame; `wake()` is called when there is news.

    What the source raises is kept as the reason of the failure, for `failure` to tell, and the camera is opened again.
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
    ) -> None:
        self.camera = camera
        self.latest = LatestFrame()
        self.newest: Frame | None = None
        self.description = ""
        self._open_live, self._loop = open_live, loop
        self._mark, self._wake, self._clock = mark, wake, clock
        self._failure: str | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"read-{camera.camera_id}", daemon=True)
        self._thread.start()

    def failure(self) -> str | None:
        """Why the camera gives no frames, once for each failure."""
        failure, self._failure = self._failure, None
        return failure

    def close(self, wait_s: float = 2.0) -> None:
        """End the thread; one that hangs in a native call is left behind after `wait_s` seconds."""
        self._stop.set()
        self._thread.join(wait_s)

    def _run(self) -> None:
        wait_s = REOPEN_FIRST_S
        while not self._stop.is_set():
            opened_s = self._clock()
            try:
                self._read()
            except Exception as error:  # noqa: BLE001 - whatever ends the reading is told, and reading goes on
                self._fail(error)
            steady = self._clock() - opened_s >= STEADY_S
            wait_s = REOPEN_FIRST_S if steady else min(REOPEN_LONGEST_S, 2.0 * wait_s)
            self._stop.wait(wait_s)

    def _read(self) -> None:
        with self._open_live(self.camera, self._loop, self._stop) as source:
            self.description = source.info.description
            for frame in source.frames():
                self.newest = frame
                self.latest.put(frame, self._mark())
                self._wake()
                if self._stop.is_set():
                    return

    def _fail(self, error: Exception) -> None:
        if not self._stop.is_set():
            self._failure = " ".join(str(error).split())[:500] or type(error).__name__
            self._wake()
