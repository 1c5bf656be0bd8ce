"""Alerts as messages to people, through Apprise: mail, SMS, chat."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import apprise

from railwatch.core.alerts import Action, SectionState, Severity
from railwatch.core.errors import ConfigError
from railwatch.messaging.bridge import Pace, SinkError
from railwatch.messaging.bridge_digest import Digest, message_of
from railwatch.messaging.bridge_settings import AppriseSettings
from railwatch.messaging.events import AlertReceived, Event


class AppriseSink:
    """A message an alert while that is bearable; what is old or too much becomes one summary.

    UPDATED is left out: who is there already does not need to be told to a phone again.

    Raises:
        ConfigError: Apprise does not know such an address.
    """

    def __init__(self, settings: AppriseSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self.name, self.answers = settings.name, False
        self._settings, self._clock = settings, clock
        self._service = apprise.Apprise()
        if not self._service.add(settings.url):
            raise ConfigError(
                f"the URL of {settings.name} must be one that Apprise knows; its kinds are on its home page"
            )
        self._pace = Pace(settings.max_per_minute, clock)
        self._digest = Digest()
        self._confirmed: AlertReceived | None = None

    def open(self) -> None:
        """Nothing is sent before the first alert. What was collected comes again."""
        self._digest, self._confirmed = Digest(), None

    def take(self, event: Event) -> None:
        """Send or collect an alert."""
        if not isinstance(event, AlertReceived):
            return
        alert = event.alert
        if alert.severity < self._settings.min_severity or alert.action is Action.UPDATED:
            self._digest.skip(event)
            return
        urgent = alert.severity is Severity.EMERGENCY and alert.action in {Action.OPENED, Action.ESCALATED}
        if event.replayed or not (urgent or (self._pace.free() and self._digest.empty)):
            self._digest.add(event, self._clock())
            return
        if self._digest.empty:
            self._send(message_of(alert))
            self._confirmed = event
        else:  # it goes first, the summary follows; the position waits for the summary
            self._send(message_of(alert))
            self._digest.skip(event)

    def turn(self, states: Mapping[str, SectionState]) -> None:  # noqa: ARG002 - states are not sent
        """Send the summary when no more old alerts come, and there is room for it."""
        if self._digest.ready(self._clock()) and self._pace.free():
            for message in self._digest.messages():
                self._send(message)
            self._confirmed, self._digest = self._digest.last or self._confirmed, Digest()

    def confirmed(self) -> AlertReceived | None:
        """The last alert that was told, or needs no telling."""
        confirmed, self._confirmed = self._confirmed, None
        return confirmed

    def close(self) -> None:
        """Nothing is kept open."""

    def _send(self, message: tuple[str, str]) -> None:
        title, body = message
        try:
            taken = self._service.notify(title=title, body=body, body_format=apprise.NotifyFormat.TEXT)
        except Exception as error:  # noqa: BLE001 - a hundred services raise what they like; its text may hold the URL
            raise SinkError(f"the service failed ({type(error).__name__})") from None
        if not taken:
            raise SinkError("the service did not take a message")
        self._pace.count()
