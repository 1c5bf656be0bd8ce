"""Addresses of sockets: every bad one is refused in words before ZeroMQ sees it."""

from __future__ import annotations

import errno

import pytest
import zmq

from railwatch.core.errors import MessagingError
from railwatch.messaging import endpoints


@pytest.mark.parametrize(
    "endpoint",
    ["", "5556", "127.0.0.1:5556", "tcp://", "tcp://127.0.0.1", "tcp://127.0.0.1:", "tcp://127.0.0.1:x", "udp://h:1",
     "tcp://127.0.0.1:5556/x", "tcp://a b:1", "tcp://[::1]:5556", "tcp://:5556", "tcp://127.0.0.1:-1", "inproc://x",
     "tcp://127.0.0.1:5556\n"],
)  # fmt: skip
def test_what_is_not_an_endpoint_is_refused(endpoint):
    with pytest.raises(MessagingError, match="bind must be tcp://HOST:PORT"):
        endpoints.parse_endpoint("bind", endpoint)


@pytest.mark.parametrize("port", ["65536", "99999"])
def test_ports_above_the_last_are_refused(port):
    with pytest.raises(MessagingError, match="port of 1 to 65535"):
        endpoints.parse_endpoint("bind", f"tcp://127.0.0.1:{port}")


def test_ipc_is_refused_with_the_reason():
    with pytest.raises(MessagingError, match="takes it over unnoticed"):
        endpoints.parse_endpoint("bind", "ipc:///tmp/x")


@pytest.mark.parametrize("host", ["0.0.0.0", "*", "192.0.2.1"])  # noqa: S104 - they are refused
def test_addresses_that_others_can_reach_are_refused_without_keys(host):
    with pytest.raises(MessagingError, match="as long as there are no keys"):
        endpoints.bind_endpoint("bind", f"tcp://{host}:5556")


@pytest.mark.parametrize("host", ["station.example", "eth0", "1.2.3", "127.0.0.256"])
def test_a_name_is_no_address_to_bind(host):
    with pytest.raises(MessagingError, match="bind must name an IPv4 address of this machine"):
        endpoints.bind_endpoint("bind", f"tcp://{host}:5556")


@pytest.mark.parametrize(
    ("given", "bound"),
    [
        ("tcp://localhost:5556", "tcp://127.0.0.1:5556"),
        ("tcp://127.0.0.2:1", "tcp://127.0.0.2:1"),
        ("tcp://127.0.0.1:0", "tcp://127.0.0.1:*"),
        ("tcp://127.0.0.1:*", "tcp://127.0.0.1:*"),
    ],
)
def test_loopback_is_bound(given, bound):
    assert endpoints.bind_endpoint("bind", given) == bound


def test_a_client_needs_a_port_and_a_known_host():
    with pytest.raises(MessagingError, match="connect must name the port"):
        endpoints.connect_endpoint("connect", "tcp://127.0.0.1:*")
    with pytest.raises(MessagingError, match="connect must name a host that is known here"):
        endpoints.connect_endpoint("connect", "tcp://nowhere.invalid:5556")
    with pytest.raises(MessagingError, match="connect must name a host that is known here"):
        endpoints.connect_endpoint("connect", f"tcp://{'a' * 70}:5556")
    assert endpoints.connect_endpoint("connect", "tcp://localhost:5556") == "tcp://127.0.0.1:5556"


def test_requests_go_to_the_next_port():
    assert endpoints.next_port("bind", "tcp://127.0.0.1:0") == "tcp://127.0.0.1:*"
    with pytest.raises(MessagingError, match="no next port"):
        endpoints.next_port("bind", "tcp://127.0.0.1:65535")


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EADDRINUSE, "in use by another program"),
        (errno.EACCES, "port above 1023"),
        (errno.EADDRNOTAVAIL, "no address of this machine"),
        (errno.EINVAL, "cannot be bound"),
    ],
)
def test_every_failure_to_bind_names_endpoint_and_remedy(number, words):
    class Refusing:
        def bind(self, endpoint):
            raise zmq.ZMQError(number)

    with pytest.raises(MessagingError, match=words) as caught:
        endpoints.bind(Refusing(), "bind", "tcp://127.0.0.1:80")
    assert "tcp://127.0.0.1:80" in str(caught.value)
