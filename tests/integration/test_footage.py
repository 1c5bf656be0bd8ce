"""The main job on real footage, with a subscriber in another process. Needs ../shared; skips without it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import replace

import pytest

from railwatch.app.record import read_record
from railwatch.config import site_from_mapping
from railwatch.core.alerts import Action, AlertKind
from railwatch.decision.step import start, step

pytestmark = pytest.mark.timeout(600)
CLOCKS = ("captured_at", "published_at")


def railwatch(root, *arguments, **options):
    environment = {**os.environ, "PYTHONPATH": str(root)}
    command = [sys.executable, "-m", "railwatch", *map(str, arguments)]
    return subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
    )


def watch(root, shared, clip, *options):
    """Watch a clip to its end; returns what was printed on stdout and on stderr."""
    model = shared / "models" / "yolox_nano_416.onnx"
    source = shared / "data" / "video" / clip
    with railwatch(root, "watch", source, "--model", model, "--bind", "tcp://127.0.0.1:*", *options) as process:
        try:
            out, err = process.communicate(timeout=280)
        finally:
            process.kill()
    assert process.returncode == 0, err
    return out, err


@pytest.fixture(scope="module")
def visits(root, shared, tmp_path_factory):
    """One-by-one, watched with `railwatch listen` beside it: (alert log, lines the listener printed, recording)."""
    folder = tmp_path_factory.mktemp("visits")
    with ExitStack() as stack:
        watching = stack.enter_context(
            railwatch(
                root, "watch", shared / "data" / "video" / "one-by-one-person-detection.mp4",
                "--model", shared / "models" / "yolox_nano_416.onnx", "--bind", "tcp://127.0.0.1:*",
                "--wait-subscribers", "1", "--jsonl", folder / "alerts.jsonl", "--record", folder / "inputs.jsonl",
            )
        )  # fmt: skip
        stack.callback(watching.kill)
        endpoint, nonces = next(
            found.groups()
            for line in watching.stderr
            if (found := re.search(r"alerts at (\S+), nonces at (\S+)", line))
        )
        listening = stack.enter_context(
            railwatch(root, "listen", "--json", "--connect", endpoint, "--request-connect", nonces)
        )
        stack.callback(listening.kill)
        lines = []
        reader = threading.Thread(target=lambda: lines.extend(listening.stdout), daemon=True)
        reader.start()
        watching.communicate(timeout=280)
        log = (folder / "alerts.jsonl").read_text()
        # The last Status says UNKNOWN, for nobody watches any more: all alerts came before it.
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and not _is_over(lines, len(log.splitlines())):
            time.sleep(0.1)
        listening.terminate()
        reader.join(timeout=20)
    assert watching.returncode == 0
    return log, lines, folder / "inputs.jsonl"


def _is_over(lines, alerts):
    return sum("alert_id" in line for line in lines) >= alerts and bool(lines) and '"UNKNOWN"' in lines[-1]


def test_every_alert_arrives_in_another_process_in_order_without_a_hole(visits):
    log, lines, _ = visits
    sent = [json.loads(line) for line in log.splitlines()]
    received = [json.loads(line) for line in lines if "alert_id" in line]
    assert received == [{key: value for key, value in alert.items() if key != "t_s"} for alert in sent]
    assert [alert["seq"] for alert in received] == list(range(1, len(sent) + 1))
    assert len(sent) >= 12


def test_the_listener_believed_clear_between_the_visits_and_unknown_at_the_end(visits):
    states = [json.loads(line).get("state") for line in visits[1] if '"section"' in line and "alert_id" not in line]
    assert "CLEAR" in states
    assert "OCCUPIED" in states
    assert states[-1] == "UNKNOWN"


@pytest.mark.parametrize("off_delay_s", [0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0])
def test_six_people_are_six_incidents_at_every_off_delay(visits, tmp_path, off_delay_s):
    header, inputs = read_record(visits[2])
    site = site_from_mapping(header.site, tmp_path)
    site = replace(site, incidents=replace(site.incidents, off_delay_s=off_delay_s))
    state, told = start(site, header.epoch, header.model_sha256, header.started_s), []
    for stamped in inputs:
        state, alerts = step(state, stamped)
        told += [alert.action for alert in alerts if alert.kind is AlertKind.INTRUSION]
    assert told.count(Action.OPENED) == 6
    assert told.count(Action.CLOSED) == 6


def test_replay_prints_the_same_bytes(root, visits):
    log, _, recording = visits
    with railwatch(root, "replay", recording) as process:
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert out == log


def test_cars_raise_no_alert(root, shared, tmp_path):
    watch(root, shared, "car-detection.mp4", "--jsonl", tmp_path / "alerts.jsonl")
    assert (tmp_path / "alerts.jsonl").read_text() == ""


def test_a_busy_place_is_occupied_throughout_and_twice_the_same(root, shared, tmp_path):
    zone = "track:0,0.45 1,0.45 1,0.75 0,0.75"
    logs = []
    for name in ("first", "second"):
        out, _ = watch(root, shared, "vtest.avi", "--zone", zone, "--jsonl", tmp_path / name)
        assert "sections: section UNKNOWN > OCCUPIED\n" in out
        lines = [json.loads(line) for line in (tmp_path / name).read_text().splitlines()]
        logs.append([{key: value for key, value in line.items() if key not in CLOCKS} for line in lines])
    assert logs[0] == logs[1]
    assert logs[0][0]["action"] == "OPENED"
