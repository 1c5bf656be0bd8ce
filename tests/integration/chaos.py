"""Random kills, stops and pulled cables over a hub, its worker and three clients; then the histories are checked.

    PYTHONPATH=. python tests/integration/chaos.py [SECONDS] [SEED]

What must hold, whatever happened:

- every alert that a client was handed as journaled, and every acknowledgement that was answered, is in the journal;
- each client was handed all alerts of the journal, in its order, each once (one that was handed over and not yet noted
  as done when its client was killed comes again: that is what the position file promises);
- no client believed CLEAR later than 3 s after the hub was stopped or killed, or its own cable was pulled.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from tests.hub_rig import ROOT, RunningHub, wait_until, write_site
from tests.integration.cable import Cable

CLIENTS = 3
UNKNOWN_WITHIN_S = 3.0
COMING_AND_GOING = (True,) * 10 + (False,) * 14


def now_s():
    """The clock that all processes of this machine share."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Chaos:
    """The site, its processes, and what is done to them; `faults` are (from, to, client or None) for hub and cables."""

    def __init__(self, folder, seed):
        self.folder, self.random = folder, random.Random(seed)  # noqa: S311 - faults, not secrets
        self.site = write_site(folder, ("east", "west"), persons=COMING_AND_GOING)
        self.faults, self.counts = [], Counter()
        self.hub = RunningHub(self.site)
        self.hub.wait_line("is armed")
        port = int(self.hub.endpoint.rpartition(":")[2])
        self.cables = [Cable(port) for _ in range(CLIENTS)]
        self.clients = [self._start_client(number) for number in range(CLIENTS)]

    def run(self, seconds):
        """One random fault after the other."""
        end_s = now_s() + seconds
        deeds = [self.kill_hub, self.stop_hub, self.kill_worker, self.stop_worker, self.cut, self.kill_client]
        deeds += [self.stop_client, self.cut, self.kill_client]
        while now_s() < end_s:
            threading.Event().wait(self.random.uniform(0.2, 1.5))
            deed = self.random.choice(deeds)
            self.counts[deed.__name__] += 1
            deed()

    def kill_hub(self):
        """The hub is killed, and started again by whoever minds it."""
        begun_s = now_s()
        self.hub.send(signal.SIGKILL)
        self.hub.stop()
        threading.Event().wait(self.random.uniform(0.0, 1.0))
        self.faults.append((begun_s, now_s(), None))
        self.hub = RunningHub(self.site)

    def stop_hub(self):
        """The hub is frozen for a while."""
        self._stopped(self.hub.process.pid, None, 4.5)

    def kill_worker(self):
        """The worker is killed; the hub minds it."""
        for pid in self.hub.workers()[-1:]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def stop_worker(self):
        """The worker hangs."""
        for pid in self.hub.workers()[-1:]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
                threading.Event().wait(self.random.uniform(0.5, 3.0))
                os.kill(pid, signal.SIGCONT)

    def cut(self):
        """The cable of one client is pulled."""
        number = self.random.randrange(CLIENTS)
        begun_s = now_s()
        self.cables[number].cut()
        threading.Event().wait(self.random.uniform(0.5, 5.0))
        self.faults.append((begun_s, now_s(), number))
        self.cables[number].mend()

    def kill_client(self):
        """A client is killed and started again."""
        number = self.random.randrange(CLIENTS)
        self.clients[number].kill()
        self.clients[number].wait()
        self.clients[number] = self._start_client(number)

    def stop_client(self):
        """A client is frozen for a while."""
        number = self.random.randrange(CLIENTS)
        self._stopped(self.clients[number].pid, number, 4.5)

    def settle(self):
        """Everything is mended; wait until all clients have what the journal has, and nothing more comes."""
        self.hub.wait_line("is armed")
        threading.Event().wait(3.0)
        self.hub.stop()  # its journal is whole now; clients that lack something can ask the next hub
        for name in ("east", "west"):
            (self.folder / f"{name}.mp4").unlink()  # no pictures, no further alerts but the blindness of both
        self.hub = RunningHub(self.site)
        wait_until(lambda: len(self.journal()) == self._fewest_alerts(), 60.0, "that all clients have all alerts")

    def close(self):
        """End all processes."""
        for client in self.clients:
            client.kill()
            client.wait()
        for cable in self.cables:
            cable.close()
        self.hub.stop()

    def journal(self):
        """(epoch, seq) of all alerts, in order."""
        return [(epoch, seq) for kind, epoch, seq, _ in self._rows() if kind == "alert"]

    def acknowledged(self):
        """Incidents with an acknowledgement in the journal."""
        return {incident for kind, _, _, incident in self._rows() if kind == "acknowledgement"}

    def log(self, number):
        """The lines of a client."""
        path = self.folder / f"client-{number}.jsonl"
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]

    def _fewest_alerts(self):
        return min(
            len({tuple(line["alert"]) for line in self.log(number) if "alert" in line}) for number in range(CLIENTS)
        )

    def _rows(self):
        with sqlite3.connect(f"file:{self.folder / 'state' / 'journal.db'}?mode=ro", uri=True) as connection:
            found = connection.execute("SELECT kind, epoch, seq, incident FROM journal ORDER BY row").fetchall()
        connection.close()
        return found

    def _start_client(self, number):
        paths = [str(self.folder / f"client-{number}.{ending}") for ending in ("jsonl", "position")]
        return subprocess.Popen(
            [sys.executable, "-m", "tests.integration.client_process", self.cables[number].endpoint, *paths],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )

    def _stopped(self, pid, client, longest_s):
        begun_s = now_s()
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            threading.Event().wait(self.random.uniform(0.5, longest_s))
            if client is None:
                self.faults.append((begun_s, now_s(), None))
            os.kill(pid, signal.SIGCONT)


def faults_of(chaos):
    """Every way in which the histories break what must hold; and what was counted."""
    journal, acknowledged = chaos.journal(), chaos.acknowledged()
    place = {alert: number for number, alert in enumerate(journal)}
    found = [f"the journal holds {alert} twice" for alert, count in Counter(journal).items() if count > 1]
    answered = 0
    for number in range(CLIENTS):
        log = chaos.log(number)
        found += order_faults(number, log, place)
        found += clear_faults(number, log, chaos.faults)
        for line in log:
            if line.get("accepted"):
                answered += 1
                if line["acknowledged"] not in acknowledged:
                    found.append(f"client {number}: {line['acknowledged']} was answered and is not in the journal")
    return found, {"alerts": len(journal), "answered acknowledgements": answered, **chaos.counts}


def order_faults(number, log, place):
    """Alerts that a client was handed against the order of the journal.

    After a start of the client the next may be any from the one behind the last that is noted as done (its own note may
    be one behind its position file) to the one behind the last that was handed over.
    """
    found, low, last, done, handed = [], 0, -1, -1, set()
    for line in log:
        if "started" in line:
            low = done + 1
        elif "gap" in line:
            found.append(f"client {number}: a gap {line['gap']}")
        elif "done" in line:
            done = place.get(tuple(line["done"]), done)
        elif "alert" in line:
            alert = tuple(line["alert"])
            if alert not in place:
                found.append(f"client {number}: {alert} is not in the journal (journaled {line['journaled']})")
                continue
            if not low <= place[alert] <= last + 1:
                found.append(f"client {number}: {alert} is number {place[alert]}, but {low} to {last + 1} was due")
            last = place[alert]
            low = last + 1
            handed.add(alert)
    if missing := place.keys() - handed:
        found.append(f"client {number}: {len(missing)} alerts were never handed over")
    return found


def clear_faults(number, log, faults):
    """Times at which a client believed CLEAR although it could not know."""
    found = []
    for begun_s, ended_s, whose in faults:
        bad_s = begun_s + UNKNOWN_WITHIN_S
        if ended_s <= bad_s or whose not in (None, number):
            continue
        found += [
            f"client {number}: CLEAR {line['t'] - begun_s:.2f} s after a fault began"
            for line in log
            if bad_s < line["t"] <= ended_s and line.get("state") == "CLEAR"
        ]
        before = [line for line in log if line["t"] <= bad_s and ("section" in line or "started" in line)]
        then = {}
        for line in before:
            then = {} if "started" in line else {**then, line["section"]: line["state"]}
        if "CLEAR" in then.values():
            found.append(f"client {number}: still CLEAR {UNKNOWN_WITHIN_S} s after a fault began: {then}")
    return found


def run(seconds, seed, folder):
    """One run; what broke, and the counts."""
    chaos = Chaos(folder, seed)
    try:
        chaos.run(seconds)
        chaos.settle()
        return faults_of(chaos)
    finally:
        chaos.close()


if __name__ == "__main__":
    seconds_, seed_ = float((sys.argv[1:2] or ["120"])[0]), int((sys.argv[2:3] or ["1"])[0])
    with tempfile.TemporaryDirectory() as folder_:
        broken, counts_ = run(seconds_, seed_, Path(folder_))
    lines = [f"{seconds_:g} s, seed {seed_}: {counts_}", *(broken or ["every history holds"])]
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.exit(bool(broken))
