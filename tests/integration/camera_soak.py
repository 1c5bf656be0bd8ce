"""Whether the reading of cameras stays as it is for two million frames and five hundred reconnects; a plot.

    PYTHONPATH=. python tests/integration/camera_soak.py [--frames 2000000] [--reconnects 500] [--plot FILE.png]

Real RTSP cameras of 640 x 360 at many frames a second, each of which ends its connections every few seconds. All frames
are decoded by the readers of the worker, the detector looks at the newest one whenever 25 more have been decoded. Every
5 s the memory, the threads and the descriptors of this process are taken down.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from railwatch.app.camera_reader import CameraReader
from railwatch.app.sources import open_live_source
from railwatch.core.clock import elapsed_s
from railwatch.core.provider import Provider
from railwatch.core.settings import DEFAULT_GROUPS, CameraSettings, TrackerSettings
from railwatch.perception.detector import open_detector
from railwatch.perception.pipeline import CameraPipeline
from railwatch.perception.tracker import Tracker
from tests.rtsp_rig import MODEL, RtspCamera, empty_line_clip, open_things, why_no_camera

LOOKED_AT = 25
TAKEN_DOWN_S = 5.0
WARM = 0.2
"""Part of the run at its beginning that the slope leaves out."""


class Counting:
    """Opens cameras as the worker does and counts what they gave."""

    def __init__(self) -> None:
        self.opened = self.decoded = self.fresh = 0
        self._sources = []
        self._lock = threading.Lock()

    def open(self, camera, loop, stop):
        source = open_live_source(camera, loop=loop, stop=stop)
        with self._lock:
            self.opened += 1
            for old in [item for item in self._sources if item.camera_id == source.camera_id]:
                self._sources.remove(old)
                self._add(old.counts)
            self._sources.append(source)
        return source

    def totals(self):
        """Decoded and fresh frames so far."""
        with self._lock:
            now = [source.counts for source in self._sources]
            decoded = sum(item.frames + item.damaged + item.stale for item in now)
            return self.decoded + decoded, self.fresh + sum(item.frames for item in now)

    def _add(self, counts):
        self.decoded += counts.frames + counts.damaged + counts.stale
        self.fresh += counts.frames


def resident_mib() -> float:
    """Memory of this process that is in use, MiB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def soak(cameras, frames, reconnects, longest_s):
    """Read until all frames and reconnects are through; a row each 5 s, and the totals."""
    counting, never = Counting(), threading.Event()
    detector = open_detector(MODEL, confidence=0.1, provider=Provider.CPU, threads=1, sha256=None, say=lambda _: None)
    settings = [CameraSettings(f"c{number}", camera.url) for number, camera in enumerate(cameras)]
    pipelines = {
        item.camera_id: CameraPipeline(
            item.camera_id, Tracker(TrackerSettings(), detector.class_names, dict(DEFAULT_GROUPS)), ()
        )
        for item in settings
    }
    readers = [
        CameraReader(item, counting.open, loop=False, mark=lambda: 0, wake=lambda: None, clock=elapsed_s)
        for item in settings
    ]
    rows, begun_s, due_s, looks, looked_at = [], time.monotonic(), 0.0, 0, 0
    while True:
        never.wait(0.02)
        for reader in readers:
            reader.turn()
        decoded, fresh = counting.totals()
        for reader in readers:
            if decoded - looked_at >= LOOKED_AT and (taken := reader.latest.take()) is not None:
                looked_at += LOOKED_AT
                (found,) = detector.detect([taken.frame.picture.sample(None, detector.form)])
                pipelines[reader.camera.camera_id].observe(taken.frame, found)
                looks += 1
        now_s = time.monotonic() - begun_s
        if now_s >= due_s:
            due_s = now_s + TAKEN_DOWN_S
            threads, descriptors = open_things(os.getpid())
            rows.append((now_s, decoded, counting.opened - len(readers), resident_mib(), threads, descriptors))
            if len(rows) % 12 == 0:
                say({"s": round(now_s), "decoded": decoded, "fresh": fresh, "reconnects": rows[-1][2], "looks": looks})
        if (decoded >= frames and rows[-1][2] >= reconnects) or now_s > longest_s:
            break
    for reader in readers:
        reader.close()
    return np.array(rows), {"frames": decoded, "fresh": fresh, "looked_at": looks}


def summary(rows, totals):
    """The figures that are told."""
    warm = rows[int(len(rows) * WARM) :]
    per_frame, _ = np.polyfit(warm[:, 1], warm[:, 3], 1)
    per_s, _ = np.polyfit(warm[:, 0], warm[:, 3], 1)
    return totals | {
        "reconnects": int(rows[-1, 2]),
        "seconds": round(float(rows[-1, 0])),
        "mib_per_million_frames": round(float(per_frame) * 1e6, 2),
        "mib_per_hour": round(float(per_s) * 3600.0, 2),
        "mib": [round(float(warm[:, 3].min()), 1), round(float(warm[:, 3].max()), 1)],
        "threads": [int(warm[:, 4].min()), int(np.median(warm[:, 4])), int(warm[:, 4].max())],
        "descriptors": [int(warm[:, 5].min()), int(np.median(warm[:, 5])), int(warm[:, 5].max())],
    }


def plot(rows, path):
    """Memory, threads and descriptors over the frames."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(3, 1, sharex=True, figsize=(8, 6))
    for axis, column, name in zip(axes, (3, 4, 5), ("memory, MiB", "threads", "descriptors"), strict=True):
        axis.plot(rows[:, 1] / 1e6, rows[:, column], linewidth=0.8)
        axis.set_ylabel(name)
        axis.set_ylim(0.0, float(rows[:, column].max()) * 1.15)
        axis.grid(alpha=0.3)
    axes[0].set_title(f"{int(rows[-1, 2])} reconnects of RTSP cameras")
    axes[-1].set_xlabel("frames decoded, millions")
    figure.tight_layout()
    figure.savefig(path, dpi=80)


def say(what) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=2_000_000)
    parser.add_argument("--reconnects", type=int, default=500)
    parser.add_argument("--cameras", type=int, default=3)
    parser.add_argument("--fps", type=int, default=360)
    parser.add_argument("--cut", type=float, default=11.0)
    parser.add_argument("--longest", type=float, default=2400.0)
    parser.add_argument("--plot", type=Path)
    given = parser.parse_args()
    if reason := why_no_camera():
        sys.exit(reason)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        clip, _ = empty_line_clip(Path(folder))
        cameras = [stack.enter_context(RtspCamera(clip, fps=given.fps, cut=given.cut)) for _ in range(given.cameras)]
        rows, totals = soak(cameras, given.frames, given.reconnects, given.longest)
    say(summary(rows, totals))
    if given.plot:
        plot(rows, given.plot)


if __name__ == "__main__":
    main()
