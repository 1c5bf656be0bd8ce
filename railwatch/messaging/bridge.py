"""Alerts on to where ZeroMQ does not reach: a thread a sink, each with its own connection to the hub and position.

A position moves only when the sink has confirmed. So a sink that was away, or a bridge that was, gets everything from
the hub's journal, at least once; a sink that is dead holds up no other.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from railwatch.core.alerts import SectionState
from railwatch.core.errors import RailwatchError
from railwatch.messaging.client import Client
from railwatch.messaging.events import AlertReceived, Event, Gap, HistoryLost, ProtocolFault

FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 30.0
"""Pauses between attempts double up to this."""

_POLL_S: Final = 0.1


class SinkError(RailwatchError):
    """A sink does not take what it is given; the message holds no secret."""

    exit_code = 5


class Sink(Protocol):
    """Where alerts go. All is called from one thread; whatever fails raises SinkError, and `open` comes next.

    `name` is told to people and names the files; `answers` says whether the other side is known to be there now.
    """

    name: str
    answers: bool

    def open(self) -> None:
        """Connect, or raise SinkError."""
        ...

    def take(self, event: Event) -> None:
        """Begin to hand on an event; it need not be confirmed yet."""
        ...

    def turn(self, states: Mapping[str, SectionState]) -> None:
        """Do what is due, given what may be believed of every section now."""
        ...

    def confirmed(self) -> AlertReceived | None:
        """The last alert up to which none needs to be repeated, if there is a new one. Never raises."""
        ...

    def close(self) -> None:
        """Say good-bye, if anybody is there. Never raises."""
        ...


class SinkThread:
    """Feeds one sink until it is stopped.

    Args:
        sink: What it feeds.
        connect: Makes a client that goes on behind the sink's position; called anew after every failure.
        say: Takes one line about trouble, its end, and alerts that nobody has any more.
        pause_s: First and longest pause after a failure.
    """

    def __init__(
        self,
        sink: Sink,
        connect: Callable[[], Client],
        say: Callable[[str], None],
        pause_s: tuple[float, float] = (FIRST_PAUSE_S, LONGEST_PAUSE_S),
    ) -> None:
        self._sink, self._connect, self._say = sink, connect, say
        self._first_pause_s, self._longest_pause_s = pause_s
        self._pause_s = self._first_pause_s
        self._stopping = threading.Event()
        self._trouble: str | None = None
        self.failure: BaseException | None = None
        """What ended the thread although nobody stopped it: a fault that trying again does not mend."""
        self._thread = threading.Thread(target=self._run, name=f"railwatch-bridge-{sink.name}", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether it still feeds its sink."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Ask it to end; see `join`."""
        self._stopping.set()

    def join(self, timeout_s: float) -> bool:
        """Wait for its end; whether it has ended. What the sink had not confirmed comes again the next time."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                try:
                    self._feed()
                except SinkError as error:
                    self._tell(str(error))
                    self._stopping.wait(self._pause_s)
                    self._pause_s = min(2.0 * self._pause_s, self._longest_pause_s)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the command must end with it
            self.failure = error

    def _feed(self) -> None:
        """From one failure of the sink to the next."""
        try:
            self._sink.open()
            with self._connect() as client:
                while not self._stopping.is_set():
                    self._turn(client)
        finally:
            self._sink.close()

    def _turn(self, client: Client) -> None:
        confirmed = None
        try:
            for event in client.poll(_POLL_S):
                self._note(event)
                self._sink.take(event)
            self._sink.turn(client.states())
        finally:
            confirmed = self._sink.confirmed()
            if confirmed is not None:
                client.done(confirmed)
        if confirmed is not None or self._sink.answers:
            self._pause_s = self._first_pause_s
            self._tell(None)

    def _note(self, event: Event) -> None:
        match event:
            case Gap():
                missing = f"{event.first_missing} to {event.last_missing}"
                self._say(f"{self._sink.name}: alerts {missing} of {event.epoch} cannot be had any more")
            case HistoryLost():
                self._say(
                    f"{self._sink.name}: the journal does not reach back to {event.after.epoch} {event.after.seq}"
                )
            case ProtocolFault():
                self._say(f"{self._sink.name}: refused a message: {event.reason}")

    def _tell(self, trouble: str | None) -> None:
        """Tell of trouble when it begins, changes or ends, not at every attempt."""
        if trouble != self._trouble:
            self._trouble = trouble
            self._say(f"{self._sink.name}: {trouble or 'takes alerts again'}")


class Pace:
    """At most so many in any minute."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._clock = most, clock
        self._at_s: list[float] = []

    def free(self) -> bool:
        """Whether one more may go now."""
        now_s = self._clock()
        self._at_s = [at_s for at_s in self._at_s if now_s - at_s < 60.0]
        return len(self._at_s) < self._most

    def count(self) -> None:
        """One has gone."""
        self._at_s.append(self._clock())
