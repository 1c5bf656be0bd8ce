"""bridges.yaml, checked as strictly as a site file and turned into `railwatch.messaging.bridge_settings`.

No secret stands in it: passwords, signing secrets and addresses that hold one are files of their own, readable by their
owner only.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, model_validator

from railwatch.base_keys import Id, Keys, Text
from railwatch.core.alerts import Severity
from railwatch.core.errors import ConfigError, KeysError
from railwatch.core.settings import KeyPath
from railwatch.key_faults import fault_of, follows, in_order, keys_of, line_of, read_document, written_of
from railwatch.messaging.bridge_settings import (
    MAX_PER_MINUTE,
    AppriseSettings,
    BridgeSettings,
    MqttSettings,
    SinkSettings,
    WebhookSettings,
)
from railwatch.messaging.endpoints import DEFAULT_ENDPOINT
from railwatch.messaging.key_files import read_secret_text
from railwatch.strict_yaml import Document, Fault, key_name, shown

_FILE: Final = "a bridge file"


class MqttKeys(Keys):
    """An MQTT broker."""

    name: Annotated[Id, Field(description="Name of the sink; names the file of its position.")]
    host: Annotated[Text, Field(description="Name or address of the broker.")]
    port: Annotated[int, Field(ge=1, le=65535, description="Its port.")] = 8883
    tls: Annotated[bool, Field(description="Whether the connection is encrypted; may be false on loopback only.")] = (
        True
    )
    ca_file: Annotated[Text | None, Field(description="PEM file of the signer of the certificate.")] = None
    username: Annotated[Text | None, Field(description="User at the broker.")] = None
    password_file: Annotated[Text | None, Field(description="File that holds its password.")] = None
    topic: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="First part of every topic.")] = (
        "railwatch"
    )
    home_assistant: Annotated[Id | None, Field(description="Prefix of Home Assistant's discovery topics.")] = None

    @model_validator(mode="after")
    def _encrypted_beyond_loopback(self) -> MqttKeys:
        if not (self.tls or _is_loopback(self.host)):
            raise ValueError("tls must be true unless the broker is on this machine")
        if self.password_file is not None and self.username is None:
            raise ValueError("username must be given together with password_file")
        return self


class WebhookKeys(Keys):
    """An HTTP receiver."""

    name: Annotated[Id, Field(description="Name of the sink; names the file of its position.")]
    url: Annotated[Text | None, Field(description="Where alerts are posted; https, or http on loopback.")] = None
    url_file: Annotated[Text | None, Field(description="File that holds the URL, if a secret is part of it.")] = None
    secret_file: Annotated[Text, Field(description="File that holds the secret that signs the requests.")]
    ca_file: Annotated[Text | None, Field(description="PEM file of the signer of the certificate.")] = None
    timeout_s: Annotated[float, Field(gt=0.0, le=60.0, description="Longest wait for the receiver, in seconds.")] = 10.0

    @model_validator(mode="after")
    def _one_address(self) -> WebhookKeys:
        if (self.url is None) == (self.url_file is None):
            raise ValueError("url must be given, or url_file, and not both")
        return self


class AppriseKeys(Keys):
    """A service that Apprise knows."""

    name: Annotated[Id, Field(description="Name of the sink; names the file of its position.")]
    url_file: Annotated[Text, Field(description="File that holds the Apprise URL.")]
    min_severity: Annotated[Severity, Field(strict=False, description="Alerts below it are left out.")] = (
        Severity.WARNING
    )
    max_per_minute: Annotated[int, Field(ge=1, le=600, description="Beyond it, alerts become one summary.")] = (
        MAX_PER_MINUTE
    )


class BridgeKeys(Keys):
    """A bridge file of railwatch."""

    schema_version: Annotated[int, Field(ge=1, le=1, description="Version of this format: 1.")]
    site_id: Annotated[Id, Field(description="The site whose alerts are handed on.")]
    connect: Annotated[Text, Field(description="Where the alerts are published.")] = DEFAULT_ENDPOINT
    request_connect: Annotated[Text | None, Field(description="Where requests go; without it, the port after.")] = None
    keys: Annotated[Text | None, Field(description="Key file from `railwatch keys new`.")] = None
    state_dir: Annotated[Text, Field(description="Folder that keeps how far each sink has come.")]
    mqtt: Annotated[list[MqttKeys], Field(max_length=16, default_factory=list, description="MQTT brokers.")]
    webhooks: Annotated[list[WebhookKeys], Field(max_length=16, default_factory=list, description="HTTP receivers.")]
    apprise: Annotated[list[AppriseKeys], Field(max_length=16, default_factory=list, description="Mail, SMS, chat.")]

    @model_validator(mode="after")
    def _names(self) -> BridgeKeys:
        sinks: list[MqttKeys | WebhookKeys | AppriseKeys] = [*self.mqtt, *self.webhooks, *self.apprise]
        names = [sink.name for sink in sinks]
        if not names:
            raise ValueError("mqtt, webhooks or apprise must name at least one sink")
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"names of sinks must be unique, but {shown(name)} is given twice")
        return self


def bridge_keys() -> dict[str, dict[str, Any]]:
    """Every key of a bridge file with its JSON Schema.

    >>> "mqtt[].host" in bridge_keys()
    True
    """
    return keys_of(BridgeKeys.model_json_schema())


def load_bridges(path: Path) -> BridgeSettings:
    """Read a bridge file and the secrets that it names; relative paths start at its folder.

    Raises:
        ConfigError: With every fault, each with line, key, value and what is allowed.
    """
    document = read_document(path, _FILE)
    found = _bridges_of(document, path.parent)
    if found is None or document.faults:
        faults = in_order(document.faults)
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        raise ConfigError(f"{path.name} must be {_FILE} without faults, but has {count}: {'; '.join(map(str, faults))}")
    return found


def _bridges_of(document: Document, folder: Path) -> BridgeSettings | None:
    if document.value is None and document.faults:
        return None
    if not isinstance(document.value, dict):
        document.faults.append(Fault(1, "", shown(document.value), "must be a map of the keys of a bridge"))
        return None
    try:
        keys = BridgeKeys.model_validate(document.value)
    except ValidationError as error:
        known = bridge_keys()
        errors = error.errors(include_url=False)
        document.faults += [fault_of(document, each, known) for each in errors if not follows(document, each, known)]
        return None
    return BridgeSettings(
        site_id=keys.site_id,
        sinks=tuple(_Reader(document, folder).sinks(keys)),
        state_dir=folder / keys.state_dir,
        connect=keys.connect,
        request_connect=keys.request_connect,
        keys=None if keys.keys is None else folder / keys.keys,
    )


class _Reader:
    """Reads what stands in other files; what is wrong with them becomes a fault of the key that names them."""

    def __init__(self, document: Document, folder: Path) -> None:
        self._document, self._folder = document, folder

    def sinks(self, keys: BridgeKeys) -> Iterator[SinkSettings]:
        for i, m in enumerate(keys.mqtt):
            password = self._secret(("mqtt", i, "password_file"), m.password_file)
            plain = m.model_dump(exclude={"password_file", "ca_file"})
            yield MqttSettings(**plain, ca_file=self._path(m.ca_file), password=password)
        for i, w in enumerate(keys.webhooks):
            secret = self._secret(("webhooks", i, "secret_file"), w.secret_file) or ""
            url = w.url or self._secret(("webhooks", i, "url_file"), w.url_file) or ""
            self._check_url(("webhooks", i, "url" if w.url else "url_file"), url)
            yield WebhookSettings(w.name, url, secret, self._path(w.ca_file), w.timeout_s)
        for i, a in enumerate(keys.apprise):
            url = self._secret(("apprise", i, "url_file"), a.url_file) or ""
            yield AppriseSettings(a.name, url, a.min_severity, a.max_per_minute)

    def _path(self, name: str | None) -> str | None:
        return None if name is None else str(self._folder / name)

    def _secret(self, key: KeyPath, name: str | None) -> str | None:
        if name is None:
            return None
        try:
            return read_secret_text(self._folder / name)
        except KeysError as error:
            self._fault(key, f"must name a secret file: {error}")
            return None

    def _check_url(self, key: KeyPath, url: str) -> None:
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname, parts.port
        except ValueError:
            host, parts = None, urlsplit("")
        encrypted = parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host or ""))
        if url and not (host and encrypted):
            self._fault(key, "must be https://HOST/..., or http:// on this machine")
        if key[-1] == "url" and (parts.query or parts.username or parts.password):
            self._fault(key, "must hold no user, password or query, for these are secrets: use url_file")

    def _fault(self, key: KeyPath, allowed: str) -> None:
        written = written_of(self._document, key) if str(key[-1]).endswith("_file") else "an address"
        self._document.faults.append(Fault(line_of(self._document, key), key_name(key), written, allowed))


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
