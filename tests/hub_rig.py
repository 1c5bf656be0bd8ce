"""A site that can be run as processes: a model that sees bright spots, clips that show some, and a running hub."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import av
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from railwatch.core.alerts import SectionState
from railwatch.messaging.client import Client
from railwatch.messaging.events import StatusReceived

ROOT = Path(__file__).resolve().parents[1]
SITE = """\
schema_version: 1
site_id: yard
severity_without_trains: WARNING
cameras:
{cameras}
sections: [{sections}]
zones:
{zones}
model: {{file: seer.onnx, sha256: "{sha256}", threads: 1}}
incidents: {{off_delay_s: 0.5}}
risk: {{stay_hold_s: 0.0}}
messaging: {{bind: "tcp://127.0.0.1:{port}"}}
"""
CLEAR, OCCUPIED, UNKNOWN = SectionState.CLEAR, SectionState.OCCUPIED, SectionState.UNKNOWN


def write_seer(path):
    """A detector for pictures of 64 x 64 pixels: a person stands in every cell of 8 x 8 pixels that is bright."""
    place = np.tile(np.float32([0.5, 0.5, np.log(2.0), np.log(3.0)]), (1, 84, 1))
    constants = {"place": place, "cells": np.zeros((1, 20, 1), np.float32), "sure": np.ones((1, 84, 1), np.float32)}
    constants |= {"dark": np.float32(180.0), "span": np.float32(60.0), "low": np.float32(0.0), "top": np.float32(0.9)}
    constants |= {"rows": np.int64([1, 64, 1])}
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["images"], ["grey"], axes=[1], keepdims=1),
            helper.make_node("AveragePool", ["grey"], ["pooled"], kernel_shape=[8, 8], strides=[8, 8]),
            helper.make_node("Sub", ["pooled", "dark"], ["above"]),
            helper.make_node("Div", ["above", "span"], ["bright"]),
            helper.make_node("Clip", ["bright", "low", "top"], ["score"]),
            helper.make_node("Reshape", ["score", "rows"], ["fine"]),
            helper.make_node("Concat", ["fine", "cells"], ["all"], axis=1),
            helper.make_node("Concat", ["place", "all", "sure"], ["output"], axis=2),
        ],
        "seer",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 64, 64])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 84, 6])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    facts = {"name": "seer", "head": "yolox", "channels": "bgr", "pixel_max": "255", "letterbox": "top_left"}
    facts |= {"classes": json.dumps(["person"]), "licence": "Apache-2.0"}
    helper.set_model_props(model, {f"railwatch.{key}": text for key, text in facts.items()})
    onnx.save(model, path)
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def write_scene(path, persons, fps=10):
    """A clip of 64 x 48 pixels, a frame for each entry: whether a bright spot, a person, is on the track.

    What stands around is darker, has edges, and the noise of a sensor: a picture that vitals take for one.
    """
    blocks = np.random.default_rng(0).integers(15, 45, (6, 8, 3)).repeat(8, 0).repeat(8, 1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=fps)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.thread_count = 1
        for number, present in enumerate(persons):
            picture = (blocks + np.random.default_rng(number).integers(-6, 7, (48, 64, 1))).astype(np.uint8)
            if present:
                picture[24:32, 32:40] = 250
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def write_site(folder, cameras=("east",), *, port=None, groups=None, persons=(False,) * 10 + (True,) * 20):
    """A site of one section that all `cameras` see, each with a clip of its own; `groups` names their workers."""
    folder.mkdir(parents=True, exist_ok=True)
    sha256 = write_seer(folder / "seer.onnx")
    for name in cameras:
        write_scene(folder / f"{name}.mp4", persons)
    rows = [
        f"  - {{camera_id: {name}, source: {name}.mp4, worker_group: {(groups or {}).get(name, 'main')}}}"
        for name in cameras
    ]
    zones = [
        f"  - {{zone_id: z-{name}, camera_id: {name}, section_id: s-{name}, kind: track, "
        "polygon: [[0, 0], [1, 0], [1, 1], [0, 1]]}"
        for name in cameras
    ]
    text = SITE.format(
        cameras="\n".join(rows),
        zones="\n".join(zones),
        sections=", ".join(f"s-{name}" for name in cameras),
        sha256=sha256,
        port=port or free_port(),
    )
    path = folder / "site.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def free_port():
    """A port of which the next one is free as well."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as first:
            port = first.getsockname()[1]
            try:
                with socket.create_server(("127.0.0.1", port + 1)):
                    return port
            except OSError:
                continue


class RunningHub:
    """`railwatch run SITE.YAML` as a process; its lines of stderr are kept in `lines`."""

    def __init__(self, site_file, *options, program=("-m", "railwatch"), wrap=(), environment=None, loop=True):
        command = [*wrap, sys.executable, *program, "run", str(site_file), *options]
        self.site_file = site_file
        self.lines = []
        self.process = subprocess.Popen(
            [*command, *(["--loop"] if loop else [])],
            env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def endpoint(self):
        """Where it publishes."""
        text = self.site_file.read_text(encoding="utf-8")
        return text.partition('bind: "')[2].partition('"')[0]

    def workers(self):
        """Process numbers of the workers that it started and that live."""
        found = []
        for line in self.lines:
            if " started, process " in line:
                pid = int(line.rpartition(" ")[2])
                if alive(pid):
                    found.append(pid)
        return found

    def wait_line(self, text, timeout_s=60.0, after=0):
        """Wait until a line with `text` was written, from the line number `after` on; returns its number plus 1."""
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s:
            for number, line in enumerate(self.lines[after:], start=after):
                if text in line:
                    return number + 1
            if self.process.poll() is not None and not self._reader.is_alive():
                break
            threading.Event().wait(0.02)
        raise AssertionError(f"{text!r} never came, but {self.lines}")

    def send(self, number):
        """Send a signal."""
        os.kill(self.process.pid, number)

    def stop(self, number=signal.SIGTERM, timeout_s=30.0):
        """End it; its exit code."""
        if self.process.poll() is None:
            self.send(signal.SIGCONT)
            self.send(number)
        try:
            return self.process.wait(timeout_s)
        finally:
            self.process.kill()
            self.process.wait()
            self._reader.join(10.0)
            self.process.stderr.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def _read(self):
        for line in self.process.stderr:
            self.lines.append(line.rstrip("\n"))


def alive(pid):
    """Whether a process lives (a dead one that nobody has waited for does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


def wait_until(condition, timeout_s=30.0, what="it"):
    """Wait until `condition()` is true; the seconds it took."""
    begun_s = time.monotonic()
    while not condition():
        if time.monotonic() - begun_s > timeout_s:
            raise AssertionError(f"{what} did not happen within {timeout_s} s")
        threading.Event().wait(0.02)
    return time.monotonic() - begun_s


class Follower:
    """A client in a thread: every event with its time, and the states of the sections now."""

    def __init__(self, endpoint, **options):
        self.events = []
        self._client = Client(endpoint, **options)
        self._states = {}
        self._wanted = []
        self._thread = threading.Thread(target=self._follow)
        self._thread.start()

    def state(self, section_id):
        """What the client believes of a section."""
        return self._states.get(section_id, UNKNOWN)

    def wait_state(self, section_id, *states, timeout_s=60.0):
        """Wait until the client believes one of `states`; the seconds it took."""
        return wait_until(lambda: self.state(section_id) in states, timeout_s, f"{section_id} {states}")

    def acknowledge(self, incident_id, level, by):
        """Have the client acknowledge an incident; what comes of it is an event."""
        self._wanted.append((incident_id, level, by))

    def statuses(self):
        """Every Status so far."""
        return [event.status for _, event in self.events if isinstance(event, StatusReceived)]

    def close(self):
        """End it."""
        self._client.stop()
        self._thread.join(10.0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _follow(self):
        with self._client as client:
            while not client.stopped:
                while self._wanted:
                    client.acknowledge(*self._wanted.pop(0))
                self.events += [(time.monotonic(), event) for event in client.poll(0.02)]
                self._states = client.states()


@contextmanager
def stopped(pid):
    """The process is stopped (SIGSTOP) for as long as the block runs."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
