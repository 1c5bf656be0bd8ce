"""Receiving from a ZeroMQ socket without trusting how many frames a message has."""

from __future__ import annotations

import zmq


def receive(source: zmq.Socket[bytes], most: int) -> list[bytes] | None:
    """The frames of the next message, or None if there is none; of one with more than `most`, the first `most` + 1."""
    try:
        frames = [source.recv(zmq.NOBLOCK)]
    except zmq.Again:
        return None
    while source.getsockopt(zmq.RCVMORE):
        frame = source.recv(zmq.NOBLOCK)
        if len(frames) <= most:
            frames.append(frame)
    return frames
