"""MQTT against a real Mosquitto on loopback, killed and started again."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

from railwatch.messaging.bridge_mqtt import EXPIRY_S, MqttSink
from railwatch.messaging.bridge_settings import MqttSettings
from tests.messaging.bridge_rig import feeding, hub
from tests.messaging.mosquitto_rig import broker, listening

SECTIONS, ALERTS = "railwatch/yard/sections", "railwatch/yard/alerts"
UNKNOWN = {"s1": "UNKNOWN", "s2": "UNKNOWN"}
KNOWN = {"s1": "CLEAR", "s2": "OCCUPIED"}


@pytest.fixture
def mosquitto(tmp_path):
    tmp_path.chmod(0o755)
    with broker(tmp_path / "broker") as made:
        yield made


def sink(mosquitto, tmp_path, **changes):
    values = {"name": "m", "host": "127.0.0.1", "port": mosquitto.port, "tls": False, **changes}
    return MqttSink(MqttSettings(**values), "yard", tmp_path)


def states(messages):
    return [json.loads(payload)["sections"] for topic, payload, _ in messages if topic == SECTIONS]


def alerts(messages):
    return [json.loads(payload) for topic, payload, _ in messages if topic == ALERTS]


def numbers(messages):
    """The alerts without repetitions: MQTT delivers at least once."""
    return list(dict.fromkeys(alert["seq"] for alert in alerts(messages)))


def test_nothing_is_missing_after_the_broker_was_killed_during_alerts(tmp_path, mosquitto):
    said = []
    with (
        hub(tmp_path) as site,
        listening(mosquitto.port) as listener,
        feeding(site, sink(mosquitto, tmp_path), tmp_path, said),
    ):
        for number in range(1, 121):
            site.alert()
            if number == 40:
                listener.wait(lambda messages: len(numbers(messages)) >= 20)
                mosquitto.kill()
            if number == 80:
                mosquitto.start()
        messages = listener.wait(lambda messages: len(numbers(messages)) >= 120)
        site.alert()
        messages = listener.wait(lambda messages: len(numbers(messages)) >= 121)
    assert numbers(messages) == list(range(1, 122))
    assert alerts(messages)[-1]["replayed"] is False
    assert any(alert["replayed"] for alert in alerts(messages))
    assert any("broker" in line for line in said)


def test_states_follow_the_lease_and_end_as_unknown(tmp_path, mosquitto):
    with hub(tmp_path) as site, listening(mosquitto.port) as listener:
        with feeding(site, sink(mosquitto, tmp_path), tmp_path):
            listener.wait(lambda messages: KNOWN in states(messages))
            site.silence()
            listener.wait(lambda messages: states(messages)[-1] == UNKNOWN)
        assert states(listener.messages)[-1] == UNKNOWN


def test_a_good_end_says_unknown(tmp_path, mosquitto):
    with hub(tmp_path) as site, listening(mosquitto.port) as listener:
        with feeding(site, sink(mosquitto, tmp_path), tmp_path):
            listener.wait(lambda messages: states(messages) and states(messages)[-1] == KNOWN)
        listener.wait(lambda messages: states(messages)[-1] == UNKNOWN)
        with listening(mosquitto.port, name="late") as late:
            retained = late.wait(states)
    assert (states(retained), retained[0][2]) == ([UNKNOWN], True)


BRIDGE = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from tests.messaging.bridge_rig import *
from railwatch.messaging.bridge_mqtt import MqttSink
from railwatch.messaging.bridge_settings import MqttSettings
folder = Path(sys.argv[2])
sink = MqttSink(MqttSettings("m", "127.0.0.1", int(sys.argv[3]), tls=False), "yard", folder)
with hub(folder) as site, feeding(site, sink, folder):
    threading.Event().wait()
"""


def test_the_broker_says_unknown_of_all_when_the_bridge_is_killed(tmp_path, mosquitto, root):
    command = [sys.executable, "-c", BRIDGE, str(root), str(tmp_path), str(mosquitto.port)]
    with listening(mosquitto.port) as listener, subprocess.Popen(command) as process:
        try:
            listener.wait(lambda messages: states(messages) and states(messages)[-1] == KNOWN)
            process.kill()
            listener.wait(lambda messages: states(messages)[-1] == UNKNOWN)
        finally:
            process.kill()


def test_home_assistant_finds_every_section(tmp_path, mosquitto):
    with (
        hub(tmp_path) as site,
        listening(mosquitto.port, "homeassistant/#") as listener,
        feeding(site, sink(mosquitto, tmp_path, home_assistant="homeassistant"), tmp_path),
    ):
        listener.wait(lambda messages: len({topic for topic, *_ in messages}) >= 2)
    found = {topic: json.loads(payload) for topic, payload, _ in listener.messages}
    assert set(found) == {f"homeassistant/sensor/railwatch_yard_{name}/config" for name in KNOWN}
    document = found["homeassistant/sensor/railwatch_yard_s1/config"]
    assert document["state_topic"] == SECTIONS
    assert document["value_template"] == '{{ value_json.sections["s1"] }}'
    assert document["options"] == ["CLEAR", "OCCUPIED", "UNKNOWN"]
    assert document["expire_after"] == EXPIRY_S


def test_a_broker_that_refuses_is_told_without_the_password(tmp_path, mosquitto):
    mosquitto.kill()
    config = mosquitto._config
    config.write_text(config.read_text().replace("allow_anonymous true", "allow_anonymous false"))
    mosquitto.start()
    said = []
    with hub(tmp_path) as site, feeding(site, sink(mosquitto, tmp_path, username="u", password="pa55"), tmp_path, said):  # noqa: S106 - of the test
        end_s = time.monotonic() + 20.0
        while not said and time.monotonic() < end_s:
            time.sleep(0.02)
    assert "the broker refuses: Not authorized" in said[0]
    assert not any("pa55" in line for line in said)
