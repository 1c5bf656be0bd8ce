"""The same model file on a GPU provider and on the CPU: the same boxes, and how fast.

    python benchmarks/gpu_parity.py [--model FILE] [--provider cuda] [--provider tensorrt] [--clip CLIP] [--frames 60]

For each provider: whether it starts, the largest difference of boxes (pixels) and scores against the CPU over the
frames of a clip, and pictures a second one by one and eight at once. Where no provider of a GPU starts it says "not
verified on a GPU", with the reason, and ends with 0: that is the truth of this machine, not a fault of the file.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from time import perf_counter

import numpy as np

from railwatch.app.sources import open_source
from railwatch.core.errors import RailwatchError
from railwatch.core.provider import Provider
from railwatch.core.types import Detections, Sample
from railwatch.perception.detector import OnnxDetector, open_detector
from railwatch.perception.manifest import default_model

CLIP = Path(__file__).resolve().parents[1] / "scenes" / "clips" / "demo.mp4"
CONFIDENCE = 0.1
SAME_PX, SAME_SCORE = 1.0, 0.01


def differences(ours: Sequence[Detections], theirs: Sequence[Detections]) -> tuple[int, float, float]:
    """Frames with another number of boxes, and the largest difference of boxes (px) and scores in the others."""
    counts, pixels, scores = 0, 0.0, 0.0
    for one, other in zip(ours, theirs, strict=True):
        if len(one) != len(other):
            counts += 1
        elif len(one):
            pixels = max(pixels, float(np.abs(one.xyxy - other.xyxy).max()))
            scores = max(scores, float(np.abs(one.confidence - other.confidence).max()))
    return counts, pixels, scores


def pictures_a_second(detector: OnnxDetector, samples: Sequence[Sample], batch: int) -> float:
    detector.detect(samples[:batch])
    start = perf_counter()
    for first in range(0, len(samples), batch):
        detector.detect(samples[first : first + batch])
    return len(samples) / (perf_counter() - start)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--provider", action="append", choices=["cuda", "tensorrt"])
    parser.add_argument("--clip", type=Path, default=CLIP)
    parser.add_argument("--frames", type=int, default=60)
    given = parser.parse_args()
    file = given.model or default_model()
    cpu = open_detector(file, confidence=CONFIDENCE)
    with open_source(str(given.clip), "clip") as source:
        samples = [frame.picture.sample(None, cpu.form) for frame in islice(source.frames(), given.frames)]
    expected = cpu.detect(samples)
    print(f"{file.name}: {len(samples)} frames of {given.clip.name}, {sum(map(len, expected))} boxes on the CPU")
    bad = verified = 0
    for name in given.provider or ["cuda", "tensorrt"]:
        try:
            detector = open_detector(file, confidence=CONFIDENCE, provider=Provider(name))
        except RailwatchError as error:
            print(f"{name}: not verified on a GPU: {error}")
            continue
        verified += 1
        counts, pixels, scores = differences(detector.detect(samples), expected)
        same = counts == 0 and pixels <= SAME_PX and scores <= SAME_SCORE
        bad += not same
        print(f"{name}: {counts} frames differ in number, boxes by {pixels:.3f} px, scores by {scores:.5f}")
        for batch in (1, 8):
            print(f"{name}: {pictures_a_second(detector, samples, batch):.1f} pictures/s, {batch} at once")
    if not verified:
        print("not verified on a GPU")
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
