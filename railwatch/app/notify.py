"""The protocol of systemd's sd_notify(3): one datagram a message, to the socket that $NOTIFY_SOCKET names."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Mapping
from typing import Self


class Notifier:
    """Tells systemd how the hub is; without $NOTIFY_SOCKET it tells nobody. Never waits, never fails.

    `watchdog_interval_s` is half of what WatchdogSec allows, None where there is no watchdog.
    """

    def __init__(self, environment: Mapping[str, str] | None = None, pid: int | None = None) -> None:
        variables = os.environ if environment is None else environment
        self._address = variables.get("NOTIFY_SOCKET", "")
        self._socket: socket.socket | None = None
        self.watchdog_interval_s = _watchdog_interval_s(variables, os.getpid() if pid is None else pid)
        self._pinged_s = float("-inf")
        if self._address[:1] in ("/", "@") and hasattr(socket, "AF_UNIX"):
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.setblocking(False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._socket is not None:
            self._socket.close()

    def ready(self, text: str) -> None:
        """The hub watches."""
        self._send("READY=1", _status(text))

    def reloading(self) -> None:
        """The configuration is being read anew; `ready` ends it, whatever came of it."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """The hub ends."""
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """One line for `systemctl status`."""
        self._send(_status(text))

    def turned(self, now_s: float) -> None:
        """The deciding loop has turned: feed the watchdog when it is due. Call it from nowhere else."""
        interval_s = self.watchdog_interval_s
        if interval_s is not None and now_s - self._pinged_s >= interval_s:
            self._pinged_s = now_s
            self._send("WATCHDOG=1")

    def _send(self, *lines: str) -> None:
        if self._socket is None:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with contextlib.suppress(OSError):  # systemd's trouble must not become the hub's
            self._socket.sendto("\n".join(lines).encode(), address)


def _status(text: str) -> str:
    return f"STATUS={' '.join(text.split())[:200]}"


def _watchdog_interval_s(variables: Mapping[str, str], pid: int) -> float | None:
    text = variables.get("WATCHDOG_USEC", "")
    if variables.get("WATCHDOG_PID", str(pid)) != str(pid) or not text.isdecimal() or int(text) == 0:
        return None
    return int(text) / 1e6 / 2.0
