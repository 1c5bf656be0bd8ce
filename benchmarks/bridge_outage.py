"""A real Mosquitto is killed for a while during alerts, and what an MQTT subscriber has afterwards is compared.

    python benchmarks/bridge_outage.py [--down 30] [--rate 20]

Needs the environment of the tests and mosquitto (Debian). Alerts go out all the time; the broker writes sessions down
at once (docs/bridges.md). Then two more: how long until the broker says UNKNOWN of every section when the bridge is
frozen (SIGSTOP), and whether a broker that comes back without its bridge still holds a CLEAR.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from railwatch.messaging.bridge_mqtt import MqttSink  # noqa: E402
from railwatch.messaging.bridge_settings import MqttSettings  # noqa: E402
from tests.messaging.bridge_rig import Hub, feeding, hub  # noqa: E402
from tests.messaging.mosquitto_rig import Mosquitto, broker, listening  # noqa: E402
from tests.messaging.test_bridge_mqtt import BRIDGE, KNOWN, UNKNOWN, alerts, numbers, states  # noqa: E402


def outage(folder: Path, down_s: float, rate: float) -> dict[str, object]:
    """Kill the broker for `down_s` seconds while `rate` alerts a second go out."""
    with broker(folder / "broker") as mosquitto, hub(folder) as site, listening(mosquitto.port) as listener:
        sink = MqttSink(MqttSettings("m", "127.0.0.1", mosquitto.port, tls=False), "yard", folder)
        with feeding(site, sink, folder):
            _alert(site, 5.0, rate)
            killed_at = site.seq
            mosquitto.kill()
            _alert(site, down_s, rate)
            started_at = site.seq
            mosquitto.start()
            back_s = time.monotonic()
            listener.wait(lambda messages: len(numbers(messages)) >= started_at)
            caught_up_s = time.monotonic() - back_s
            _alert(site, 5.0, rate)
            messages = listener.wait(lambda messages: len(numbers(messages)) >= site.seq)
    got = numbers(messages)
    return {
        "alerts": site.seq,
        "while_down": started_at - killed_at,
        "missing": sorted(set(range(1, site.seq + 1)) - set(got)),
        "in_order": got == sorted(got),
        "repeated": len(alerts(messages)) - len(got),
        "caught_up_s": round(caught_up_s, 2),
    }


def _alert(site: Hub, for_s: float, rate: float) -> None:
    end_s, pause = time.monotonic() + for_s, threading.Event()
    while time.monotonic() < end_s:
        site.alert()
        pause.wait(1.0 / rate)


def frozen(folder: Path) -> dict[str, object]:
    """Seconds from SIGSTOP of the bridge to UNKNOWN at a subscriber."""
    with broker(folder / "broker") as mosquitto, listening(mosquitto.port) as listener:
        command = [sys.executable, "-c", BRIDGE, str(ROOT), str(folder), str(mosquitto.port)]
        with subprocess.Popen(command) as process:
            listener.wait(lambda messages: bool(states(messages)) and states(messages)[-1] == KNOWN)
            stopped_s = time.monotonic()
            os.kill(process.pid, signal.SIGSTOP)
            listener.wait(lambda messages: states(messages)[-1] == UNKNOWN)
            took_s = time.monotonic() - stopped_s
            process.kill()
    return {"unknown_after_freeze_s": round(took_s, 2)}


def alone(folder: Path, after_s: float = 4.0) -> dict[str, object]:
    """What a broker holds that was killed with its bridge and comes back `after_s` seconds later."""
    with broker(folder / "broker") as mosquitto, hub(folder) as site:
        sink = MqttSink(MqttSettings("m", "127.0.0.1", mosquitto.port, tls=False), "yard", folder)
        with listening(mosquitto.port) as listener, feeding(site, sink, folder):
            listener.wait(lambda messages: bool(states(messages)) and states(messages)[-1] == KNOWN)
            threading.Event().wait(2.0)
            mosquitto.kill()
        threading.Event().wait(after_s)
        mosquitto.start()
        return {"retained_states_of_a_broker_alone": _retained(mosquitto)}


def _retained(mosquitto: Mosquitto) -> list[dict[str, str]]:
    with listening(mosquitto.port, name="late") as late:
        threading.Event().wait(1.0)
        return states(late.messages)


def main() -> None:
    """Run all three and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--down", type=float, default=30.0)
    parser.add_argument("--rate", type=float, default=20.0)
    options = parser.parse_args()
    found: dict[str, object] = {}
    for run in (lambda folder: outage(folder, options.down, options.rate), frozen, alone):
        with tempfile.TemporaryDirectory() as folder:
            found |= run(Path(folder))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
