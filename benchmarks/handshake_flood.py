"""A guarded hub under a flood of connections that have no business there.

    python benchmarks/handshake_flood.py [--garbage 3000] [--half-open 200]

Two processes (flood_attacker.py) open connections that send garbage (noise, TLS, HTTP, ZMTP without keys, CurveZMQ with
broken keys) as fast as they can, and others that send nothing or half a greeting and stay. Meanwhile a client with a
key, connected before, gets an alert every 10 ms, and clients with a key connect anew. Printed are the messages that
reached the application and were not of these clients (there must be none), how long alerts took, and how long a new
client took from its making to its first alert.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import zmq

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from railwatch.core.alerts import Action, Alert, AlertKind, Epoch, SectionState, Severity  # noqa: E402
from railwatch.messaging import desk, publisher  # noqa: E402
from railwatch.messaging.client import Client  # noqa: E402
from railwatch.messaging.events import AlertReceived  # noqa: E402
from railwatch.messaging.frames import receive_signed  # noqa: E402
from railwatch.messaging.guard import Guard  # noqa: E402
from railwatch.messaging.heartbeat import StatusBody  # noqa: E402
from railwatch.messaging.keys import ClientKeys, KeyStore  # noqa: E402
from railwatch.messaging.publisher import Publisher  # noqa: E402
from railwatch.messaging.roles import Role  # noqa: E402

ALERT_INTERVAL_S = 0.01
BODY = StatusBody({"s1": SectionState.UNKNOWN})


@dataclass
class Measured:
    """What came of it; times in seconds."""

    strange: int = 0
    latency_s: list[float] = field(default_factory=list)
    connect_s: list[float] = field(default_factory=list)
    attack_s: float = 0.0
    put_out: int = 0

    def summary(self) -> dict[str, object]:
        """For people and machines."""
        return {
            "strange_messages": self.strange,
            "attack_s": round(self.attack_s, 2),
            "alerts": len(self.latency_s),
            "alert_ms_p50": round(1000 * statistics.median(self.latency_s), 2),
            "alert_ms_max": round(1000 * max(self.latency_s), 2),
            "new_clients": len(self.connect_s),
            "new_client_ms_p50": round(1000 * statistics.median(self.connect_s), 2),
            "new_client_ms_max": round(1000 * max(self.connect_s), 2),
            "put_out": self.put_out,
        }


class Hub:
    """A publisher that counts what comes in from others than its clients with the key `good`."""

    def __init__(self, folder: Path) -> None:
        store = KeyStore(folder / "keys")
        self.keys = ClientKeys.load(store.new("good", Role.SUBSCRIBER))
        self._context = zmq.Context()
        self.guard = Guard(self._context, store)
        options = {"site_id": "yard", "epoch": Epoch("j", 1), "body": BODY, "bind": "tcp://127.0.0.1:*"}
        self.sent_s: list[float] = []
        self.senders: Counter[str | None] = Counter()
        self._count()
        self.publisher = Publisher(**options, guard=self.guard)

    def _count(self) -> None:
        """Note the sender of every message that reaches the application: requests, and subscriptions."""

        def counted(source: zmq.Socket[bytes], most: int) -> tuple[list[bytes], str | None] | None:
            found = receive_signed(source, most)
            # That somebody went is told by libzmq itself, and names nobody.
            if found is not None and found[0][0][:1] != b"\0":
                self.senders[found[1]] += 1
            return found

        def unsigned(source: zmq.Socket[bytes], most: int) -> list[bytes] | None:
            found = counted(source, most)
            return None if found is None else found[0]

        publisher.receive, desk.receive_signed = unsigned, counted

    def alert(self) -> None:
        """Publish the next one."""
        seq = len(self.sent_s) + 1
        alert = Alert(
            site_id="yard", epoch=Epoch("j", 1), seq=seq, alert_id=f"a{seq}", kind=AlertKind.INTRUSION,
            action=Action.OPENED, severity=Severity.WARNING, incident_id="i1", section_id="s1", camera_id=None,
            zone_id=None, objects=(), why="", margin_s=None, captured_at="", published_at="", config_rev="",
            model_sha256="",
        )  # fmt: skip
        self.sent_s.append(time.monotonic())
        self.publisher.publish(alert)

    def client(self) -> Client:
        """A client with a key."""
        return Client(self.publisher.endpoint, self.publisher.request_endpoint, keys=self.keys)

    def close(self) -> None:
        """End it."""
        self.publisher.close()
        self.guard.close()
        self._context.term()


@contextlib.contextmanager
def attackers(ports: list[int], count: int, half_open: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """One for each port, sharing the work."""
    attacker = str(Path(__file__).with_name("flood_attacker.py"))
    shares = [str(count // len(ports)), str(half_open // len(ports))]
    made = [
        subprocess.Popen([sys.executable, attacker, str(port), *shares], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for port in ports
    ]
    try:
        yield made
    finally:
        for process in made:
            process.communicate()


def measure(count: int, half_open: int) -> Measured:
    """The whole scene."""
    with tempfile.TemporaryDirectory() as folder, contextlib.closing(Hub(Path(folder))) as hub:
        found, over = Measured(), threading.Event()
        with hub.client() as client:
            assert hub.publisher.wait_subscribers(1, 10.0)
            listening = threading.Thread(target=_listen, args=(hub, client, found, over))
            alerting = threading.Thread(target=_alert, args=(hub, over))
            listening.start()
            alerting.start()
            begun_s = time.monotonic()
            ports = [int(end.rpartition(":")[2]) for end in (hub.publisher.endpoint, hub.publisher.request_endpoint)]
            with attackers(ports, count, half_open) as processes:
                _connect_anew(hub, found, processes)
                found.attack_s = time.monotonic() - begun_s
            over.set()
            alerting.join()
            listening.join()
        assert hub.senders["good"] > 0
        found.strange = hub.senders.total() - hub.senders["good"]
        found.put_out = hub.guard.put_out
    return found


def _alert(hub: Hub, over: threading.Event) -> None:
    while not over.wait(ALERT_INTERVAL_S):
        hub.alert()


def _listen(hub: Hub, client: Client, found: Measured, over: threading.Event) -> None:
    while not over.is_set():
        for event in client.poll(0.05):
            if isinstance(event, AlertReceived):
                found.latency_s.append(time.monotonic() - hub.sent_s[event.alert.seq - 1])


def _connect_anew(hub: Hub, found: Measured, processes: list[subprocess.Popen[bytes]]) -> None:
    """Connect again and again until the attackers have done all they do."""
    done = threading.Thread(target=lambda: [process.stdout.readline() for process in processes])  # type: ignore[union-attr]
    done.start()
    while done.is_alive():
        begun_s = time.monotonic()
        with hub.client() as client:
            while not _alerted(client):
                assert time.monotonic() - begun_s < 10.0, "a good client is not served"
        found.connect_s.append(time.monotonic() - begun_s)
        done.join(0.02)


def _alerted(client: Client) -> bool:
    """Whether one has come just now."""
    return any(type(event).__name__ in {"AlertReceived", "AlertAhead"} for event in client.poll(0.05))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--garbage", type=int, default=3000)
    parser.add_argument("--half-open", type=int, default=200)
    options = parser.parse_args()
    print(json.dumps(measure(options.garbage, options.half_open).summary()))


if __name__ == "__main__":
    main()
