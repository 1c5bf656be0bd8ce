"""`railwatch cameras find` on a network of its own with devices that answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager

import pytest

from railwatch.app import camera_find
from railwatch.app.camera_find import FoundCamera, camera_of, find_cameras
from railwatch.core.errors import InstallError, SourceError
from tests.hub_rig import ROOT
from tests.rtsp_rig import cable, why_no_cable


@contextmanager
def devices(*options):
    """A network with devices behind a cable; the host they have."""
    if reason := why_no_cable():
        pytest.skip(reason)
    with cable() as far:
        command = [*far.wrap, sys.executable, str(ROOT / "tests" / "onvif_devices.py"), far.host, *options]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            assert process.stdout.readline() == "READY\n"
            yield far.host
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def find(*options):
    command = [sys.executable, "-m", "railwatch", "cameras", "find", *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_cameras_are_found_and_nothing_else_is():
    with devices() as host:
        done = find("--within", "2", "--json")
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    here = [item for item in found if any(host in address for address in item["addresses"])]
    assert here == [
        {
            "addresses": [f"http://{host}:800{number}/onvif/service"],
            "name": name,
            "hardware": "X1",
            "location": "Platform 2",
        }
        for number, name in ((1, "Gate east"), (2, "Yard??"))
    ]


def test_a_device_that_breaks_every_rule_gives_one_line_and_no_traceback():
    with devices("--hostile") as host:
        done = find("--within", "1.5")
    assert "Traceback" not in done.stderr
    assert f"http://{host}/onvif  <b>?[31m" in done.stdout.splitlines()


def test_where_nobody_answers_or_nothing_is_installed_it_is_said(monkeypatch):
    monkeypatch.setattr(camera_find, "find_spec", lambda _: None)
    with pytest.raises(InstallError, match=r"railwatch\[onvif\]"):
        find_cameras(1.0)
    monkeypatch.undo()
    monkeypatch.setattr(camera_find.sys, "executable", "/bin/false")
    with pytest.raises(SourceError, match="no word"):
        find_cameras(1.0)
    monkeypatch.setattr(camera_find.sys, "executable", "/nowhere")
    with pytest.raises(SourceError, match="FileNotFoundError"):
        find_cameras(1.0)


def test_what_a_camera_says_is_shown_in_bounds():
    scopes = [
        "onvif://www.onvif.org/name/" + "x" * 1000,
        "onvif://other/name/no",
        "onvif://www.onvif.org/hardware/%0d%0a",
    ]
    found = camera_of({"addresses": [f"http://{number}" for number in range(50)], "scopes": scopes})
    assert found == FoundCamera(tuple(f"http://{number}" for number in range(8)), "x" * 200, "??", "")
