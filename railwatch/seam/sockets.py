"""The two ends of the seam. Their context and their keys are given from outside; each is used from one thread.

Frames up (worker to hub), after the verb: HELLO json, OBSERVATION beat json, PROBED beat json, ALIVE beat, LOST json,
ANSWER json attachment, ANNOTATION json, SECOND_LOOK json. Down: WELCOME json, WHO, REFUSED text, BEAT number, COMMAND
beat json, STOP. `beat` is the number of the last BEAT that the worker had seen when the frame was taken: by it the
hub knows how old an Observation is at most, on its own clock alone (`railwatch.seam.beats`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import zmq

from railwatch.seam.commands import MAX_ATTACHMENT_BYTES, MAX_COMMAND_BYTES

HELLO: Final = b"HELLO"
OBSERVATION: Final = b"OBSERVATION"
PROBED: Final = b"PROBED"
ALIVE: Final = b"ALIVE"
LOST: Final = b"LOST"
ANSWER: Final = b"ANSWER"
ANNOTATION: Final = b"ANNOTATION"
SECOND_LOOK: Final = b"SECOND_LOOK"
WELCOME: Final = b"WELCOME"
WHO: Final = b"WHO"
REFUSED: Final = b"REFUSED"
BEAT: Final = b"BEAT"
COMMAND: Final = b"COMMAND"
STOP: Final = b"STOP"

PROTOCOL: Final = 1
"""Version of the seam: hub and worker must be of the same."""

MAX_FRAMES: Final = 3
"""Most frames of a message, the verb among them."""

SEND_LIMIT: Final = 256
"""Messages kept for a peer that does not read; what is more is dropped, for newer ones come."""

Protect = Callable[[zmq.Socket[bytes]], None]
"""Gives a socket its keys, before it is bound or connected."""


@dataclass(frozen=True, slots=True)
class Upward:
    """A message of a worker. `peer` is its connection, `user_id` what the authenticator calls it ("" without one)."""

    peer: bytes
    user_id: str
    verb: bytes
    frames: tuple[bytes, ...]


class HubSocket:
    """The hub's end: many workers, none of which can hold it up. Raises zmq.ZMQError when it cannot be bound."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str, protect: Protect) -> None:
        self.socket = made = context.socket(zmq.ROUTER)
        try:
            _limit(made, MAX_ATTACHMENT_BYTES)
            made.setsockopt(zmq.ROUTER_MANDATORY, 1)  # a peer that is gone is told, not silently dropped
            made.setsockopt(zmq.ROUTER_HANDOVER, 1)  # a worker that reconnects keeps its name
            protect(made)
            made.bind(endpoint)
            self.endpoint = made.getsockopt_string(zmq.LAST_ENDPOINT)
        except BaseException:
            made.close(0)
            raise

    def receive(self) -> Upward | None:
        """The next message, None if there is none; what has too many frames or none is thrown away."""
        while True:
            parts = _receive(self.socket, MAX_FRAMES + 1)
            if parts is None:
                return None
            if len(parts) >= 2:
                peer, verb, *rest = (part.bytes for part in parts)
                return Upward(peer, _user_id(parts[-1]), verb, tuple(rest))

    def send(self, peer: bytes, verb: bytes, *frames: bytes) -> bool:
        """Send without waiting; whether the message is on its way (not: gone, or does not read)."""
        try:
            self.socket.send_multipart([peer, verb, *frames], zmq.NOBLOCK)
        except zmq.ZMQError:
            return False
        return True

    def close(self, linger_ms: int = 0) -> None:
        """Close; what is on its way has `linger_ms` milliseconds left."""
        self.socket.close(linger_ms)


class WorkerSocket:
    """The worker's end: connects for ever, keeps nothing for a hub that is not there."""

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str, identity: bytes, protect: Protect
    ) -> None:
        self.socket = made = context.socket(zmq.DEALER)
        try:
            _limit(made, MAX_COMMAND_BYTES)
            made.setsockopt(zmq.ROUTING_ID, identity)
            made.setsockopt(zmq.IMMEDIATE, 1)  # nothing is kept for a hub that comes later
            made.setsockopt(zmq.RECONNECT_IVL, 100)
            made.setsockopt(zmq.RECONNECT_IVL_MAX, 1000)
            # A connection that died without a word (cable) is given up and made anew.
            made.setsockopt(zmq.HEARTBEAT_IVL, 1000)
            made.setsockopt(zmq.HEARTBEAT_TIMEOUT, 3000)
            protect(made)
            made.connect(endpoint)
        except BaseException:
            made.close(0)
            raise

    def receive(self) -> list[bytes] | None:
        """The next message, verb first; None if there is none."""
        while True:
            parts = _receive(self.socket, MAX_FRAMES)
            if parts is None:
                return None
            if parts:
                return [part.bytes for part in parts]

    def send(self, verb: bytes, *frames: bytes) -> bool:
        """Send without waiting; whether the message is on its way."""
        try:
            self.socket.send_multipart([verb, *frames], zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def close(self, linger_ms: int = 0) -> None:
        """Close; what is on its way has `linger_ms` milliseconds left."""
        self.socket.close(linger_ms)


def client_keys(server_key: bytes, public_key: bytes, secret_key: bytes) -> Protect:
    """Makes a socket a CURVE client that talks to nobody but the holder of `server_key`'s secret (all Z85)."""

    def protect(made: zmq.Socket[bytes]) -> None:
        made.setsockopt(zmq.CURVE_SERVERKEY, server_key)
        made.setsockopt(zmq.CURVE_PUBLICKEY, public_key)
        made.setsockopt(zmq.CURVE_SECRETKEY, secret_key)

    return protect


def _limit(made: zmq.Socket[bytes], largest: int) -> None:
    made.setsockopt(zmq.LINGER, 0)
    made.setsockopt(zmq.MAXMSGSIZE, largest)
    made.setsockopt(zmq.HANDSHAKE_IVL, 2000)
    made.setsockopt(zmq.SNDHWM, SEND_LIMIT)
    made.setsockopt(zmq.RCVHWM, 4 * SEND_LIMIT)


def _receive(source: zmq.Socket[bytes], most: int) -> list[zmq.Frame] | None:
    """The frames of one message; an empty list when it has more than `most`; None when there is no message."""
    try:
        frames = [source.recv(zmq.NOBLOCK, copy=False)]
    except zmq.Again:
        return None
    while frames[-1].more:
        frame = source.recv(copy=False)  # the parts of a message arrive together
        if len(frames) <= most:
            frames.append(frame)
        else:
            frames[-1] = frame
    return frames if len(frames) <= most else []


def _user_id(frame: zmq.Frame) -> str:
    with contextlib.suppress(zmq.ZMQError):
        return str(frame.get("User-Id"))
    return ""
