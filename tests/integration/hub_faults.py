"""How soon clients say UNKNOWN when the hub, a worker, the cable or they themselves fail; with figures.

    PYTHONPATH=. python tests/integration/hub_faults.py [RUNS] [CLIENT_STOPPED_S]

Needs Linux; the pulled cable also needs root and `ip` (Debian: iproute2), the jump of the clock `faketime`.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from railwatch.core.alerts import AlertKind
from railwatch.messaging.events import AlertReceived, SectionChanged
from tests.hub_rig import CLEAR, ROOT, UNKNOWN, Follower, RunningHub, alive, stopped, wait_until, write_site
from tests.integration.cable import Cable

SECTION = "s-east"
NOBODY = (False,) * 20
COMING_AND_GOING = (True,) * 10 + (False,) * 12
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")


@contextmanager
def quiet_site(folder, clients=3, persons=NOBODY, **options):
    """A hub whose section is CLEAR for `clients` clients."""
    with ExitStack() as stack:
        hub = stack.enter_context(RunningHub(write_site(folder, persons=persons), **options))
        followers = [stack.enter_context(Follower(hub.endpoint)) for _ in range(clients)]
        hub.wait_line("is armed")
        for follower in followers:
            follower.wait_state(SECTION, CLEAR)
        yield hub, followers


def until_unknown(followers, begun_s):
    """Seconds from `begun_s` until each client said UNKNOWN, the first time."""
    for follower in followers:
        follower.wait_state(SECTION, UNKNOWN, timeout_s=30.0)
    return [min(t_s for t_s in said(follower, UNKNOWN) if t_s >= begun_s) - begun_s for follower in followers]


def unknown_for_good(followers, begun_s):
    """Seconds from `begun_s` until each client said UNKNOWN and nothing after it, and whether it is so.

    An echo that was under way when the hub failed may still count, for as long as its lease runs: so the last word.
    """
    last = [max(t_s for t_s in said(follower, UNKNOWN) if t_s >= begun_s) for follower in followers]
    kept = all(t_s < unknown_s for f, unknown_s in zip(followers, last, strict=True) for t_s in said(f, CLEAR))
    return [unknown_s - begun_s for unknown_s in last], kept


def said(follower, state):
    """When a client said that the section is in a state."""
    return [t_s for t_s, event in follower.events if isinstance(event, SectionChanged) and event.state is state]


def hub_frozen(folder, frozen_s):
    """Seconds to UNKNOWN of each client of a hub that is stopped, whether none said CLEAR, and back after waking."""
    with quiet_site(folder) as (hub, followers):
        begun_s = time.monotonic()
        with stopped(hub.process.pid):
            until_unknown(followers, begun_s)
            threading.Event().wait(max(0.0, begun_s + frozen_s - time.monotonic()))
            took, kept = unknown_for_good(followers, begun_s)
        woken_s = time.monotonic()
        for follower in followers:
            follower.wait_state(SECTION, CLEAR)
        return took, kept, time.monotonic() - woken_s


def hub_killed(folder):
    """Seconds to UNKNOWN of each client of a hub that is killed, and whether none said CLEAR for 4 s."""
    with quiet_site(folder) as (hub, followers):
        begun_s = time.monotonic()
        hub.send(signal.SIGKILL)
        until_unknown(followers, begun_s)
        threading.Event().wait(max(0.0, begun_s + 4.0 - time.monotonic()))
        return unknown_for_good(followers, begun_s)


def worker_lost(folder, number, counts=1):
    """(seconds to UNKNOWN, seconds back to CLEAR) for a worker that gets the signal `number`, `counts` times."""
    results = []
    with quiet_site(folder, clients=1) as (hub, (follower,)):
        for _ in range(counts):
            begun_s = time.monotonic()
            (pid,) = hub.workers()
            os.kill(pid, number)
            (took,) = until_unknown([follower], begun_s)
            follower.wait_state(SECTION, CLEAR)
            results.append((took, time.monotonic() - begun_s))
            wait_until(lambda: not alive(pid))  # noqa: B023 - waited for in the same turn
    return results


def client_stopped(folder, stopped_s):
    """States that a client process writes after it was stopped for so long, and the seconds until the first CLEAR."""
    log = folder / "client.jsonl"
    with quiet_site(folder, clients=0, persons=COMING_AND_GOING) as (hub, _):
        command = [sys.executable, "-m", "tests.integration.client_process", hub.endpoint, str(log)]
        client = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
        try:
            wait_until(lambda: log.exists() and '"CLEAR"' in log.read_text("utf-8"), what="a first CLEAR")
            with stopped(client.pid):
                before = len(log.read_text("utf-8").splitlines())
                threading.Event().wait(stopped_s)
            woken_s = time.clock_gettime(time.CLOCK_BOOTTIME)
            wait_until(lambda: '"CLEAR"' in "".join(log.read_text("utf-8").splitlines()[before:]), what="a CLEAR again")
        finally:
            client.kill()
            client.wait()
        lines = [json.loads(line) for line in log.read_text("utf-8").splitlines()[before:]]
    states = [line["state"] for line in lines if "section" in line]
    return states, next(line["t"] for line in lines if line.get("state") == "CLEAR") - woken_s


def cable_pulled(folder):
    """Seconds to UNKNOWN of a client in another network namespace whose cable is pulled, and back to CLEAR."""
    name, log = f"rw{os.getpid() % 100000}", folder / "client.jsonl"
    ip = ["ip"]
    setup = [
        ["netns", "add", name],
        ["link", "add", f"{name}h", "type", "veth", "peer", "name", f"{name}c"],
        ["link", "set", f"{name}c", "netns", name],
        ["addr", "add", "10.213.7.1/30", "dev", f"{name}h"],
        ["link", "set", f"{name}h", "up"],
        ["-n", name, "addr", "add", "10.213.7.2/30", "dev", f"{name}c"],
        ["-n", name, "link", "set", f"{name}c", "up"],
        ["-n", name, "link", "set", "lo", "up"],
    ]
    client = cable = None
    with quiet_site(folder, clients=0) as (hub, _):
        try:
            for words in setup:
                subprocess.run([*ip, *words], check=True, capture_output=True)
            cable = Cable(int(hub.endpoint.rpartition(":")[2]), host="10.213.7.1")  # hub binds loopback: hand it on
            command = [sys.executable, "-m", "tests.integration.client_process", f"tcp://10.213.7.1:{cable.port}"]
            client = subprocess.Popen(
                [*ip, "netns", "exec", name, *command, str(log)], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
            )
            wait_until(lambda: last_state(log) == "CLEAR", what="a first CLEAR")
            begun_s = time.clock_gettime(time.CLOCK_BOOTTIME)
            subprocess.run([*ip, "link", "set", f"{name}h", "down"], check=True)
            wait_until(lambda: last_state(log) == "UNKNOWN", what="UNKNOWN")
            threading.Event().wait(3.0)
            kept = last_state(log) == "UNKNOWN"
            took = last_time(log) - begun_s
            subprocess.run([*ip, "link", "set", f"{name}h", "up"], check=True)
            mended_s = time.clock_gettime(time.CLOCK_BOOTTIME)
            wait_until(lambda: last_state(log) == "CLEAR", 60.0, "CLEAR after the cable was mended")
            return took, kept, last_time(log) - mended_s
        finally:
            for process in (client,):
                if process is not None:
                    process.kill()
                    process.wait()
            if cable is not None:
                cable.close()
            subprocess.run([*ip, "link", "del", f"{name}h"], check=False, capture_output=True)
            subprocess.run([*ip, "netns", "del", name], check=False, capture_output=True)


def clock_jumped(folder, tries=3):
    """Let the wall clock of a hub jump an hour ahead and back; its alerts, and whether a jump each way went unnoticed.

    A machine that is too busy to watch says UNKNOWN as well: up to `tries` jumps are made each way, and a hub that
    looked at the wall clock would notice every one of them.
    """
    folder.mkdir(parents=True)
    offset = folder / "offset"
    offset.write_text("+0", encoding="utf-8")
    environment = {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_CACHE_DURATION": "1",
    }
    site = write_site(folder, persons=COMING_AND_GOING)
    unnoticed = {1: False, 0: False}
    with RunningHub(site, environment=environment) as hub, Follower(hub.endpoint) as client:
        client.wait_state(SECTION, CLEAR)
        wait_until(lambda: intrusions(client), what="an alert before the jump")
        for hours in (1, 0) * tries:
            count, jumped_s = len(intrusions(client)), time.monotonic()
            offset.write_text(f"{hours * 3600:+d}", encoding="utf-8")
            wait_until(lambda: len(intrusions(client)) >= count + 4, what="alerts after the jump")  # noqa: B023
            changes = [e.state for t_s, e in client.events if t_s > jumped_s and isinstance(e, SectionChanged)]
            unnoticed[hours] |= UNKNOWN not in changes
            if all(unnoticed.values()):
                break
        return alerts(client), all(unnoticed.values())


def jumps(told):
    """The steps, in hours, in the time that alerts bear."""
    times = [datetime.fromisoformat(alert.published_at) for alert in told]
    hours = [round((after - before).total_seconds() / 3600) for before, after in pairwise(times)]
    return [step for step in hours if step]


def alerts(client):
    """The alerts that a client was handed."""
    return [event.alert for _, event in client.events if isinstance(event, AlertReceived)]


def intrusions(client):
    """Those about people on the track."""
    return [alert for alert in alerts(client) if alert.kind is AlertKind.INTRUSION]


def last_state(log):
    """The last state in the log of a client process."""
    found = [line for line in log.read_text("utf-8").splitlines() if '"section"' in line] if log.exists() else []
    return found[-1].rpartition('"state": "')[2].partition('"')[0] if found else ""


def last_time(log):
    """When that was."""
    found = [line for line in log.read_text("utf-8").splitlines() if '"section"' in line]
    return float(found[-1].partition('"t": ')[2].partition(",")[0])


def can_pull_cables():
    """Whether this user may make network namespaces here."""
    return shutil.which("ip") is not None and os.geteuid() == 0


def say(text):
    """One line."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _row(name, times):
    say(f"{name:36} {len(times):3}  {statistics.median(times):6.2f}  {max(times):6.2f}")


def main(runs=5, client_stopped_s=60.0):
    """Print a line for each fault: runs, median and longest time in seconds."""
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        say(f"{'seconds':36} {'n':>3}  median     max")
        frozen = [hub_frozen(folder / f"f{n}", 4.0) for n in range(runs)]
        _row("hub frozen: to UNKNOWN", [s for took, _, _ in frozen for s in took])
        _row("hub frozen: back after waking", [back for _, _, back in frozen])
        killed = [hub_killed(folder / f"k{n}") for n in range(runs)]
        _row("hub killed: to UNKNOWN", [s for took, _ in killed for s in took])
        dead = [row for n in range(runs) for row in worker_lost(folder / f"w{n}", signal.SIGKILL)]
        _row("worker killed: to UNKNOWN", [took for took, _ in dead])
        _row("worker killed: back to CLEAR", [back for _, back in dead])
        hung = [row for n in range(runs) for row in worker_lost(folder / f"h{n}", signal.SIGSTOP)]
        _row("worker hung: to UNKNOWN", [took for took, _ in hung])
        _row("worker hung: back to CLEAR", [back for _, back in hung])
        all_kept = all([kept for _, kept, _ in frozen] + [kept for _, kept in killed])
        say(f"CLEAR said after it: {not all_kept}")
        if can_pull_cables():
            pulled = [cable_pulled(folder / f"c{n}") for n in range(runs)]
            _row("cable pulled: to UNKNOWN", [took for took, _, _ in pulled])
            _row("cable mended: back to CLEAR", [back for _, _, back in pulled])
            say(f"CLEAR said after it: {not all(kept for _, kept, _ in pulled)}")
        states, back = client_stopped(folder / "s", client_stopped_s)
        say(f"client stopped {client_stopped_s:g} s: says {states[:3]}, CLEAR {back:.2f} s after waking")
        if FAKETIME.exists():
            told, unnoticed = clock_jumped(folder / "jump")
            whole = [alert.seq for alert in told] == list(range(1, len(told) + 1))
            say(f"clock jumped by {jumps(told)} h: unnoticed: {unnoticed}, numbers whole: {whole}")


if __name__ == "__main__":
    main(*(kind(word) for kind, word in zip((int, float), sys.argv[1:], strict=False)))
