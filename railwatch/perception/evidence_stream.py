"""A second, finer stream of a camera, recorded beside the one that is looked at: its packets, nothing decoded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from railwatch.core.types import Frame
from railwatch.perception.source import Closing, Source

AGAIN_S: Final = 2.0
"""Wait before a recording that has ended is begun anew."""

CLOSE_S: Final = 1.0


class Recording(Protocol):
    """A stream that hands its packets to the sink that it was given."""

    def record(self) -> None:
        """Hand over every packet until it is stopped; raises SourceError when the stream ends or breaks."""

    def close(self) -> None:
        """Let go of the connection."""


OpenRecording = Callable[[threading.Event], Recording]
"""Opens a stream that the event stops. Raises SourceError."""


class RecordedBeside(Closing):
    """`source`, while another stream of the same camera is recorded in a thread of its own.

    That one may fail without blinding the camera: `say` is told why, once for each reason, and it is opened again.
    `stop` ends it, also when the source hangs and is left behind.
    """

    def __init__(
        self, source: Source, open_recording: OpenRecording, say: Callable[[str], None], stop: threading.Event
    ) -> None:
        self.camera_id, self.info = source.camera_id, source.info
        self._source, self._open, self._say = source, open_recording, say
        self._stop = stop
        self._thread = threading.Thread(target=self._run, name=f"record-{source.camera_id}", daemon=True)
        self._thread.start()

    def frames(self) -> Iterator[Frame]:
        """Those of the source that is looked at."""
        return self._source.frames()

    def close(self) -> None:
        """End both; a recording that hangs in a native call ends by its own time-out."""
        self._stop.set()
        self._source.close()
        self._thread.join(CLOSE_S)

    def _run(self) -> None:
        told = ""
        while not self._stop.is_set():
            try:
                recording = self._open(self._stop)
                try:
                    recording.record()
                finally:
                    recording.close()
            except Exception as error:  # noqa: BLE001 - whatever ends the recording is told, and it is begun anew
                reason = " ".join(str(error).split())[:500] or type(error).__name__
                if reason != told and not self._stop.is_set():
                    self._say(f"camera {self.camera_id}: no evidence is recorded: {reason}")
                told = reason
            self._stop.wait(AGAIN_S)
