"""A change of the configuration of a running hub: all of it, or nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from railwatch.messaging.events import StatusReceived
from tests.hub_rig import CLEAR, OCCUPIED, ROOT, UNKNOWN, Follower, RunningHub, wait_until, write_scene, write_site

SOMEBODY = (True,) * 20


def reload(site):
    return subprocess.run(
        [sys.executable, "-m", "railwatch", "reload", str(site)],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip


def revisions(client):
    return list(dict.fromkeys(e.status.config_rev for _, e in client.events if isinstance(e, StatusReceived)))


@pytest.fixture
def site(tmp_path):
    return write_site(tmp_path / "site", ("east", "west"), persons=SOMEBODY)


def test_zones_change_without_a_break_and_faults_change_nothing(site):
    text = site.read_text(encoding="utf-8")
    with RunningHub(site) as hub, Follower(hub.endpoint) as client:
        client.wait_state("s-east", OCCUPIED)
        workers = hub.workers()
        site.write_text(text.replace("[0, 0], [1, 0], [1, 1], [0, 1]", "[0, 0], [1, 0], [1, 1], [0, 0.9]"), "utf-8")
        done = reload(site)
        assert (done.returncode, done.stderr) == (0, "")
        wait_until(lambda: len(revisions(client)) == 2)
        assert revisions(client)[1] in done.stdout
        site.write_text(text.replace("sections: [", "sections: [nowhere, "), encoding="utf-8")
        done = reload(site)
        assert (done.returncode, "nowhere" in done.stderr) == (2, True)
        hub.send(signal.SIGHUP)
        hub.wait_line("the configuration stays")
        site.write_text(text.replace("site_id: yard", "site_id: other"), encoding="utf-8")
        done = reload(site)
        assert (done.returncode, "site_id must stay" in done.stderr) == (2, True)
        assert hub.workers() == workers
        assert len(revisions(client)) == 2
        told = [line for line in hub.lines if "INTRUSION" in line]
        assert len(told) == 2, told  # nobody left, nobody came: one incident a section, from beginning to end


def test_cameras_come_and_go(site):
    text = site.read_text(encoding="utf-8")
    write_scene(site.parent / "north.mp4", (False,) * 20)
    with RunningHub(site) as hub, Follower(hub.endpoint) as client:
        client.wait_state("s-west", OCCUPIED)
        workers = hub.workers()
        site.write_text(text.replace("west", "north"), encoding="utf-8")
        assert reload(site).returncode == 0
        client.wait_state("s-north", CLEAR)
        assert client.state("s-west") is UNKNOWN
        assert client.state("s-east") is OCCUPIED
        assert hub.workers() == workers


def test_another_model_comes_with_a_worker_that_is_ready_before_it_takes_over(site):
    text = site.read_text(encoding="utf-8")
    with RunningHub(site) as hub, Follower(hub.endpoint) as client:
        client.wait_state("s-east", OCCUPIED)
        workers = hub.workers()
        site.write_text(text.replace("threads: 1", "threads: 1, confidence: 0.2"), encoding="utf-8")
        assert reload(site).returncode == 0
        wait_until(lambda: not set(hub.workers()) & set(workers))
        assert len(hub.workers()) == 1
        (site.parent / "seer.onnx").write_bytes(b"not the file that was approved")
        site.write_text(text.replace("threads: 1", "threads: 1, confidence: 0.3"), encoding="utf-8")
        done = reload(site)
        assert (done.returncode, "cannot do what the new file asks" in done.stderr) == (2, True), done.stderr
        wait_until(lambda: len(hub.workers()) == 1)
        assert client.state("s-east") is OCCUPIED
        told = [line for line in hub.lines if "BLINDNESS" in line or "INTRUSION CLOSED" in line]
        assert told == []


def test_without_a_hub_there_is_nobody_to_ask(site):
    done = reload(site)
    assert (done.returncode, "none does" in done.stderr) == (2, True)
