"""Connecting to a camera by our own hand, and what a socket or a status code says, in words that hold no secret."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator

from railwatch.core.address import Address
from railwatch.perception.stream_error import StreamError, StreamState


def connected(address: Address, number: str, within_s: float, ca_file: str | None) -> socket.socket:
    """A connection to the host with this number, within TLS where the scheme says so. Call it under `told`."""
    made = socket.create_connection((number, address.port), timeout=within_s)
    if address.scheme not in ("rtsps", "https"):
        return made
    try:
        return ssl.create_default_context(cafile=ca_file).wrap_socket(made, server_hostname=address.host)
    except BaseException:
        made.close()
        raise


@contextlib.contextmanager
def told(address: Address, late: str) -> Iterator[None]:
    """Turn what a socket raises into a StreamError; `late` says what did not come in time."""
    try:
        yield
    except ssl.SSLError as error:
        reason = getattr(error, "verify_message", "") or error.reason or "no TLS"
        raise StreamError(StreamState.REFUSED, f"the certificate of {address.shown} must be good: {reason}") from None
    except TimeoutError:
        raise StreamError(StreamState.NO_ANSWER, f"{address.shown} {late}") from None
    except OSError as error:
        text = f"{address.shown} cannot be connected to ({error.strerror or type(error).__name__})"
        raise StreamError(StreamState.UNREACHABLE, text) from None


def refuse_status(status: int, address: Address) -> None:
    """Raise the StreamError that says what a status code other than 2xx means to whoever looks after the camera."""
    if status in (401, 403):
        text = f"{address.shown} asks for a user name and a password (status {status}): name them with `credentials`"
        raise StreamError(StreamState.UNAUTHORIZED, text)
    if 300 <= status < 400:
        text = f"{address.shown} leads to another address (status {status}), which is not followed: name that one"
        raise StreamError(StreamState.REDIRECTED, text)
    if status in (404, 454, 455, 459, 460):
        text = f"{address.shown} must be a stream of the camera, but it knows none of that path (status {status})"
        raise StreamError(StreamState.NOT_FOUND, text)
    raise StreamError(StreamState.BROKEN, f"{address.shown} answers with status {status}")
