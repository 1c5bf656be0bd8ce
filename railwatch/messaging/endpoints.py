"""Checks of socket addresses, before ZeroMQ sees them: its own answer to a bad one is a bare error number."""

from __future__ import annotations

import errno
import ipaddress
import re
import socket
from typing import Final

import zmq

from railwatch.core.errors import MessagingError

DEFAULT_ENDPOINT: Final = "tcp://127.0.0.1:5556"
ANY_PORT: Final = 0

_TCP: Final = re.compile(r"tcp://(?P<host>[^:/\[\]\s]+):(?P<port>[0-9]{1,5}|\*)", re.ASCII)
_FORM: Final = "tcp://HOST:PORT, as in tcp://127.0.0.1:5556"


def parse_endpoint(name: str, endpoint: str) -> tuple[str, int]:
    """Host and port of a TCP endpoint; port 0 stands for any free one. `name` is what the user calls the setting.

    Raises:
        MessagingError: The text is not ``tcp://HOST:PORT``, or the port is above 65535.

    >>> parse_endpoint("bind", "tcp://127.0.0.1:*")
    ('127.0.0.1', 0)
    """
    if endpoint.startswith("ipc:"):
        raise MessagingError(
            f"{name} must not be ipc://, because a second program that binds it takes it over unnoticed; use {_FORM}"
        )
    found = _TCP.fullmatch(endpoint)
    if found is None:
        raise MessagingError(f"{name} must be {_FORM}, but is {endpoint[:120]!r}")
    port = ANY_PORT if found["port"] == "*" else int(found["port"])
    if port > 65535:
        raise MessagingError(f"{name} must have a port of 1 to 65535, but is {endpoint[:120]!r}")
    return found["host"], port


def bind_endpoint(name: str, endpoint: str, *, keys: bool = False) -> str:
    """The endpoint as ZeroMQ binds it: an IPv4 address of this machine, of loopback unless only `keys` let anybody in.

    >>> bind_endpoint("bind", "tcp://localhost:5556")
    'tcp://127.0.0.1:5556'
    """
    host, port = parse_endpoint(name, endpoint)
    host = "127.0.0.1" if host == "localhost" else "0.0.0.0" if host == "*" else host  # noqa: S104 - needs keys, below
    try:
        address = ipaddress.IPv4Address(host)
    except ValueError:
        raise MessagingError(
            f"{name} must name an IPv4 address of this machine, as in tcp://127.0.0.1:5556, but its host is {host!r}"
        ) from None
    if not (address.is_loopback or keys):
        raise MessagingError(
            f"{name} must be a loopback address such as tcp://127.0.0.1:{port or 5556} as long as there are no keys, "
            f"but is {endpoint!r}: anybody on that network could read and disturb the alarms. "
            "Make keys (`railwatch keys new`) and name their folder as messaging.keys, or use a tunnel (ssh -L)"
        )
    return f"tcp://{host}:{port or '*'}"


def connect_endpoint(name: str, endpoint: str) -> str:
    """The endpoint as ZeroMQ connects to it; refuses a host that cannot be resolved, which would never answer."""
    host, port = parse_endpoint(name, endpoint)
    if port == ANY_PORT:
        raise MessagingError(
            f"{name} must name the port to connect to, as in tcp://127.0.0.1:5556, but is {endpoint!r}"
        )
    try:
        address = socket.getaddrinfo(host, port, family=socket.AF_INET, type=socket.SOCK_STREAM)[0][4][0]
    except (OSError, UnicodeError) as error:
        raise MessagingError(f"{name} must name a host that is known here, but is {endpoint!r} ({error})") from None
    return f"tcp://{address}:{port}"


def reachable(endpoint: str) -> str:
    """Where a program on this machine connects to what is bound at `endpoint`.

    >>> reachable("tcp://0.0.0.0:5556")
    'tcp://127.0.0.1:5556'
    """
    return endpoint.replace("tcp://0.0.0.0:", "tcp://127.0.0.1:")


def next_port(name: str, endpoint: str) -> str:
    """Where nonces go when nothing is said: the same host, the next port; any free port after any free port.

    >>> next_port("bind", "tcp://127.0.0.1:5556")
    'tcp://127.0.0.1:5557'
    """
    host, port = parse_endpoint(name, endpoint)
    if port == ANY_PORT:
        return f"tcp://{host}:*"
    if port == 65535:
        raise MessagingError(f"{name} {endpoint!r} has no next port for requests: name the request endpoint as well")
    return f"tcp://{host}:{port + 1}"


def bind(bound: zmq.Socket[bytes], name: str, endpoint: str) -> str:
    """Bind and give the endpoint with its real port; every failure says what to do."""
    try:
        bound.bind(endpoint)
    except zmq.ZMQError as error:
        raise MessagingError(_remedy(name, endpoint, error)) from error
    return bound.getsockopt_string(zmq.LAST_ENDPOINT)


def _remedy(name: str, endpoint: str, error: zmq.ZMQError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"{name} {endpoint} is in use by another program (another `railwatch watch`?): "
            "end that one, or name another port"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{name} {endpoint} needs rights that this user has not: name a port above 1023"
    if error.errno in (errno.EADDRNOTAVAIL, errno.ENODEV):
        return f"{name} {endpoint} is no address of this machine: use tcp://127.0.0.1:PORT"
    return f"{name} {endpoint} cannot be bound: {error}"
