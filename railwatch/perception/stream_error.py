"""Why a stream gives no pictures, as one of a few states that a person can act on."""

from __future__ import annotations

from enum import StrEnum

from railwatch.core.errors import SourceError


class StreamState(StrEnum):
    """REFUSED: by our own rules. The others say what the camera, or the network on the way to it, did."""

    REFUSED = "REFUSED"
    UNREACHABLE = "UNREACHABLE"
    NO_ANSWER = "NO_ANSWER"
    NOT_A_STREAM = "NOT_A_STREAM"
    UNAUTHORIZED = "UNAUTHORIZED"
    NOT_FOUND = "NOT_FOUND"
    REDIRECTED = "REDIRECTED"
    NO_VIDEO = "NO_VIDEO"
    BROKEN = "BROKEN"


class StreamError(SourceError):
    """A stream that cannot be opened, or has ended. The text begins with the state and holds no secret.

    >>> str(StreamError(StreamState.NO_ANSWER, "rtsp://cam:554/1 gave no picture for 2 s"))
    'NO_ANSWER: rtsp://cam:554/1 gave no picture for 2 s'
    """

    def __init__(self, state: StreamState, text: str) -> None:
        super().__init__(f"{state.value}: {text}")
        self.state = state
