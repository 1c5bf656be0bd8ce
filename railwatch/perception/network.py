"""Which machine a stream comes from: looked up once, allowed or refused, and connected to by its number.

A name that answers with another number at the second look (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from typing import Final

from railwatch.core.address import Address
from railwatch.perception.stream_error import StreamError, StreamState

LOOKUPS: Final = 8
"""Numbers of a name that are looked at."""

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


def resolve(address: Address, allowed: Sequence[str] = ()) -> str:
    """The number of the host, as text. `allowed` are host names, addresses and networks; empty: every camera's.

    Refused in any case: link-local addresses (they answer with the secrets of a cloud), multicast, and none at all,
    unless `allowed` names them. Raises StreamError.
    """
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[:LOOKUPS]
    except (OSError, UnicodeError) as error:
        text = f"the host of {address.shown} must be known here, but is not ({error})"
        raise StreamError(StreamState.UNREACHABLE, text) from None
    refused = ""
    for entry in found:
        number = ipaddress.ip_address(str(entry[4][0]).partition("%")[0])
        reason = why_refused(address.host, number, allowed)
        if reason is None:
            return str(number)
        refused = reason
    raise StreamError(StreamState.REFUSED, f"{address.shown} is not connected to: {refused}")


def why_refused(host: str, number: IpAddress, allowed: Sequence[str]) -> str | None:
    """Why a host is not connected to; None when it may be.

    >>> why_refused("cam", ipaddress.ip_address("10.0.0.7"), ["10.0.0.0/24"]) is None
    True
    """
    number = getattr(number, "ipv4_mapped", None) or number
    if any(_fits(entry, host, number) for entry in allowed):
        return None
    if allowed:
        return f"{number} must be among camera_hosts, but is not"
    if number.is_link_local or number.is_multicast or number.is_unspecified or number.is_reserved:
        return (
            f"{number} must be the address of a camera: link-local, multicast and reserved addresses need camera_hosts"
        )
    return None


def _fits(entry: str, host: str, number: IpAddress) -> bool:
    if entry.lower() == host:
        return True
    try:
        return number in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False
