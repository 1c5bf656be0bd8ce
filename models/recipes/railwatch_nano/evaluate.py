"""Measure detectors side by side on pictures that neither training nor the choice of the checkpoint has seen.

    python -m models.recipes.railwatch_nano.evaluate MODEL [MODEL ...] [--shared ../shared] [--side test]

Every model runs through railwatch's own sampling, session and head, the way it runs in service.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.recipes.railwatch_nano import sources
from models.recipes.railwatch_nano.sources import Example
from railwatch.core.types import Detections
from railwatch.perception.detector import OnnxDetector, open_detector
from railwatch.perception.picture import BgrPicture

SHARED = Path(__file__).resolve().parents[3].parent / "shared"
LEAST_SCORE = 0.005
SEEN_FROM = 0.3


class Found(NamedTuple):
    """What a model found in an example: boxes, scores and names of classes."""

    xyxy: npt.NDArray[np.float32]
    score: npt.NDArray[np.float32]
    names: npt.NDArray[np.str_]

    def of(self, *names: str, least: float = 0.0) -> Found:
        """Those of some classes with at least a score."""
        mine = np.isin(self.names, names) & (self.score >= least)
        return Found(self.xyxy[mine], self.score[mine], self.names[mine])


def found_in(detector: OnnxDetector, picture: npt.NDArray[np.uint8]) -> Found:
    """Run a model on a picture (H, W, 3) BGR."""
    (boxes,) = detector.detect([BgrPicture(picture).sample(None, detector.form)])
    return as_found(boxes, detector.class_names)


def as_found(boxes: Detections, class_names: Sequence[str]) -> Found:
    """Detections with their names."""
    return Found(boxes.xyxy, boxes.confidence, np.array(class_names)[boxes.class_id])


def overlaps(first: npt.NDArray[np.floating], second: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """IoU (N, M) of boxes (N, 4) with boxes (M, 4)."""
    a, b = np.asarray(first, float).reshape(-1, 1, 4), np.asarray(second, float).reshape(1, -1, 4)
    shared = np.clip(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0, None).prod(axis=2)
    union = (a[..., 2:] - a[..., :2]).prod(axis=2) + (b[..., 2:] - b[..., :2]).prod(axis=2) - shared
    return shared / np.maximum(union, 1e-9)


def matched(found: Found, truth: npt.NDArray[np.float32], iou: float = 0.5) -> npt.NDArray[np.int64]:
    """For each box, strongest first, the index of the true box it takes, -1 for none: greedy, as COCO counts."""
    order = np.argsort(-found.score, kind="stable")
    taken = np.full(len(found.score), -1, np.int64)
    free = np.ones(len(truth), bool)
    table = overlaps(found.xyxy, truth)
    for index in order:
        row = np.where(free, table[index], 0.0) if len(truth) else np.zeros(0)
        if len(row) and row.max() >= iou:
            taken[index] = int(row.argmax())
            free[taken[index]] = False
    return taken


def average_precision(pairs: Iterable[tuple[Found, npt.NDArray[np.float32]]], iou: float = 0.5) -> float:
    """AP over pictures, (found boxes, true boxes) of one class each: area under the precision envelope.

    >>> truth = np.array([[0.0, 0, 10, 10]], np.float32)
    >>> average_precision([(Found(truth, np.array([0.9], np.float32), np.array(["person"])), truth)])
    1.0
    """
    scores, hits, wanted = [], [], 0
    for found, truth in pairs:
        scores.append(found.score)
        hits.append(matched(found, truth, iou) >= 0)
        wanted += len(truth)
    if not wanted:
        return float("nan")
    order = np.argsort(-np.concatenate(scores), kind="stable")
    true = np.cumsum(np.concatenate(hits)[order])
    precision = true / np.arange(1, len(true) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    steps = np.diff(true, prepend=0) / wanted
    return float((steps * envelope).sum())


def recall(pairs: Iterable[tuple[Found, npt.NDArray[np.float32]]], heights: tuple[float, float]) -> tuple[int, int]:
    """How many true boxes of a height in pixels are found at `SEEN_FROM` (IoU 0.5), and how many there are."""
    hit = total = 0
    for found, truth in pairs:
        tall = truth[:, 3] - truth[:, 1]
        wanted = (tall >= heights[0]) & (tall < heights[1])
        strong = found.score >= SEEN_FROM
        taken = matched(Found(found.xyxy[strong], found.score[strong], found.names[strong]), truth)
        hit += int(wanted[taken[taken >= 0]].sum())
        total += int(wanted.sum())
    return hit, total


def people(examples: Sequence[Example], founds: Sequence[Found]) -> list[tuple[Found, npt.NDArray[np.float32]]]:
    """The pairs of found and true people."""
    return [
        (found.of("person"), example.xyxy[example.classes == sources.PERSON])
        for example, found in zip(examples, founds, strict=True)
    ]


def side_examples(data: Path, rendering: Path | None, side: str) -> dict[str, list[Example]]:
    """The examples of a side by source."""
    groups: dict[str, list[Example]] = {}
    for example in sources.everything(data, rendering, side):
        groups.setdefault(example.source, []).append(example)
    return groups


def report(paths: Sequence[Path], groups: dict[str, list[Example]]) -> list[str]:
    """A table of lines, a column for each model."""
    table: dict[str, list[str]] = {}
    for path in paths:
        detector = open_detector(path, confidence=LEAST_SCORE)
        everyone: list[tuple[Found, npt.NDArray[np.float32]]] = []
        for source, examples in groups.items():
            founds = [found_in(detector, example.picture()) for example in examples]
            pairs = people(examples, founds)
            everyone += pairs if source in ("rail", "rs", "tram") else []
            table.setdefault(f"person AP50 {source} ({len(examples)})", []).append(f"{average_precision(pairs):.3f}")
            for heights in ((12, 20), (20, 40), (40, 80)):
                hit, total = recall(pairs, heights)
                if total:
                    key = f"  recall {heights[0]}-{heights[1]} px of {total}"
                    table.setdefault(f"{key} {source}", []).append(f"{hit / total:.3f}")
            empty = [
                f
                for e, f in zip(examples, founds, strict=True)
                if sources.TRAIN in e.complete and sources.TRAIN not in e.classes
            ]
            said = sum(bool(len(f.of("train", least=SEEN_FROM).score)) for f in empty)
            table.setdefault(f"  'train' in {len(empty)} trainless {source}", []).append(str(said))
            if source == "coco":
                table.setdefault("  mean AP50 of our classes", []).append(f"{mean_precision(examples, founds):.3f}")
        table.setdefault("person AP50 rail + rs + tram", []).append(f"{average_precision(everyone):.3f}")
    return [f"{key:44} " + "  ".join(f"{value:>8}" for value in values) for key, values in table.items()]


def mean_precision(examples: Sequence[Example], founds: Sequence[Found]) -> float:
    """Mean AP50 over those of our classes that the examples show."""
    values = []
    for index, name in enumerate(sources.CLASSES):
        pairs = [(f.of(name), e.xyxy[e.classes == index]) for e, f in zip(examples, founds, strict=True)]
        if any(len(truth) for _, truth in pairs):
            values.append(average_precision(pairs))
    return float(np.mean(values))


def main() -> None:
    """Read the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--shared", type=Path, default=SHARED)
    parser.add_argument("--rendering", type=Path)
    parser.add_argument("--side", choices=("val", "test"), default="val")
    given = parser.parse_args()
    print("\n".join(report(given.models, side_examples(given.shared / "data", given.rendering, given.side))))


if __name__ == "__main__":
    main()
