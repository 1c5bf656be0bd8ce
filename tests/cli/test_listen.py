"""`railwatch listen` as a user starts it: in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest

from railwatch.messaging import wire
from railwatch.messaging.client import Client
from railwatch.messaging.events import StatusReceived
from railwatch.messaging.heartbeat import StatusBody
from tests.messaging.rig import CLEAR, make_alert, publisher


@contextmanager
def listening(root, publishing, *options):
    """A `railwatch listen` that has subscribed."""
    before = publishing.subscribers
    with start(root, publishing.endpoint, publishing.request_endpoint, *options) as process:
        try:
            while not publishing.wait_subscribers(before + 1, 0.1):
                assert process.poll() is None, process.stderr.read().decode()
            yield process
        finally:
            process.kill()


def start(root, here, there, *options):
    command = [sys.executable, "-m", "railwatch", "listen", "--connect", here, "--request-connect", there, *options]
    environment = {**os.environ, "PYTHONPATH": str(root), "COLUMNS": "200"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)


def finish(process):
    out, err = process.communicate(timeout=60)
    return process.returncode, out.decode(), err.decode()


@contextmanager
def deciding(publishing, body):
    """A hub that goes on deciding the same."""
    stop = threading.Event()

    def decide():
        while not stop.wait(0.05):
            publishing.set_status(body)

    thread = threading.Thread(target=decide)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def sent_by_now(publishing, seq):
    """Wait until an alert has been sent, to whoever was there, and nobody listens any more."""
    with Client(publishing.endpoint, publishing.request_endpoint) as client:
        for event in client.events():
            if isinstance(event, StatusReceived) and event.status.seq_last == seq:
                break
    with publishing._changed:  # its going arrives a moment later; who counts subscribers next must not count it
        assert publishing._changed.wait_for(lambda: publishing._subscribers == 0, timeout=10.0)


def test_every_alert_is_the_line_that_was_on_the_wire(root):
    alerts = [make_alert(seq, why="Gämse") for seq in range(1, 21)]
    with publisher() as publishing, listening(root, publishing, "--json", "--count", "20") as process:
        for alert in alerts:
            publishing.publish(alert)
        code, out, err = finish(process)
    lines = [line for line in out.splitlines() if "event" not in json.loads(line)]
    assert lines == [wire.encode_alert(alert).decode() for alert in alerts]
    assert (code, err) == (0, "")


def test_everything_else_is_a_line_with_its_event(root):
    with publisher(lease_s=0.5) as publishing:
        for seq in (1, 2):
            publishing.publish(make_alert(seq))
        sent_by_now(publishing, 2)
        with listening(root, publishing, "--json") as process, deciding(publishing, StatusBody({"s1": CLEAR})):
            seen = []
            wanted = {("section", "CLEAR"), ("gap", None)}
            while not wanted <= {(event.get("event"), event.get("state")) for event in seen}:
                seen.append(json.loads(process.stdout.readline()))
            process.send_signal(signal.SIGTERM)
            code, out, err = finish(process)
    assert {"event": "gap", "epoch": "j.1", "first_missing": 1, "last_missing": 2} in seen
    statuses = [event for event in seen if event.get("event") == "status"]
    assert statuses[-1]["age_s"] < 0.5
    assert wire.decode_status(json.dumps(statuses[-1]["status"]).encode()).seq_last == 2
    assert (code, err) == (0, "")
    assert out == "" or out.endswith("\n")


def test_ctrl_c_ends_it_with_130_and_no_traceback(root):
    with publisher() as publishing, listening(root, publishing, "--json") as process:
        process.send_signal(signal.SIGINT)
        code, out, err = finish(process)
    assert (code, err) == (130, "")
    assert all(json.loads(line) for line in out.splitlines())


def test_text_for_people_when_it_is_no_terminal(root):
    with publisher() as publishing, listening(root, publishing, "--count", "1") as process:
        publishing.publish(make_alert(1, why="a cow \x1b[2J on the track"))
        code, out, _ = finish(process)
    assert code == 0
    assert "alert 1 WARNING INTRUSION OPENED section s1: a cow \N{REPLACEMENT CHARACTER}[2J on the track\n" in out


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are of Unix")
def test_a_live_table_in_a_terminal(root):
    import pty

    ours, theirs = pty.openpty()
    with publisher(lease_s=0.5) as publishing:
        command = [sys.executable, "-m", "railwatch", "listen", "--connect", publishing.endpoint]
        command += ["--request-connect", publishing.request_endpoint, "--count", "1"]
        environment = {**os.environ, "PYTHONPATH": str(root), "TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
        with subprocess.Popen(
            command, stdout=theirs, stderr=theirs, stdin=subprocess.DEVNULL, env=environment
        ) as process:
            os.close(theirs)
            try:
                while not publishing.wait_subscribers(1, 0.1):
                    assert process.poll() is None
                shown = b""
                with deciding(publishing, StatusBody({"s1": CLEAR})):
                    while b"CLEAR" not in shown:
                        shown += os.read(ours, 4096)
                publishing.publish(make_alert(1, why="a cow"))
                while b"a cow" not in shown:
                    shown += os.read(ours, 4096)
                assert process.wait(60) == 0
            finally:
                process.kill()
                os.close(ours)
    assert b"open incidents" in shown
    assert b"UNKNOWN" in shown


def test_it_may_start_first_and_copes_with_restarts(root):
    with publisher() as first:
        here, there = first.endpoint, first.request_endpoint
    with start(root, here, there, "--json", "--count", "3") as process:
        try:
            for seqs in ((1, 2), (1,)):
                with publisher(bind=here, request_bind=there) as publishing:
                    while not publishing.wait_subscribers(1, 0.1):
                        assert process.poll() is None, process.stderr.read().decode()
                    for seq in seqs:
                        publishing.publish(make_alert(seq, why=str(time.monotonic())))
            code, out, err = finish(process)
        finally:
            process.kill()
    events = [json.loads(line) for line in out.splitlines()]
    assert [event["seq"] for event in events if "event" not in event] == [1, 2, 1]
    assert {"event": "restart", "previous": "j.1", "epoch": "j.1"} in events
    assert (code, err) == (0, "")


def test_it_ends_after_the_seconds_given(root):
    with publisher() as publishing, listening(root, publishing, "--json", "--for", "0.2") as process:
        assert finish(process)[0] == 0


@pytest.mark.parametrize("endpoint", ["nonsense", "tcp://127.0.0.1", "ipc:///tmp/x", "tcp://nowhere.invalid:5556"])
def test_a_bad_endpoint_is_one_clear_line_and_exit_code_5(root, endpoint):
    with start(root, endpoint, "tcp://127.0.0.1:5557") as process:
        code, out, err = finish(process)
    assert (code, out) == (5, "")
    assert err.startswith("railwatch: connect must")
    assert err.count("\n") == 1


def test_a_reader_that_goes_away_ends_it_quietly(root):
    with publisher(lease_s=0.25) as publishing, listening(root, publishing, "--json") as process:
        process.stdout.readline()
        process.stdout.close()
        process.stdout = None
        assert process.wait(60) == 0
        assert process.stderr.read() == b""
