"""What a bridge is told: where it listens, and the sinks it feeds. Secrets are held, but never shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from railwatch.core.alerts import Severity
from railwatch.messaging.endpoints import DEFAULT_ENDPOINT

MAX_PER_MINUTE: Final = 20


@dataclass(frozen=True, slots=True)
class MqttSettings:
    """An MQTT 5 broker. Topics are ``<topic>/<site_id>/alerts`` and ``<topic>/<site_id>/sections``.

    `ca_file`: PEM file of who may have signed the broker's certificate; None takes the system's.
    `home_assistant` is the prefix of Home Assistant's discovery topics; None announces nothing.
    """

    name: str
    host: str
    port: int = 8883
    tls: bool = True
    ca_file: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    topic: str = "railwatch"
    home_assistant: str | None = None


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """An HTTP receiver. `secret` signs every request; `timeout_s` bounds connecting, and each wait for an answer."""

    name: str
    url: str = field(repr=False)
    secret: str = field(repr=False)
    ca_file: str | None = None
    timeout_s: float = 10.0


@dataclass(frozen=True, slots=True)
class AppriseSettings:
    """Whatever Apprise knows (mail, SMS, chat), by its URL. Alerts below `min_severity` are left out.

    Beyond `max_per_minute` messages, further ones become one summary; an EMERGENCY that opens or worsens never waits.
    """

    name: str
    url: str = field(repr=False)
    min_severity: Severity = Severity.WARNING
    max_per_minute: int = MAX_PER_MINUTE


SinkSettings = MqttSettings | WebhookSettings | AppriseSettings


@dataclass(frozen=True, slots=True)
class BridgeSettings:
    """All sinks of one site; `state_dir` keeps how far each has come, `keys` is the file of this bridge's key."""

    site_id: str
    sinks: tuple[SinkSettings, ...]
    state_dir: Path
    connect: str = DEFAULT_ENDPOINT
    request_connect: str | None = None
    keys: Path | None = None
