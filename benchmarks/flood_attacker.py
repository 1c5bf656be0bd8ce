"""The attacker of handshake_flood.py: connections that have no business at a hub. Standard library only.

    python benchmarks/flood_attacker.py PORT GARBAGE HALF_OPEN

It gives way to other programs (nice 10), for a real one would be on another machine. It prints "done" when it has sent
all, and keeps the half-open connections until its stdin is closed.
"""

from __future__ import annotations

import contextlib
import os
import random
import socket
import sys

GREETING = b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\0"
CURVE = GREETING + b"CURVE".ljust(20, b"\0") + bytes(32)
NULL = GREETING + b"NULL".ljust(20, b"\0") + bytes(32)
READY = b"\x04\x19\x05READY\x0bSocket-Type\0\0\0\x03SUB"
SUBSCRIBE = b"\0\x01\x01"


def garbage(number: int) -> bytes:
    """What one of the connections sends."""
    noise = random.Random(number).randbytes(300)  # noqa: S311 - any bytes
    kinds = (
        noise,
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + noise,
        b"GET / HTTP/1.1\r\nHost: hub\r\n\r\n",
        NULL + READY + SUBSCRIBE,
        CURVE + b"\x04\xc8\x05HELLO\x01\0" + bytes(72) + noise[:120],
    )
    return kinds[number % len(kinds)]


def attack(port: int, count: int, half_open: int) -> None:
    """Be the attacker: `count` connections with garbage, `half_open` ones that stay until stdin is closed."""
    held = []
    for number in range(half_open):
        with contextlib.suppress(OSError):
            made = socket.create_connection(("127.0.0.1", port), 5.0)
            made.send(CURVE[: 20 * (number % 3)])
            held.append(made)
    for number in range(count):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5.0) as made:
            made.send(garbage(number))
    sys.stdout.write("done\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    os.nice(10)
    attack(*map(int, sys.argv[1:4]))
