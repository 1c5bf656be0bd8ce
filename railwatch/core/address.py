"""Addresses of camera streams: what may be one, and how it is shown without its secrets. Nothing is looked up here."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final
from urllib.parse import SplitResult, quote, urlsplit

PORTS: Final = MappingProxyType({"rtsp": 554, "rtsps": 322, "http": 80, "https": 443})
"""Schemes that a stream may have, each with the port that it has when none is given."""

MAX_LENGTH: Final = 1000
_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_PLAIN: Final = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a stream comes from, taken apart. `target` is path and query as they are asked for.

    >>> parse_address("rtsp://10.0.0.7/stream?profile=2").shown
    'rtsp://10.0.0.7:554/stream?...'
    """

    scheme: str
    host: str
    port: int
    target: str

    @property
    def shown(self) -> str:
        """For people and logs: without the query, which may hold a token."""
        path, query, _ = self.target.partition("?")
        return f"{self.scheme}://{self._netloc}{path}{'?...' if query else ''}"

    def url(self, user: str = "", password: str = "", host: str | None = None) -> str:
        """The whole address, with `host` in place of its own if given, and with user and password: a secret.

        >>> parse_address("rtsp://cam/1").url("ann", "a:b@c")
        'rtsp://ann:a%3Ab%40c@cam:554/1'
        """
        who = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user else ""
        where = self._netloc if host is None else f"{bracketed(host)}:{self.port}"
        return f"{self.scheme}://{who}{where}{self.target}"

    @property
    def _netloc(self) -> str:
        return f"{bracketed(self.host)}:{self.port}"


def bracketed(host: str) -> str:
    """A host as it stands in a URL: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host


def parse_address(text: str) -> Address:
    """Take the URL of a stream apart. Raises ValueError that says what must hold, and never repeats a secret.

    >>> parse_address("rtsp://cam.example:8554/one").port
    8554
    """
    scheme = text.partition(":")[0].lower()
    if scheme not in PORTS or "://" not in text[:10]:
        raise ValueError(f"the address of a stream must begin with {_schemes()}, but does not")
    if len(text) > MAX_LENGTH or _PLAIN.fullmatch(text) is None:
        raise ValueError(
            f"the address of a stream must be at most {MAX_LENGTH} letters, digits and signs of ASCII, without spaces "
            "and line breaks, but is not: encode others with %"
        )
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("the address of a stream must be a URL with a port of 1 to 65535, but is not") from None
    if "@" in parts.netloc:
        raise ValueError(
            "the address of a stream must not hold a user name or password, but does: name where they are kept as "
            "`credentials: env:NAME` or `credentials: file:PATH`"
        )
    if port == 0 or parts.fragment or "\\" in text:
        raise ValueError("the address of a stream must have a port of 1 to 65535 and neither # nor \\ in it")
    return Address(scheme, _host(parts), port or PORTS[scheme], _target(parts))


def _host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    if ":" in host:
        try:
            return str(ipaddress.IPv6Address(host))
        except ValueError:
            host = ""
    if _HOST.fullmatch(host) is None:
        raise ValueError("the address of a stream must name a host by name, IPv4 or [IPv6] address, but does not")
    return host.lower()


def _target(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def is_address(text: str) -> bool:
    """Whether a source is meant as an address and not as a file: it has a scheme, be it one that is refused.

    >>> is_address("rtsp://cam/1"), is_address("concat:a|b"), is_address("clip.mp4"), is_address("C:/clip.mp4")
    (True, True, False, False)
    """
    return re.match(r"[a-zA-Z][a-zA-Z0-9+.-]+:", text) is not None


def _schemes() -> str:
    *first, last = (f"{scheme}://" for scheme in PORTS)
    return f"{', '.join(first)} or {last}"
