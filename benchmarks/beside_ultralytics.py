"""railwatch beside `ultralytics track` on the same ONNX file and clip, in one run, taking turns.

    python benchmarks/beside_ultralytics.py --model yolo11n-640.onnx --video vtest.avi --ultralytics-python PYTHON

PYTHON is the interpreter of an environment with ultralytics and lapx (AGPL-3.0, a program of its own; never imported
here). Each turn measures railwatch against its floor and then ultralytics on the first frames of the clip.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

THEIRS = """
import sys, time, itertools
from ultralytics import YOLO
model, video, frames = sys.argv[1], sys.argv[2], int(sys.argv[3])
tracked = YOLO(model, task="detect").track
results = tracked(source=video, stream=True, verbose=False, device="cpu", conf=0.1, persist=True)
for _ in itertools.islice(results, 10):
    pass
begun = time.perf_counter()
count = sum(1 for _ in itertools.islice(results, frames))
print((time.perf_counter() - begun) / count * 1000)
"""


def main() -> None:
    """Take turns and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--video", type=Path, required=True)
    parser.add_argument("--ultralytics-python", type=Path, required=True)
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()
    ours, theirs = [], []
    for turn in range(options.turns):
        ours.append(railwatch(options.model, options.video, options.frames))
        theirs.append(ultralytics(options.ultralytics_python, options.model, options.video, options.frames))
        print(
            f"turn {turn + 1}: railwatch {ours[-1]['ms_per_frame']:.1f}, ultralytics track {theirs[-1]:.1f} ms",
            flush=True,
        )
    floor = statistics.median(report["floor_ms_per_frame"] for report in ours)
    print(f"floor: bare session.run   {floor:.1f} ms a frame")
    mine = statistics.median(report["ms_per_frame"] for report in ours)
    ratio = statistics.median(report["ratio_to_floor"] for report in ours)
    print(f"railwatch, the whole way  {mine:.1f} ms a frame, ratio_to_floor {ratio:.3f}")
    them = statistics.median(theirs)
    print(f"ultralytics track         {them:.1f} ms a frame, {them / floor:.2f} x floor, {them / mine:.2f} x railwatch")


def railwatch(model: Path, video: Path, frames: int) -> dict[str, float]:
    """One pass of `railwatch bench` (and one to warm up)."""
    code = (
        "import json, sys; from dataclasses import asdict; from pathlib import Path;"
        "from railwatch.app.bench import bench;"
        f"print(json.dumps(asdict(bench(Path(sys.argv[2]), Path(sys.argv[1]), (), {frames}, rounds=1))))"
    )
    return json.loads(_run(Path(sys.executable), code, model, video))


def ultralytics(python: Path, model: Path, video: Path, frames: int) -> float:
    """Milliseconds a frame of `ultralytics track`, after ten frames to warm up."""
    return float(_run(python, THEIRS, model, video, str(frames)).splitlines()[-1])


def _run(python: Path, code: str, *arguments: str | Path) -> str:
    environment = {**os.environ, "YOLO_AUTOINSTALL": "false", "YOLO_OFFLINE": "true"}
    command = [str(python), "-c", code, *map(str, arguments)]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main()
