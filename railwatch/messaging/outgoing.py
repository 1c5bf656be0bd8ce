"""An alert between the decision and the socket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class Outgoing(Protocol):
    """An alert on its way; `occupied_section` is set when it says by itself that the section is occupied."""

    @property
    def seq(self) -> int:
        """Its number."""
        ...

    @property
    def topic(self) -> bytes:
        """Where it goes."""
        ...

    @property
    def occupied_section(self) -> str | None:
        """The section, or None."""
        ...

    def payload_at(self, now_s: float) -> bytes | None:
        """What goes out now; None while it must wait."""
        ...

    def wait_s(self, now_s: float) -> float:
        """Seconds that it may still wait."""
        ...


@dataclass(frozen=True, slots=True)
class Prompt:
    """An alert that waits for nothing."""

    seq: int
    topic: bytes
    payload: bytes
    occupied_section: str | None

    def payload_at(self, now_s: float) -> bytes:  # noqa: ARG002 - whenever it is asked
        """What goes out."""
        return self.payload

    def wait_s(self, now_s: float) -> float:  # noqa: ARG002 - whenever it is asked
        """No time."""
        return 0.0
