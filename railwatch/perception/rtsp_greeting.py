"""A short talk with an RTSP camera before libav is let at it: what is wrong is told in words, and nobody is led away.

libav follows redirects to wherever they lead, without end; here they are refused. RFC 2326, 10.1, 10.2 and 11.3.
"""

from __future__ import annotations

import socket
from typing import Final

from railwatch.core.address import Address
from railwatch.core.clock import Clock, elapsed_s
from railwatch.perception.stream_error import StreamError, StreamState
from railwatch.perception.stream_socket import connected, refuse_status, told

WITHIN_S: Final = 2.0
"""Longest talk, however slowly the other side speaks."""

MAX_BYTES: Final = 64 * 1024
_LATE: Final = f"did not answer within {WITHIN_S:g} s"
_AGENT: Final = "User-Agent: railwatch"


def greet(address: Address, number: str, *, known: bool, ca_file: str | None = None, clock: Clock = elapsed_s) -> None:
    """Ask what the stream is (DESCRIBE). `number` is that of the host; `known`: we have a user name and a password.

    `ca_file`: whose certificates are good for rtsps, besides those of this machine. Raises StreamError when it does not
    answer as a camera does, leads elsewhere, or asks for a password that we have not.
    """
    deadline_s = clock() + WITHIN_S
    with told(address, _LATE), connected(address, number, WITHIN_S, ca_file) as talk:
        for cseq, method in enumerate(("OPTIONS", "DESCRIBE"), start=1):
            accept = "Accept: application/sdp\r\n" if method == "DESCRIBE" else ""
            ask = f"{method} {address.url()} RTSP/1.0\r\nCSeq: {cseq}\r\n{accept}{_AGENT}\r\n\r\n"
            talk.sendall(ask.encode())
            _judge(_status(_answer(talk, address, deadline_s, clock), address), address, known=known)


def _answer(talk: socket.socket, address: Address, deadline_s: float, clock: Clock) -> bytes:
    """The head and body of the next answer."""
    content = b""
    while True:
        head, end, body = content.partition(b"\r\n\r\n")
        if end and len(body) >= _content_length(head):
            return head
        left_s = deadline_s - clock()
        if left_s <= 0.0:
            text = f"{address.shown} gave no whole answer within {WITHIN_S:g} s"
            raise StreamError(StreamState.NO_ANSWER, text)
        if len(content) > MAX_BYTES or not _may_become(content):
            raise StreamError(StreamState.NOT_A_STREAM, f"{address.shown} must speak RTSP, but does not")
        talk.settimeout(left_s)
        piece = talk.recv(16384)
        if not piece:
            text = f"{address.shown} must answer as a camera does, but ended the connection"
            raise StreamError(StreamState.NOT_A_STREAM, text)
        content += piece


def _may_become(content: bytes) -> bool:
    return b"RTSP/".startswith(content[:5])


def _content_length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip() == b"content-length" and value.strip().isdigit():
            return min(int(value), MAX_BYTES)
    return 0


def _status(head: bytes, address: Address) -> int:
    parts = head.split(None, 2)
    if len(parts) < 2 or not parts[1].isdigit():
        raise StreamError(StreamState.NOT_A_STREAM, f"{address.shown} must speak RTSP, but does not")
    return int(parts[1])


def _judge(status: int, address: Address, *, known: bool) -> None:
    if 200 <= status < 300 or (status == 401 and known):
        return  # a password is tried by libav, which knows Basic and Digest
    refuse_status(status, address)
