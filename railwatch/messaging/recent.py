"""What went out lately, in memory: most of those who missed something missed little, and the disk may be hanging."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import islice
from typing import Final

from railwatch.core.alerts import Action, Alert, Epoch
from railwatch.messaging.records import Batch
from railwatch.messaging.requests import MAX_BATCH_ALERTS, MAX_BATCH_BYTES, Mark
from railwatch.messaging.wire import encode_alert

RECENT_ALERTS: Final = 2048
RECENT_BYTES: Final = 2 * 1024 * 1024
MAX_OPEN: Final = 256
"""Open incidents told first to whoever comes back; the worst ones, where there are more."""


class Recent:
    """The last alerts of one epoch that went out, and the last alert of every incident that is open.

    Args:
        epoch: The epoch of all alerts to come.
        restored: The last alert of every incident of an earlier epoch that is open.
        alerts: How many are kept at most.

    >>> Recent(Epoch("j", 1), ()).after(Mark(Epoch("j", 1), 0)).more
    False
    """

    def __init__(self, epoch: Epoch, restored: Iterable[Alert], *, alerts: int = RECENT_ALERTS) -> None:
        self._epoch, self._most = epoch, alerts
        self._payloads: deque[tuple[int, bytes]] = deque()
        self._bytes = 0
        self._before = 0
        self._open = {alert.incident_id: (alert.severity.rank, encode_alert(alert)) for alert in restored}

    def sent(self, alert: Alert, payload: bytes) -> None:
        """An alert went out."""
        self._payloads.append((alert.seq, payload))
        self._bytes += len(payload)
        while len(self._payloads) > self._most or self._bytes > RECENT_BYTES:
            self._before, gone = self._payloads.popleft()
            self._bytes -= len(gone)
        if alert.action is Action.CLOSED:
            self._open.pop(alert.incident_id, None)
        else:
            self._open[alert.incident_id] = (alert.severity.rank, payload)

    def after(self, mark: Mark | None) -> Batch | None:
        """The alerts after `mark`; None if they may not all be here."""
        if mark is None or mark.epoch != self._epoch or mark.seq < self._before:
            return None
        alerts: list[bytes] = []
        size, last = 0, None
        for seq, payload in islice(self._payloads, mark.seq - self._before, None):  # numbered without a hole
            size += len(payload)
            if len(alerts) == MAX_BATCH_ALERTS or (alerts and size > MAX_BATCH_BYTES):
                return Batch(tuple(alerts), last, more=True, known=True)
            alerts.append(payload)
            last = Mark(self._epoch, seq)
        return Batch(tuple(alerts), last, more=False, known=True)

    def open_incidents(self) -> tuple[bytes, ...]:
        """The last alert of every incident that is open, the worst first, within the bounds of one answer."""
        ranked = sorted(self._open.values(), key=lambda item: -item[0])[:MAX_OPEN]
        kept: list[bytes] = []
        size = 0
        for _, payload in ranked:
            size += len(payload)
            if kept and size > MAX_BATCH_BYTES:
                break
            kept.append(payload)
        return tuple(kept)
