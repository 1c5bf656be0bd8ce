"""Receiving from a ZeroMQ socket without trusting how many frames a message has."""

from __future__ import annotations

import zmq


def receive(source: zmq.Socket[bytes], most: int) -> list[bytes] | None:
    """The frames of the next message, or None if there is none; of one with more than `most`, the first `most` + 1."""
    try:
        frames = [source.recv(zmq.NOBLOCK)]
    except zmq.Again:
        return None
    return _rest(source, frames, most)


def receive_signed(source: zmq.Socket[bytes], most: int) -> tuple[list[bytes], str | None] | None:
    """As `receive`, with the User-Id that the authenticator gave the connection; None where nobody authenticates."""
    try:
        first = source.recv(zmq.NOBLOCK, copy=False)
    except zmq.Again:
        return None
    try:
        user_id = str(first.get("User-Id")) or None
    except zmq.ZMQError:
        user_id = None
    return _rest(source, [first.bytes], most), user_id


def _rest(source: zmq.Socket[bytes], frames: list[bytes], most: int) -> list[bytes]:
    while source.getsockopt(zmq.RCVMORE):
        frame = source.recv(zmq.NOBLOCK)
        if len(frames) <= most:
            frames.append(frame)
    return frames
