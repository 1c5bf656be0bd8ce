"""The self-test through the whole chain: camera, detector, decision, journal, socket, subscriber; with keys."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys

import yaml

from railwatch.core.alerts import Action, AlertKind, CameraState
from railwatch.messaging.events import AlertReceived
from railwatch.messaging.keys import ClientKeys, KeyStore
from railwatch.messaging.roles import Role
from tests.hub_rig import CLEAR, ROOT, UNKNOWN, Follower, RunningHub, free_port, wait_until, write_site

MODEL = ROOT / "models" / "railwatch-nano.onnx"
CLIP = ROOT / "scenes" / "clips" / "nobody.mp4"


def rendered_site(folder):
    """The empty track of the rendered clip `nobody`, with keys and a self-test every second."""
    truth = json.loads(CLIP.with_name("nobody.truth.json").read_text(encoding="utf-8"))
    polygon = next(zone["polygon_norm"] for zone in truth["zones"] if zone["kind"] == "track")
    store = KeyStore(folder / "keys")
    reader = ClientKeys.load(store.new("reader", Role.SUBSCRIBER, folder / "reader.key"))
    site = {
        "schema_version": 1,
        "site_id": "yard",
        "severity_without_trains": "WARNING",
        "cameras": [{"camera_id": "east", "source": str(CLIP)}],
        "sections": ["main"],
        "zones": [
            {"zone_id": "t", "camera_id": "east", "section_id": "main", "kind": "track", "polygon": polygon},
        ],
        "model": {"file": str(MODEL), "sha256": hashlib.sha256(MODEL.read_bytes()).hexdigest(), "threads": 1},
        "self_test": {"interval_s": 1.0, "within_s": 10.0},
        "messaging": {"bind": f"tcp://127.0.0.1:{free_port()}", "keys": "keys"},
    }
    path = folder / "site.yaml"
    path.write_text(yaml.safe_dump(site), encoding="utf-8")
    return path, reader, site["messaging"]["bind"]


def probe_with(folder, endpoint, *arguments):
    """`railwatch probe` as an operator would run it."""
    key = folder / "operator.key"
    if not key.exists():
        KeyStore(folder / "keys").new("operator", Role.OPERATOR, key)
    command = [sys.executable, "-m", "railwatch", "probe", *arguments, "--connect", endpoint, "--keys", str(key)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=120, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )


def told_of_tests(client):
    alerts = [event.alert for _, event in client.events if isinstance(event, AlertReceived)]
    return [(alert.action, alert) for alert in alerts if alert.kind is AlertKind.TEST]


def test_a_person_put_into_the_pictures_is_told_and_heard_and_nothing_else_is(tmp_path):
    path, reader, endpoint = rendered_site(tmp_path)
    with RunningHub(path) as hub, Follower(endpoint, keys=reader) as client:
        wait_until(lambda: len(told_of_tests(client)) >= 4, what="two self-tests")
        (first, opened), (second, closed) = told_of_tests(client)[:2]
        assert (first, second) == (Action.OPENED, Action.CLOSED)
        assert "heard by a subscriber" in closed.why
        assert [item.group for item in opened.objects] == ["person"]
        alerts = [event.alert for _, event in client.events if isinstance(event, AlertReceived)]
        # A machine that is too busy to look at the camera says so, whatever is tested.
        busy = ("frames a second are looked at", "nothing was heard of the camera")
        others = [alert for alert in alerts if not any(words in alert.why for words in busy)]
        assert {alert.kind for alert in others if alert.action is Action.OPENED} == {AlertKind.TEST}, others
        wait_until(lambda: client.statuses()[-1].cameras["east"].self_test is not None, what="a Status that tells it")
        told = client.statuses()[-1].cameras["east"].self_test
        assert told.runs >= 1
        assert told.misses == 0
        assert 0.0 < told.p50_s <= told.p95_s < 10.0
        assert client.state("main") is CLEAR
        said = probe_with(tmp_path, endpoint, "east", "--json")
        assert said.returncode == 0, said.stderr
        document = json.loads(said.stdout)
        assert (document["camera_id"], document["passed"], document["misses"]) == ("east", True, 0)
        assert document["arrived_s"] > 0.0
        refused = probe_with(tmp_path, endpoint, "nobody")
        assert (refused.returncode, refused.stdout) == (5, "")
        assert "a camera that is tried by self-tests must be named: east" in refused.stderr
        assert hub.stop() == 0


def test_a_camera_whose_detector_does_not_see_the_person_is_blind(tmp_path):
    """This detector sees bright spots only: on people it is blind, and nothing but the self-test can know."""
    path = write_site(tmp_path, persons=(False,) * 20)
    path.write_text(path.read_text(encoding="utf-8") + "self_test: {interval_s: 2, within_s: 2.5}\n", encoding="utf-8")
    with RunningHub(path) as hub, Follower(hub.endpoint) as client:
        client.wait_state("s-east", CLEAR)
        client.wait_state("s-east", UNKNOWN)
        camera = wait_until_blind(client)
        assert camera.reason.startswith("self-test failed 2 times: the person who was put into its pictures")
        assert camera.self_test.misses >= 2


def wait_until_blind(client):
    def blind():
        found = client.statuses()[-1].cameras["east"]
        return found if found.state is CameraState.BLIND else None

    wait_until(lambda: blind() is not None, what="a blind camera")
    return blind()
