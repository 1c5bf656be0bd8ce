"""Order and completeness of alerts, from their numbers alone. Pure: no clock, no socket."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import replace
from typing import Final

from railwatch.core.alerts import Alert, Epoch
from railwatch.messaging.events import Gap, Restarted
from railwatch.messaging.wire import encode_alert

REMEMBERED: Final = 4096
"""Alerts whose content is remembered to tell a repetition from a new numbering."""


def digest(alert: Alert) -> bytes:
    """What two copies of one alert have in common; `journaled` may differ between them."""
    return hashlib.sha256(encode_alert(replace(alert, journaled=False))).digest()


class Numbering:
    """Follows (site, epoch, seq) of one publisher and says what is missing, repeated, or begun anew.

    It relies on what one PUB socket guarantees: messages arrive in the order of sending, some may be lost, and a Status
    comes after every alert that it counts. A lower number is therefore either a repetition, word for word, or the
    numbering began anew: a publisher without a journal that is started twice has the same epoch by design.
    """

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._remembered = remembered
        self._source: tuple[str, Epoch] | None = None
        self._seq_last = 0
        self._digests: OrderedDict[int, bytes] = OrderedDict()

    def alert(self, alert: Alert) -> tuple[bool, list[Gap | Restarted]]:
        """Whether to hand the alert over (False: a repetition), and what is to be told before it."""
        told = self._follow(alert.site_id, alert.epoch)
        content = digest(alert)
        if alert.seq <= self._seq_last:
            if self._digests.get(alert.seq) == content:
                return False, told
            told.append(self._begin(alert.site_id, alert.epoch))
        if alert.seq > self._seq_last + 1:
            told.append(Gap(alert.epoch, self._seq_last + 1, alert.seq - 1))
        self._seq_last = alert.seq
        self._digests[alert.seq] = content
        if len(self._digests) > self._remembered:
            self._digests.popitem(last=False)
        return True, told

    def status(self, site_id: str, epoch: Epoch, seq_last: int) -> list[Gap | Restarted]:
        """What a Status, which counts `seq_last` alerts, tells about those that came before it."""
        told = self._follow(site_id, epoch)
        if seq_last < self._seq_last:
            told.append(self._begin(site_id, epoch))
        if seq_last > self._seq_last:
            told.append(Gap(epoch, self._seq_last + 1, seq_last))
            self._seq_last = seq_last
        return told

    def _follow(self, site_id: str, epoch: Epoch) -> list[Gap | Restarted]:
        if self._source == (site_id, epoch):
            return []
        first = self._source is None
        restarted = self._begin(site_id, epoch)
        return [] if first else [restarted]

    def _begin(self, site_id: str, epoch: Epoch) -> Restarted:
        previous = self._source[1] if self._source is not None else epoch
        self._source = (site_id, epoch)
        self._seq_last = 0
        self._digests.clear()
        return Restarted(previous, epoch)
