"""Alerts as signed HTTP requests. docs/bridges.md tells what a receiver checks."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Mapping

import requests

from railwatch.core.alerts import SectionState
from railwatch.messaging.bridge import SinkError
from railwatch.messaging.bridge_settings import WebhookSettings
from railwatch.messaging.events import AlertReceived, Event


def marked(event: AlertReceived) -> bytes:
    """The alert as on the wire, with one key more: whether it is old, because it was fetched later."""
    return event.payload[:-1] + (b',"replayed":true}' if event.replayed else b',"replayed":false}')


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """HMAC-SHA256 of ``timestamp.body``, hexadecimal: the timestamp is signed too, so that no request can be kept.

    >>> signature("secret", "1700000000", b"{}")[:16]
    'b8569b78799ff9e3'
    """
    return hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


class WebhookSink:
    """One request an alert, in order; the next only after the receiver said 2xx."""

    def __init__(self, settings: WebhookSettings, now: Callable[[], float] = time.time) -> None:
        self.name, self.answers = settings.name, False
        self._settings, self._now = settings, now
        self._session: requests.Session | None = None
        self._confirmed: AlertReceived | None = None

    def open(self) -> None:
        """Nothing is sent before the first alert."""
        self._confirmed = None
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy, no .netrc: only what the file says
        self._session.verify = self._settings.ca_file or True

    def take(self, event: Event) -> None:
        """Send an alert and wait for the answer; other events are no business of a webhook."""
        if not isinstance(event, AlertReceived):
            return
        assert self._session is not None  # noqa: S101 - open() came first
        body, timestamp = marked(event), str(int(self._now()))
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": event.alert.alert_id,
            "X-Railwatch-Timestamp": timestamp,
            "X-Railwatch-Signature": f"sha256={signature(self._settings.secret, timestamp, body)}",
        }
        limit = self._settings.timeout_s
        try:
            with self._session.post(
                self._settings.url, body, headers=headers, timeout=(limit, limit), allow_redirects=False, stream=True
            ) as answer:
                status = answer.status_code
        except requests.RequestException as error:
            # The text of the error names the address, and with it perhaps a secret.
            raise SinkError(f"the receiver cannot be reached ({type(error).__name__})") from None
        if not 200 <= status < 300:
            raise SinkError(f"the receiver must answer 2xx, but answers {status}")
        self._confirmed = event

    def turn(self, states: Mapping[str, SectionState]) -> None:
        """States are not sent."""

    def confirmed(self) -> AlertReceived | None:
        """The last alert that was answered."""
        confirmed, self._confirmed = self._confirmed, None
        return confirmed

    def close(self) -> None:
        """Close connections."""
        if self._session is not None:
            self._session.close()
