"""How soon a subscriber is told BLIND when a real RTSP camera is killed, frozen or cut off, and how soon it sees again.

    PYTHONPATH=. python tests/integration/camera_faults.py [RUNS]

Needs GStreamer's RTSP server; the pulled cable also needs root and `ip`.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path

from railwatch.app.record import read_record
from railwatch.core.alerts import CameraState
from railwatch.core.types import Observation
from tests.hub_rig import CLEAR, Follower, RunningHub, wait_until
from tests.rtsp_rig import (
    RtspCamera,
    cable,
    empty_line_clip,
    open_things,
    why_no_cable,
    why_no_camera,
    write_camera_site,
)

OUT_S = 4.0
SETTLED_S = 5.0
"""Seconds of good pictures between two faults."""


class Watched:
    """A hub that watches one RTSP camera, and a subscriber."""

    def __init__(self, stack, folder, **camera):
        clip, polygon = empty_line_clip(folder)
        self.camera = stack.enter_context(RtspCamera(clip, **camera))
        path, endpoint = write_camera_site(folder, self.camera.url, polygon)
        self.record = folder / "inputs.jsonl"
        self.hub = stack.enter_context(RunningHub(path, "--record", str(self.record)))
        self.client = stack.enter_context(Follower(endpoint))
        self.client.wait_state("main", CLEAR)

    def fault(self, fail, mend, out_s=OUT_S):
        """Make the camera fail and come back: seconds to BLIND, and from its return to a first good Status."""
        begun_s = time.monotonic()
        fail()
        self._wait(CameraState.BLIND, begun_s)
        blind_s = time.monotonic() - begun_s
        threading.Event().wait(max(0.0, out_s - blind_s))
        mend()
        back_s = time.monotonic()
        self._wait(CameraState.NOMINAL, back_s)
        took_s = time.monotonic() - back_s
        threading.Event().wait(SETTLED_S)
        return blind_s, took_s

    def _wait(self, state, since_s):
        def seen():
            return any(
                event.status.cameras["east"].state is state
                for at_s, event in self.client.events
                if at_s >= since_s and hasattr(event, "status")
            )

        wait_until(seen, 30.0, f"a camera that is {state.value}")

    def things(self):
        """Threads and descriptors of the worker."""
        (pid,) = self.hub.workers()
        return open_things(pid)


def stale_frames(record):
    """Observations whose frame was older than 0.7 s: none may reach the detector."""
    seen = [stamped.input for stamped in read_record(record)[1] if isinstance(stamped.input, Observation)]
    return sum(item.vitals.frame_age_s > 0.7 for item in seen), len(seen)


def run_fault(kind, runs, out_s=OUT_S):
    """All runs of one kind of fault, as figures."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        options, pull, plug = {}, None, None
        if kind == "cable":
            far = stack.enter_context(cable())
            options, pull, plug = {"host": far.host, "wrap": far.wrap}, far.pull, far.plug
        watched = Watched(stack, Path(folder), **options)
        camera = watched.camera
        faults = {
            "killed": (camera.kill, camera.start),
            "frozen": (camera.freeze, camera.thaw),
            "cable": (pull, plug),
        }
        before = watched.things()
        results = [watched.fault(*faults[kind], out_s) for _ in range(runs)]
        threading.Event().wait(5.0)
        after = watched.things()
        watched.hub.stop()
        blind, back = zip(*results, strict=True)
        stale, frames = stale_frames(watched.record)
        return {
            "fault": kind,
            "runs": runs,
            "blind_s": [round(statistics.median(blind), 2), round(max(blind), 2)],
            "back_s": [round(statistics.median(back), 2), round(max(back), 2)],
            "stale": stale,
            "frames": frames,
            "threads": [before[0], after[0]],
            "descriptors": [before[1], after[1]],
        }


def main():
    """Every kind of fault; a line of JSON each."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    if reason := why_no_camera():
        sys.exit(reason)
    kinds = ["killed", "frozen"] + ([] if why_no_cable() else ["cable"])
    for kind in kinds:
        sys.stdout.write(json.dumps(run_fault(kind, runs)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
