"""How many people of a height does a detector find? The table that coverage maps stand on.

    python benchmarks/recall_by_height.py [--model FILE] [--shared ../shared] [--score 0.4]

Heights are in pixels of the model's input, after the picture is shrunk into it. A person counts as found by a box with
IoU 0.5 or more and the score at which the tracker begins a track (tracker.high_confidence, 0.4). Pictures are those
of the detector's sealed test side (models/recipes/railwatch_nano/sources.py) and every fifth frame of the rendered
clips, where only people count of whom at least half is seen. The last lines, of real pictures only, are those of
models/manifest.toml.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks.detector_against_start import frames, scene_clips
from models.recipes.railwatch_nano import evaluate
from models.recipes.railwatch_nano.evaluate import Found, found_in, matched
from railwatch.perception.detector import OnnxDetector, open_detector
from railwatch.perception.manifest import default_model

ROOT = Path(__file__).resolve().parents[1]
EDGES = (8, 12, 16, 24, 32, 48, 64, 96, 128, 10_000)
REAL = ("rail", "rs", "tram")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=None)
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--score", type=float, default=0.4)
    options = parser.parse_args()
    detector = open_detector(options.model or default_model(), confidence=0.005)
    columns = {name: rows(stills(detector, options.shared / "data", name), options.score) for name in (*REAL, "coco")}
    columns["rendered"] = rows(rendered(detector), options.score)
    columns["real"] = np.sum([columns[name] for name in REAL], axis=0)
    names = list(columns)
    print(f"{'px of the input':16}" + "".join(f"{name:>18}" for name in names))
    for number, (low, high) in enumerate(pairwise(EDGES)):
        span = f"{low} to {high}" if high < EDGES[-1] else f"{low} and more"
        shares = (columns[name][number] for name in names)
        print(f"{span:16}" + "".join(f"{f'{hit}/{count} {hit / max(count, 1):.2f}':>18}" for hit, count in shares))
    print("recall = [")
    for number, (low, high) in enumerate(pairwise(EDGES)):
        hit, count = columns["real"][number]
        print(f"  {{ px = [{low}, {high}], found = {hit}, people = {count} }},")
    print("]")


def rows(pairs: Iterator[tuple[Found, np.ndarray, float]], score: float) -> np.ndarray:
    """How many were found and how many there are, for each span of heights: (spans, 2) whole numbers."""
    counts = np.zeros((len(EDGES) - 1, 2), int)
    for found, truth, scale in pairs:
        strong = found.score >= score
        taken = matched(Found(found.xyxy[strong], found.score[strong], found.names[strong]), truth)
        hit = np.isin(np.arange(len(truth)), taken)
        spans = np.digitize((truth[:, 3] - truth[:, 1]) * scale, EDGES) - 1
        for span, seen in zip(spans, hit, strict=True):
            if 0 <= span < len(counts):
                counts[span] += (int(seen), 1)
    return counts


def shrink(detector: OnnxDetector, picture: np.ndarray) -> float:
    """By how much the model's input shrinks a picture."""
    size = detector.form.size
    return min(size.width / picture.shape[1], size.height / picture.shape[0])


def stills(detector: OnnxDetector, data: Path, source: str) -> Iterator[tuple[Found, np.ndarray, float]]:
    for example in evaluate.side_examples(data, None, "test").get(source, []):
        picture = example.picture()
        truth = example.xyxy[example.classes == 0]
        yield found_in(detector, picture).of("person"), truth, shrink(detector, picture)


def rendered(detector: OnnxDetector) -> Iterator[tuple[Found, np.ndarray, float]]:
    for path, truth in scene_clips():
        for index, picture in frames(path):
            people = [t for t in truth["frames"][index]["objects"] if t["class_name"] == "person"]
            seen = [t["visible_xyxy_px"] for t in people if t["visible_px"] and t["occluded_fraction"] < 0.5]
            boxes = np.array(seen, np.float32).reshape(-1, 4)
            yield found_in(detector, picture).of("person"), boxes, shrink(detector, picture)


if __name__ == "__main__":
    main()
