"""Live sources: the newest frame wins, and a recording that goes at its own speed stands in for a camera."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import TracebackType
from typing import Final, NamedTuple, Self

from railwatch.core.clock import Clock
from railwatch.core.errors import SourceError
from railwatch.core.packets import PacketSink
from railwatch.core.types import Frame
from railwatch.perception.source import FileSource, Source

SILENT_S: Final = 5.0
"""A live source that gives nothing for so long has failed."""

CLOSE_S: Final = 3.0


class Taken(NamedTuple):
    """A frame from the slot, the mark that it was put there with, and how many were dropped since the start."""

    frame: Frame
    mark: int
    dropped: int


class LatestFrame:
    """A slot for one frame between the thread that reads and the one that looks: the newest wins, drops are counted.

    >>> from railwatch.testing import ListSource, solid_picture
    >>> from railwatch.core.types import Size
    >>> slot = LatestFrame()
    >>> for frame in ListSource([solid_picture(Size(8, 6))] * 3, [0.0, 0.1, 0.2]).frames():
    ...     slot.put(frame, 0)
    >>> taken = slot.take()
    >>> taken.frame.index, taken.dropped, slot.take()
    (2, 2, None)
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: tuple[Frame, int] | None = None
        self._dropped = 0

    def put(self, frame: Frame, mark: int) -> None:
        """Put the newest frame; one that was still there is dropped."""
        with self._lock:
            self._dropped += self._waiting is not None
            self._waiting = (frame, mark)

    def take(self) -> Taken | None:
        """The newest frame, once."""
        with self._lock:
            waiting, self._waiting = self._waiting, None
            return None if waiting is None else Taken(*waiting, self._dropped)


class PacedSource:
    """A finite source at its own speed, as a camera would give it: `t_s` is the time at which a frame was due.

    `open_source` opens it, and again after its end if `loop`; without it, the end raises SourceError, as that of a
    camera does. A frame that is late is given at once: the reader drains, and the newest wins. `stop` ends `frames`.
    `sink` is handed the packets of a video file, each with the time at which its frame is due. Raises what
    `open_source` raises.
    """

    def __init__(
        self,
        open_source: Callable[[], Source],
        *,
        loop: bool,
        clock: Clock,
        stop: threading.Event,
        sink: PacketSink | None = None,
    ) -> None:
        self._open, self._loop, self._clock, self._stop, self._sink = open_source, loop, clock, stop, sink
        self._source = open_source()
        self.camera_id = self._source.camera_id
        self.info = replace(self._source.info, live=True)

    def frames(self) -> Iterator[Frame]:
        """Every frame when it is due; ends only when it is stopped."""
        index, begun_s = 0, self._clock()
        while True:
            last_s = 0.0
            if self._sink is not None and isinstance(self._source, FileSource):
                self._source.record(self._sink, begun_s)
            for frame in self._source.frames():
                due_s = begun_s + frame.t_s
                if self._stop.wait(max(0.0, due_s - self._clock())):
                    return
                yield replace(frame, index=index, t_s=due_s)
                index, last_s = index + 1, frame.t_s
            if not self._loop:
                raise SourceError(f"{self.info.description} has ended after {index} frames")
            self._source.close()
            self._source = self._open()
            begun_s = max(self._clock(), begun_s + last_s + 1.0 / (self.info.fps or 10.0))

    def close(self) -> None:
        """Let go of the source; may be called twice."""
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Drained:
    """A live source of which only the newest frame is given: a thread of its own reads it as fast as it comes.

    `t_s` counts from its first frame, as that of a recording does. `frames` raises what the source raises, and
    SourceError when no frame comes for SILENT_S.
    """

    def __init__(self, source: Source) -> None:
        self._source, self._stop = source, threading.Event()
        self._news = threading.Event()
        self._failure: BaseException | None = None
        self.latest = LatestFrame()
        self.camera_id, self.info = source.camera_id, source.info
        self._thread = threading.Thread(target=self._drain, name=f"drain-{source.camera_id}", daemon=True)

    def frames(self) -> Iterator[Frame]:
        """The newest frame each time, once."""
        self._thread.start()
        first_s: float | None = None
        while not self._stop.is_set():
            if not self._news.wait(SILENT_S):
                raise SourceError(f"{self.info.description} must give pictures, but gave none for {SILENT_S:g} s")
            self._news.clear()
            taken = self.latest.take()
            if taken is not None:
                first_s = taken.frame.t_s if first_s is None else first_s
                yield replace(taken.frame, t_s=taken.frame.t_s - first_s)
            elif self._failure is not None:
                raise self._failure

    def close(self) -> None:
        """End the reading; a thread that hangs in a native call is left behind."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(CLOSE_S)
        else:
            self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _drain(self) -> None:
        try:
            with self._source as source:
                for frame in source.frames():
                    self.latest.put(frame, 0)
                    self._news.set()
                    if self._stop.is_set():
                        return
            self._failure = SourceError(f"{self.info.description} must go on giving pictures, but has ended")
        except Exception as error:  # noqa: BLE001 - raised where the frames are used
            self._failure = error
        finally:
            self._news.set()
