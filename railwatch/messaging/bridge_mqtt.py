"""Alerts and section states to an MQTT 5 broker. docs/bridges.md tells the topics and what a reader may believe."""

from __future__ import annotations

import json
import ssl
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from math import ceil
from pathlib import Path
from typing import Any, Final

from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from railwatch.core.alerts import DEFAULT_LEASE_S, SectionState
from railwatch.messaging.bridge import SinkError
from railwatch.messaging.bridge_home_assistant import announcements
from railwatch.messaging.bridge_settings import MqttSettings
from railwatch.messaging.bridge_webhook import marked
from railwatch.messaging.events import AlertReceived, Event, StatusReceived

KEEPALIVE_S: Final = 2
"""A broker that hears nothing for one and a half times as long publishes the last will."""

EXPIRY_S: Final = ceil(DEFAULT_LEASE_S)
"""A retained state that is not renewed vanishes from the broker after so long: one that was away keeps no CLEAR."""

CONNECT_S: Final = 5.0
CONFIRM_S: Final = 10.0
"""A broker that confirms nothing for so long is left and connected to anew."""

SETTLE_S: Final = 10.0
"""An alert counts as taken when the broker has lived on for so long after confirming it.

Brokers confirm what they hold in memory: one that is killed then has not passed on all that it confirmed.
"""

MAX_UNCONFIRMED: Final = 100
GOODBYE_S: Final = 1.0

_QOS: Final = 1
_OK: Final = MQTTErrorCode.MQTT_ERR_SUCCESS


class MqttSink:
    """One connection to a broker, served by the thread that feeds it: if that hangs, the broker says UNKNOWN.

    Args:
        settings: Where the broker is.
        site_id: The site, a part of every topic.
        state_dir: Keeps which sections there are, so that the last will names all of them from the first moment.
        clock: Monotonic seconds.
    """

    def __init__(
        self, settings: MqttSettings, site_id: str, state_dir: Path, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.name, self.answers = settings.name, False
        self._settings, self._site_id, self._clock = settings, site_id, clock
        self._known = _SectionFile(state_dir / f"{settings.name}.sections")
        self._topic = f"{settings.topic}/{site_id}"
        self._client: mqtt.Client | None = None
        self._unconfirmed: OrderedDict[int, AlertReceived | None] = OrderedDict()
        self._acknowledged: set[int] = set()
        self._said: Mapping[str, SectionState] | None = None
        self._refusal: str | None = None
        self._settling: deque[tuple[float, AlertReceived]] = deque()
        self._status_due = self._connected = False
        self._progress_s = 0.0

    def open(self) -> None:
        """Connect and say UNKNOWN for every section known, until this bridge itself knows better."""
        self._unconfirmed.clear()
        self._acknowledged.clear()
        self._settling.clear()
        self._said, self._refusal, self._connected = None, None, False
        self._progress_s = self._clock()
        self._client = client = self._made()
        try:
            client.connect(self._settings.host, self._settings.port, keepalive=KEEPALIVE_S, clean_start=True)
        except (OSError, ValueError) as error:
            raise SinkError(f"the broker cannot be reached ({type(error).__name__})") from None
        self._wait(lambda: self._connected, CONNECT_S, "the broker does not answer")
        self._announce()
        self._say_states(dict.fromkeys(self._known.load(), SectionState.UNKNOWN))
        self.answers = True

    def take(self, event: Event) -> None:
        """Publish an alert; a Status asks for the states to be said again."""
        if isinstance(event, StatusReceived):
            self._status_due = True
        elif isinstance(event, AlertReceived):
            self._wait(self._has_room, CONFIRM_S, "the broker confirms nothing")
            self._publish(f"{self._topic}/alerts", marked(event), event=event)

    def turn(self, states: Mapping[str, SectionState]) -> None:
        """Say the states when they changed and at every Status, and talk to the broker."""
        if states.keys() - self._known.load():
            self._known.save(states)
            raise SinkError("there are new sections: connecting anew, so that the last will names them")
        if states and (self._status_due or states != self._said):
            self._say_states(states)
            self._status_due = False
        self._loop(0.0)
        if not self._unconfirmed:
            self._progress_s = self._clock()
        elif self._clock() - self._progress_s > CONFIRM_S:
            raise SinkError("the broker confirms nothing")

    def confirmed(self) -> AlertReceived | None:
        """The last alert up to which the broker has confirmed all, some time ago."""
        self._collect()
        settled, last = self._clock() - SETTLE_S, None
        while self._settling and self._settling[0][0] <= settled:
            last = self._settling.popleft()[1]
        return last

    def close(self) -> None:
        """Say UNKNOWN and go, if the broker is there; otherwise it publishes the last will."""
        client, self._client, self.answers = self._client, None, False
        if client is None:
            return
        if self._connected and self._refusal is None:
            said = client.publish(f"{self._topic}/sections", self._unknown(), qos=_QOS, retain=True)
            end_s = self._clock() + GOODBYE_S
            while not said.is_published() and self._clock() < end_s and client.loop(0.05) == _OK:
                pass
            client.disconnect()
            client.loop(0.05)
        client.loop_stop()
        _close_socket(client)

    def _made(self) -> mqtt.Client:
        settings = self._settings
        made = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"railwatch-{self._site_id}-{settings.name}",
            protocol=MQTTProtocolVersion.MQTTv5,
        )
        made.connect_timeout = CONNECT_S
        made.will_set(f"{self._topic}/sections", self._unknown(), qos=_QOS, retain=True)
        if settings.username is not None:
            made.username_pw_set(settings.username, settings.password)
        if settings.tls:
            made.tls_set(ca_certs=settings.ca_file, cert_reqs=ssl.CERT_REQUIRED)
        made.on_connect, made.on_disconnect, made.on_publish = self._on_connect, self._on_disconnect, self._on_publish
        return made

    def _unknown(self) -> bytes:
        return _states_body(dict.fromkeys(self._known.load(), SectionState.UNKNOWN))

    def _announce(self) -> None:
        prefix = self._settings.home_assistant
        if prefix is not None:
            for topic, body in announcements(prefix, self._topic, self._site_id, sorted(self._known.load()), EXPIRY_S):
                self._publish(topic, body, retain=True)

    def _say_states(self, states: Mapping[str, SectionState]) -> None:
        properties = Properties(PacketTypes.PUBLISH)
        properties.MessageExpiryInterval = EXPIRY_S
        self._publish(f"{self._topic}/sections", _states_body(states), retain=True, properties=properties)
        self._said = dict(states)

    def _publish(
        self,
        topic: str,
        body: bytes,
        *,
        retain: bool = False,
        event: AlertReceived | None = None,
        properties: Properties | None = None,
    ) -> None:
        assert self._client is not None  # noqa: S101 - open() came first
        sent = self._client.publish(topic, body, qos=_QOS, retain=retain, properties=properties)
        if sent.rc != _OK:
            raise SinkError("the broker went away")
        self._unconfirmed[sent.mid] = event

    def _has_room(self) -> bool:
        self._collect()
        return len(self._unconfirmed) < MAX_UNCONFIRMED

    def _collect(self) -> None:
        """Take out those that are confirmed, up to the first that is not: a position knows no holes."""
        while self._unconfirmed and next(iter(self._unconfirmed)) in self._acknowledged:
            mid, event = self._unconfirmed.popitem(last=False)
            self._acknowledged.discard(mid)
            self._progress_s = self._clock()
            if event is not None:
                self._settling.append((self._progress_s, event))

    def _wait(self, true: Callable[[], bool], limit_s: float, trouble: str) -> None:
        end_s = self._clock() + limit_s
        while not true():
            if self._clock() > end_s:
                raise SinkError(trouble)
            self._loop(0.05)

    def _loop(self, wait_s: float) -> None:
        assert self._client is not None  # noqa: S101 - open() came first
        if self._client.loop(wait_s) != _OK or self._refusal is not None:
            raise SinkError(self._refusal or "the broker went away")

    def _on_connect(self, _client: Any, _user: Any, _flags: Any, reason: Any, _properties: Any) -> None:  # noqa: ANN401 - paho's
        if reason.is_failure:
            self._refusal = f"the broker refuses: {reason}"
        else:
            self._connected = True

    def _on_disconnect(self, _client: Any, _user: Any, _flags: Any, reason: Any, _properties: Any) -> None:  # noqa: ANN401 - paho's
        self._refusal = self._refusal or f"the broker went away ({reason})"

    def _on_publish(self, _client: Any, _user: Any, mid: int, reason: Any, _properties: Any) -> None:  # noqa: ANN401 - paho's
        if reason.is_failure:
            self._refusal = f"the broker refuses to publish: {reason}"
        else:
            self._acknowledged.add(mid)


class _SectionFile:
    """The sections that were ever heard of, a name a line; losing it costs one connection more."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._names: frozenset[str] | None = None

    def load(self) -> frozenset[str]:
        if self._names is None:
            try:
                self._names = frozenset(self._path.read_text(encoding="utf-8").split())
            except (OSError, UnicodeDecodeError):
                self._names = frozenset()
        return self._names

    def save(self, names: Mapping[str, SectionState]) -> None:
        """A section that is no more stays in the will; it says UNKNOWN, which is true."""
        self._names = self.load() | names.keys()
        fresh = self._path.with_name(f"{self._path.name}.new")
        try:
            fresh.write_text("".join(f"{name}\n" for name in sorted(self._names)), encoding="utf-8")
            fresh.replace(self._path)
        except OSError as error:
            raise SinkError(f"{self._path} cannot be written: {error.strerror}") from error


def _states_body(states: Mapping[str, SectionState]) -> bytes:
    return json.dumps({"sections": {name: state.value for name, state in sorted(states.items())}}).encode()


def _close_socket(client: mqtt.Client) -> None:
    found = client.socket()
    if found is not None:
        found.close()
