"""A site with a real RTSP camera: the camera as a process of its own, and what is needed to make it fail."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from tests.camera_clip import camera_clip
from tests.hub_rig import ROOT, free_port

MODEL = ROOT / "models" / "railwatch-nano.onnx"
SYSTEM_PYTHON = "/usr/bin/python3"
SERVER = ROOT / "tests" / "rtsp_camera.py"


def why_no_camera():
    """Why there is no RTSP camera on this machine; empty when there is."""
    if not Path(SYSTEM_PYTHON).exists():
        return f"{SYSTEM_PYTHON} is not there"
    check = "import gi; gi.require_version('GstRtspServer', '1.0'); gi.require_version('GstApp', '1.0')"
    tried = subprocess.run([SYSTEM_PYTHON, "-c", check], capture_output=True, check=False)
    return "" if tried.returncode == 0 else "GStreamer's RTSP server is not installed (CONTRIBUTING names the packages)"


def needs_camera():
    """Skip where there is no RTSP camera."""
    if reason := why_no_camera():
        pytest.skip(reason)


class RtspCamera:
    """A camera that serves a clip at a port; it can be killed, frozen and started again."""

    def __init__(self, clip, *, fps=25, user=None, host="127.0.0.1", log=None, wrap=(), cut=None, harm=None):
        self.port, self.host = free_port(), host
        self._command = [*wrap, SYSTEM_PYTHON, str(SERVER), str(self.port), str(clip), "--fps", str(fps)]
        self._command += ["--host", host] + (["--user", user] if user else []) + (["--log", str(log)] if log else [])
        self._command += (["--cut", str(cut)] if cut else []) + (["--harm", harm] if harm else [])
        self.process = None
        self.start()

    @property
    def url(self):
        """Where it streams."""
        return f"rtsp://{self.host}:{self.port}/cam"

    def start(self):
        """Start it, and wait until it listens."""
        self.process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        if not self.process.stdout.readline().startswith("READY"):
            raise AssertionError("the camera did not start")

    def kill(self):
        """End it at once."""
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def freeze(self):
        """Stop it; its connections stay."""
        os.kill(self.process.pid, signal.SIGSTOP)

    def thaw(self):
        """Let it go on."""
        os.kill(self.process.pid, signal.SIGCONT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.thaw()
            self.kill()


def empty_line_clip(folder, *, fps=25, size=None):
    """The rendered clip `nobody` as a camera would send it, and the polygon of its track."""
    truth = json.loads((ROOT / "scenes" / "clips" / "nobody.truth.json").read_text(encoding="utf-8"))
    polygon = next(zone["polygon_norm"] for zone in truth["zones"] if zone["kind"] == "track")
    return camera_clip(ROOT / "scenes" / "clips" / "nobody.mp4", folder / "nobody.mp4", fps=fps, size=size), polygon


def write_camera_site(folder, source, polygon, **more):
    """A site with one camera; its file and where it publishes."""
    bind = f"tcp://127.0.0.1:{free_port()}"
    camera = {"camera_id": "east", "source": source, **more.pop("camera", {})}
    zone = {"zone_id": "t", "camera_id": "east", "section_id": "main", "kind": "track", "polygon": polygon}
    site = {
        "schema_version": 1,
        "site_id": "yard",
        "severity_without_trains": "WARNING",
        "cameras": [camera],
        "sections": ["main"],
        "zones": [zone],
        "model": {"file": str(MODEL), "sha256": hashlib.sha256(MODEL.read_bytes()).hexdigest(), "threads": 1},
        "self_test": {"interval_s": 0},
        "messaging": {"bind": bind},
        **more,
    }
    path = folder / "site.yaml"
    path.write_text(yaml.safe_dump(site), encoding="utf-8")
    return path, bind


class Namespace:
    """A camera on another machine, for all that this one can tell: behind a cable that can be pulled. Needs root."""

    def __init__(self, name="rw-cam", net="10.213.7"):
        self.name, self.host, self._near = name, f"{net}.2", f"{name}0"
        self.close()
        far = f"{name}1"
        for words in (
            f"netns add {name}",
            f"link add {self._near} type veth peer name {far}",
            f"link set {far} netns {name}",
            f"addr add {net}.1/24 dev {self._near}",
            f"link set {self._near} up",
            f"netns exec {name} ip addr add {net}.2/24 dev {far}",
            f"netns exec {name} ip link set {far} up",
            f"netns exec {name} ip link set lo up",
        ):
            _ip(words)

    @property
    def wrap(self):
        """What a program is started with to run on the other machine."""
        return ("ip", "netns", "exec", self.name)

    def pull(self):
        """Pull the cable."""
        _ip(f"link set {self._near} down")

    def plug(self):
        """Plug it in again."""
        _ip(f"link set {self._near} up")

    def close(self):
        """Take it all away."""
        _ip(f"netns del {self.name}", check=False)
        _ip(f"link del {self._near}", check=False)


def why_no_cable():
    """Why no cable can be pulled here; empty when it can."""
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("ip") is None:
        return "a cable can be pulled only by root on Linux with `ip` (Debian: iproute2)"
    made = _ip("netns add rw-try", check=False)
    _ip("netns del rw-try", check=False)
    return "" if made else "network namespaces cannot be made here"


def _ip(words, *, check=True):
    """Whether it worked."""
    command = [shutil.which("ip") or "ip", *words.split()]
    return subprocess.run(command, check=check, capture_output=True).returncode == 0


@contextmanager
def cable():
    """A namespace for the time of a block."""
    made = Namespace()
    try:
        yield made
    finally:
        made.close()


def open_things(pid):
    """Threads and descriptors of a process."""
    return tuple(sum(1 for _ in Path(f"/proc/{pid}/{kind}").iterdir()) for kind in ("task", "fd"))
