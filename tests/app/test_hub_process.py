"""The hub and its workers as the processes that they are."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tests.hub_rig import CLEAR, OCCUPIED, ROOT, UNKNOWN, Follower, RunningHub, alive, stopped, wait_until, write_site

NOBODY = (False,) * 20


@pytest.fixture
def quiet_site(tmp_path):
    """A site on whose track nobody ever is."""
    return write_site(tmp_path / "quiet", persons=NOBODY)


def test_a_worker_that_dies_or_hangs_blinds_its_section_and_comes_back(quiet_site):
    with RunningHub(quiet_site) as hub, Follower(hub.endpoint) as client:
        client.wait_state("s-east", CLEAR)
        os.kill(hub.workers()[0], signal.SIGKILL)
        client.wait_state("s-east", UNKNOWN)
        client.wait_state("s-east", CLEAR)
        (pid,) = hub.workers()
        with stopped(pid):
            client.wait_state("s-east", UNKNOWN)
            wait_until(lambda: not alive(pid), what="the end of a worker that hangs")
        client.wait_state("s-east", CLEAR)
        assert any("was killed by SIGKILL" in line for line in hub.lines)
        assert any("gave no sign of life" in line for line in hub.lines)


def test_a_crash_blinds_only_the_cameras_of_its_group(tmp_path):
    site = write_site(tmp_path, ("east", "west"), groups={"east": "one", "west": "two"}, persons=NOBODY)
    with RunningHub(site) as hub, Follower(hub.endpoint) as client:
        client.wait_state("s-east", CLEAR)
        client.wait_state("s-west", CLEAR)
        line = next(line for line in hub.lines if line.startswith("worker one started"))
        os.kill(int(line.rpartition(" ")[2]), signal.SIGKILL)
        client.wait_state("s-east", UNKNOWN)
        assert client.state("s-west") is CLEAR


def test_the_hub_ends_in_order_and_takes_its_workers_along(quiet_site):
    with RunningHub(quiet_site) as hub, Follower(hub.endpoint) as client:
        client.wait_state("s-east", CLEAR)
        workers = hub.workers()
        assert hub.stop() == 0
        assert not any(map(alive, workers))
        client.wait_state("s-east", UNKNOWN, timeout_s=2.0)


def test_a_worker_does_not_outlive_a_hub_that_is_killed(quiet_site):
    with RunningHub(quiet_site) as hub:
        hub.wait_line("is armed")
        (pid,) = hub.workers()
        hub.send(signal.SIGKILL)
        wait_until(lambda: not alive(pid), what="the end of the orphan")


LISTING = """
import atexit, runpy, sys
atexit.register(lambda: sys.stderr.write("LOADED " + " ".join(sorted(sys.modules)) + "\\n"))
sys.argv[0] = "railwatch"
runpy.run_module("railwatch", run_name="__main__")
"""


def test_the_hub_loads_nothing_that_can_crash_or_hang(quiet_site):
    with RunningHub(quiet_site, program=("-c", LISTING)) as hub:
        hub.wait_line("is armed")
        hub.stop()
        names = set(next(line for line in hub.lines if line.startswith("LOADED")).split()[1:])
    assert "railwatch.app.hub" in names
    native = {f"railwatch.evidence.{name}" for name in ("recording", "clip", "overlay", "video", "chart")}
    assert not names & {"cv2", "av", "onnxruntime", "railwatch.perception", "torch", *native}


def test_two_hubs_never_share_a_state_folder(quiet_site):
    with RunningHub(quiet_site) as hub:
        hub.wait_line("alerts at")
        second = run_once(quiet_site)
    assert second.returncode == 2
    assert "another one uses it (process" in second.stderr


def test_what_cannot_be_armed_is_told_in_one_line(quiet_site):
    text = quiet_site.read_text(encoding="utf-8")
    pinned = text.partition('sha256: "')[2].partition('"')[0]
    quiet_site.write_text(text.replace(f', sha256: "{pinned}"', ""), encoding="utf-8")
    done = run_once(quiet_site)
    assert (done.returncode, "must give model.sha256" in done.stderr) == (2, True)
    quiet_site.write_text(text.replace(pinned, "f" * 64), encoding="utf-8")
    done = run_once(quiet_site)
    assert done.returncode == 4
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("railwatch: ")
    assert "SHA-256" in done.stderr.splitlines()[-1]


def test_a_recording_replays_to_the_same_alerts(tmp_path):
    site = write_site(tmp_path)
    record = tmp_path / "inputs.jsonl"
    with RunningHub(site, "--record", str(record)) as hub, Follower(hub.endpoint) as client:
        client.wait_state("s-east", OCCUPIED)
        os.kill(hub.workers()[0], signal.SIGKILL)
        hub.wait_line("INTRUSION CLOSED")
        hub.stop()
        sent = [event.payload.decode() for _, event in client.events if hasattr(event, "alert")]
    sent = [line.replace('"journaled":true', '"journaled":false') for line in sent]  # a replay writes no journal
    done = subprocess.run(
        [sys.executable, "-m", "railwatch", "replay", str(record)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    replayed = [line.rpartition(',"t_s":')[0] + "}" for line in done.stdout.splitlines()]
    assert len(sent) >= 3
    assert replayed[: len(sent)] == sent


def run_once(site):
    return subprocess.run(
        [sys.executable, "-m", "railwatch", "run", str(site)],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
