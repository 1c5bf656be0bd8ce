"""Finding the cameras of a network that speak ONVIF: WS-Discovery, by a library in a process of its own.

Whatever any device of the network sends is read there: it may end that process, and nothing else. What comes back is
text to be shown; no address that a device names is asked for anything.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Final
from urllib.parse import unquote

from railwatch.core.errors import InstallError, SourceError

MOST_CAMERAS: Final = 500
MOST_CHARACTERS: Final = 200
GRACE_S: Final = 15.0
"""Seconds that the process may take beside listening."""

_SCOPE: Final = "onvif://www.onvif.org/"


@dataclass(frozen=True, slots=True)
class FoundCamera:
    """What a camera says of itself; `addresses`: of its ONVIF service, not of its stream."""

    addresses: tuple[str, ...]
    name: str = ""
    hardware: str = ""
    location: str = ""


def find_cameras(within_s: float) -> tuple[FoundCamera, ...]:
    """Ask the networks of this machine for cameras and listen for `within_s` seconds; by their addresses.

    Raises InstallError without the library, and SourceError when nobody could be asked.
    """
    if find_spec("wsdiscovery") is None:
        raise InstallError(
            "WSDiscovery must be installed to find cameras, but is not: pip install 'railwatch[onvif]' brings it"
        )
    command = [sys.executable, "-m", "railwatch.app.camera_probe", f"{within_s:g}"]
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and module
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=within_s + GRACE_S, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise SourceError(f"the network must be asked for cameras, but that failed: {type(error).__name__}") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise SourceError(f"the network must be asked for cameras, but that failed: {shown(last)}")
    lines = done.stdout.splitlines()[:MOST_CAMERAS]
    return tuple(sorted({camera_of(json.loads(line)) for line in lines}, key=lambda camera: camera.addresses))


def camera_of(told: dict[str, Any]) -> FoundCamera:
    """What a camera told, as text that is safe to show.

    >>> camera_of({"addresses": ["http://10.0.0.7/onvif"], "scopes": [_SCOPE + "name/Gate%20east"]}).name
    'Gate east'
    """
    scopes = [text for text in told["scopes"] if text.startswith(_SCOPE)]
    return FoundCamera(
        tuple(shown(text) for text in told["addresses"][:8]),
        *(_last(scopes, kind) for kind in ("name", "hardware", "location")),
    )


def shown(text: str) -> str:
    """A text of unknown origin: printable, on one line, bounded."""
    return "".join(sign if sign.isprintable() else "?" for sign in text[:MOST_CHARACTERS])


def _last(scopes: Iterable[str], kind: str) -> str:
    begin = f"{_SCOPE}{kind}/"
    return next((shown(unquote(text.removeprefix(begin))) for text in scopes if text.startswith(begin)), "")
