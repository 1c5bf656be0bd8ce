"""A publishing process that is killed again and again, and readers that live through it.

Short in a test, long in benchmarks/kill_hub.py. What must hold: an alert that anybody heard with `journaled` true, or
whose acknowledgement was answered, is in the journal exactly once; and in the end every reader was handed every
journaled alert, in order, once.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sqlite3
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from math import inf
from pathlib import Path

import zmq

from railwatch.core.alerts import AckLevel, SectionState
from railwatch.messaging.chain import examine
from railwatch.messaging.client import Client
from railwatch.messaging.events import AlertReceived, Answered, Event, Gap, HistoryLost
from railwatch.messaging.heartbeat import StatusBody
from railwatch.messaging.journal import Journal
from railwatch.messaging.ordering import History
from railwatch.messaging.outlet import JournaledPublisher
from railwatch.messaging.records import Record
from railwatch.messaging.requests import ACK_VERB, ACKED_VERB, Acked, AckRequest, decode_body, encode_body
from railwatch.messaging.wire import decode_alert
from tests.messaging.rig import make_alert

Key = tuple[str, int]


def hub(path: str, bind: str, request_bind: str, pause_s: float) -> None:
    """Publish alerts until killed; acknowledgements are answered after their commit."""

    ready = threading.Event()

    def acknowledge(peer, payload):
        ready.wait()
        request = decode_body(payload, AckRequest)
        record = Record.acknowledgement(request.incident_id, request.level, request.by, None)
        publisher.record(record, lambda: publisher.reply(peer, ACKED_VERB, encode_body(Acked(request.request))))

    journal = Journal.open(path)
    publisher = JournaledPublisher(
        journal, site_id="yard", body=StatusBody({"s1": SectionState.OCCUPIED}), on_trouble=lambda *_: None,
        bind=bind, request_bind=request_bind, handlers={ACK_VERB: acknowledge},
    )  # fmt: skip
    ready.set()
    never = threading.Event()
    seq = 0
    while not never.wait(pause_s):
        seq += 1
        alert = make_alert(seq, epoch=journal.epoch, incident_id=f"{journal.epoch}-i{seq}")
        publisher.publish(alert)
        publisher.set_status(StatusBody({"s1": SectionState.OCCUPIED}))


@dataclass
class Reader:
    """A client in a thread: what it was handed, what it missed, what it acknowledged."""

    number: int
    endpoints: tuple[str, str]
    handed: list[Key] = field(default_factory=list)
    unjournaled: set[Key] = field(default_factory=set)
    troubles: list[Event] = field(default_factory=list)
    acknowledged: set[str] = field(default_factory=set)
    stopping: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        asked: dict[str, str] = {}
        with Client(*self.endpoints, history=History.ALL, patience_s=inf) as client:
            while not self.stopping.is_set():
                for event in client.poll(0.05):
                    if isinstance(event, AlertReceived):
                        key = (str(event.alert.epoch), event.alert.seq)
                        self.handed.append(key)
                        if not event.alert.journaled:
                            self.unjournaled.add(key)
                        if event.alert.seq % 7 == self.number:
                            who = f"reader {self.number}"
                            asked[client.acknowledge(event.alert.incident_id, AckLevel.DISPLAYED, who)] = (
                                event.alert.incident_id
                            )
                    elif isinstance(event, Answered) and event.accepted:
                        self.acknowledged.add(asked[event.request])
                    elif isinstance(event, Gap | HistoryLost):
                        self.troubles.append(event)


@dataclass
class Ear:
    """A bare SUB that hears whatever is on the wire."""

    endpoint: str
    heard: dict[Key, bool] = field(default_factory=dict)
    stopping: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        with zmq.Context() as context, context.socket(zmq.SUB) as sub:
            sub.setsockopt(zmq.LINGER, 0)
            sub.setsockopt(zmq.RECONNECT_IVL, 20)
            sub.connect(self.endpoint)
            sub.subscribe(b"alert/")
            while not self.stopping.is_set():
                if sub.poll(50):
                    alert = decode_alert(sub.recv_multipart()[1])
                    self.heard[str(alert.epoch), alert.seq] = alert.journaled


@dataclass(frozen=True)
class Outcome:
    """What came of it; `faults` is empty when all promises were kept."""

    kills: int
    journaled: int
    heard: int
    acknowledged: int
    unjournaled: int
    faults: tuple[str, ...]


def kill_again_and_again(folder: Path, kills: int, seed: int = 1, readers: int = 3, pause_s: float = 0.002) -> Outcome:
    """Kill the hub `kills` times at moments drawn by chance, start it once more, and compare everything."""
    chance = random.Random(seed)  # noqa: S311 - moments to kill, so that a run can be repeated
    path = folder / "j.db"
    endpoints = free_endpoints()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.integration.killing"])
    everybody = [Reader(number, endpoints) for number in range(readers)]
    ear = Ear(endpoints[0])
    threads = [threading.Thread(target=one.run) for one in (*everybody, ear)]
    for thread in threads:
        thread.start()
    pause = threading.Event()
    try:
        for _ in range(kills):
            before = len(ear.heard)
            process = context.Process(target=hub, args=(str(path), *endpoints, pause_s))
            process.start()
            deadline_s = time.monotonic() + 60
            while len(ear.heard) == before and time.monotonic() < deadline_s:
                pause.wait(0.005)
            pause.wait(chance.uniform(0.0, 0.15))
            os.kill(process.pid, signal.SIGKILL)
            process.join()
        wait_for_the_rest(context, path, endpoints, everybody)
    finally:
        for one in (*everybody, ear):
            one.stopping.set()
        for thread in threads:
            thread.join()
    return judge(path, kills, everybody, ear)


def wait_for_the_rest(context, path, endpoints, everybody) -> None:
    """One more hub, that publishes nothing, until every reader has what there is; ended in peace by its own pipe."""
    last = context.Process(target=hub, args=(str(path), *endpoints, 3600.0))
    last.start()
    with sqlite3.connect(path) as raw:
        newest = raw.execute("SELECT epoch, seq FROM journal WHERE kind = 'alert' ORDER BY row DESC LIMIT 1").fetchone()
    raw.close()
    pause, deadline_s = threading.Event(), time.monotonic() + 60
    while time.monotonic() < deadline_s and not all(reader.handed[-1:] == [newest] for reader in everybody):
        pause.wait(0.05)
    os.kill(last.pid, signal.SIGKILL)
    last.join()


def judge(path: Path, kills: int, everybody: list[Reader], ear: Ear) -> Outcome:
    """Compare journal, readers and wire."""
    with sqlite3.connect(path) as raw:
        rows = raw.execute("SELECT epoch, seq FROM journal WHERE kind = 'alert' ORDER BY row").fetchall()
        notes = {incident for (incident,) in raw.execute("SELECT incident FROM journal WHERE kind = 'acknowledgement'")}
        faults = [] if examine(raw).damage is None else ["the chain of the journal is broken"]
    raw.close()
    journal = list(rows)
    counted = Counter(journal)
    if max(counted.values()) > 1:
        faults.append("an alert is in the journal twice")
    lost = [key for key, journaled in ear.heard.items() if journaled and key not in counted]
    faults += [f"heard as journaled, but not in the journal: {key}" for key in lost]
    for reader in everybody:
        handed = [key for key in reader.handed if key in counted]
        others = [key for key in reader.handed if key not in counted]
        if handed != journal:
            missing = set(journal) - set(handed)
            faults.append(f"reader {reader.number}: {len(handed)} of {len(journal)}, {len(missing)} missing")
        faults += [f"reader {reader.number} was handed {key}" for key in others if key not in reader.unjournaled]
        faults += [f"reader {reader.number} was told {event}" for event in reader.troubles]
        lost_notes = reader.acknowledged - notes
        faults += [f"answered, but not in the journal: {incident}" for incident in lost_notes]
    acknowledged = sum(len(reader.acknowledged) for reader in everybody)
    unjournaled = sum(not journaled for journaled in ear.heard.values())
    return Outcome(kills, len(journal), len(ear.heard), acknowledged, unjournaled, tuple(faults))


def free_endpoints() -> tuple[str, str]:
    """Two endpoints on loopback that nobody uses now."""
    with zmq.Context() as context:
        found = []
        for _ in range(2):
            probe = context.socket(zmq.PUB)
            probe.bind("tcp://127.0.0.1:*")
            found.append((probe, probe.getsockopt_string(zmq.LAST_ENDPOINT)))
        for probe, _ in found:
            probe.close(linger=0)
    return found[0][1], found[1][1]
