"""Encoded video as a camera sends it: what a recording keeps, so that evidence needs no second encoding."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from railwatch.core.types import Size


@dataclass(frozen=True, slots=True)
class StreamHead:
    """What a decoder must know before the first packet: the codec's name as libav gives it, and its extra data.

    Raises ValueError when the time base is not positive.
    """

    codec: str
    extradata: bytes
    size: Size
    time_base: Fraction

    def __post_init__(self) -> None:
        if self.time_base <= 0:
            raise ValueError(f"time_base must be positive, but is {self.time_base}")


@dataclass(frozen=True, slots=True)
class EncodedPacket:
    """One packet of a video stream. `pts` and `dts` count in the head's time base; `t_s` is when it came, monotonic.

    `damaged`: the camera's transport or the decoder marked it as corrupt.
    """

    data: bytes
    pts: int | None
    dts: int | None
    keyframe: bool
    damaged: bool
    t_s: float


class PacketSink(Protocol):
    """Who keeps the packets of one camera. Called from the thread that reads; must return at once and never raise."""

    def begin(self, head: StreamHead) -> None:
        """A stream begins, or begins again with other properties: packets from before do not go on."""

    def put(self, packet: EncodedPacket) -> None:
        """The next packet in the order in which the camera sent it."""
