"""Does sampling from the decoded planes detect as well as converting the whole picture to BGR first, and what is saved?

Every picture of a set with YOLO labels becomes a decoded yuv420p frame; both ways start from that same frame, so that
only the sampling differs. AP50 of class 0 (person) is exact: COCO's matching at IoU 0.5 and all-point interpolation
(area under the precision envelope). CPU milliseconds are those of this process, all its threads, the network left out.

    python benchmarks/sampling_parity.py [--shared ../shared] [--repeats 5]

Exit code 1 when the difference exceeds 0.005. COCO's train2017 pictures were seen in training by the published
weights: the figures compare ways of sampling and say nothing about the detector.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from railwatch.core.types import Affine, Region, Sample, SampleForm
from railwatch.perception import picture
from railwatch.perception.detector import OnnxDetector, open_detector
from railwatch.perception.picture import BgrPicture, picture_of

SHARED = Path(__file__).resolve().parents[1].parent / "shared"
PERSON = 0
CONFIDENCE = 0.001
BAR = 0.005

Way = Callable[[av.VideoFrame, SampleForm], Sample]


class Example(NamedTuple):
    """A decoded frame and the boxes of the people in it, (N, 4) left, top, right, bottom in pixels."""

    frame: av.VideoFrame
    people: np.ndarray


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, default=SHARED)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    detector = open_detector(options.shared / "models" / "yolox_nano_416.onnx", confidence=CONFIDENCE)
    examples = list(read_examples(options.shared / "data" / "coco"))
    print(f"{len(examples)} pictures, {sum(len(example.people) for example in examples)} people, {detector.form}")
    scores = {}
    for name, (way, interpolation) in WAYS.items():
        with interpolated(interpolation):
            scores[name] = average_precision(detector, examples, way)
            cost_ms = cpu_ms(detector.form, examples, way, options.repeats)
        print(f"{name:34} person AP50 {scores[name]:.4f}   sampling {cost_ms:.2f} CPU ms a picture")
    for full_range in (False, True):
        name = f"planes of BT.709, {'full' if full_range else 'limited'} range"
        recoded = [Example(as_bt709(example.frame, full_range=full_range), example.people) for example in examples]
        print(f"{name:34} person AP50 {average_precision(detector, recoded, planes):.4f}")
    difference = scores["planes, linear"] - scores["full BGR, linear"]
    print(f"planes less full BGR {difference:+.4f}, bar {BAR}: {'held' if abs(difference) <= BAR else 'MISSED'}")
    return int(abs(difference) > BAR)


def read_examples(folder: Path) -> Iterator[Example]:
    for path in sorted(folder.glob("images/*/*.jpg")):
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        label = folder / "labels" / path.parent.name / f"{path.stem}.txt"  # a picture without labels shows none of them
        rows = np.loadtxt(label, ndmin=2).reshape(-1, 5) if label.exists() else np.empty((0, 5))
        centers, extent = rows[rows[:, 0] == PERSON, 1:3], rows[rows[:, 0] == PERSON, 3:5]
        size = np.array((image.shape[1], image.shape[0]))
        people = np.concatenate((centers - extent / 2, centers + extent / 2), axis=1) * np.tile(size, 2)
        yield Example(av.VideoFrame.from_ndarray(image, format="bgr24").reformat(format="yuv420p"), people)


def planes(frame: av.VideoFrame, form: SampleForm) -> Sample:
    return picture_of(frame).sample(None, form)


def full_bgr(frame: av.VideoFrame, form: SampleForm) -> Sample:
    return BgrPicture(frame.to_ndarray(format="bgr24")).sample(None, form)


def yolox_letterbox(frame: av.VideoFrame, form: SampleForm) -> Sample:
    """YOLOX's own preprocessing: one scale for both sides, sides cut to whole pixels, linear."""
    bgr = frame.to_ndarray(format="bgr24")
    height, width = bgr.shape[:2]
    ratio = min(form.size.width / width, form.size.height / height)
    small = cv2.resize(bgr, (int(width * ratio), int(height * ratio)), interpolation=cv2.INTER_LINEAR)
    tensor = np.full((form.size.height, form.size.width, 3), form.pad_value, np.uint8)
    tensor[: small.shape[0], : small.shape[1]] = small
    return Sample(tensor, form, Affine(1 / ratio, 1 / ratio, 0.0, 0.0), Region(0, 0, width, height))


WAYS: dict[str, tuple[Way, int]] = {
    "YOLOX's letterbox": (yolox_letterbox, cv2.INTER_LINEAR),
    "full BGR, linear": (full_bgr, cv2.INTER_LINEAR),
    "full BGR, area": (full_bgr, cv2.INTER_AREA),
    "planes, linear": (planes, cv2.INTER_LINEAR),
    "planes, area": (planes, cv2.INTER_AREA),
}


@contextmanager
def interpolated(interpolation: int) -> Iterator[None]:
    with mock.patch.object(picture, "INTERPOLATION", interpolation):
        yield


def as_bt709(frame: av.VideoFrame, *, full_range: bool) -> av.VideoFrame:
    """The same picture as an HD camera would mark it."""
    to = ColorRange.JPEG if full_range else ColorRange.MPEG
    result = VideoReformatter().reformat(
        frame.reformat(format="bgr24"), format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=to
    )
    result.colorspace, result.color_range = 1, to
    return result


def cpu_ms(form: SampleForm, examples: list[Example], way: Way, repeats: int) -> float:
    """CPU milliseconds a picture, median of the repeats."""
    times = []
    for _ in range(repeats):
        begun = time.process_time()
        for example in examples:
            way(example.frame, form)
        times.append((time.process_time() - begun) / len(examples) * 1e3)
    return statistics.median(times)


def average_precision(detector: OnnxDetector, examples: list[Example], way: Way, iou: float = 0.5) -> float:
    """Area under the precision envelope over recall, every step of recall counted."""
    scores: list[float] = []
    hits: list[bool] = []
    for example in examples:
        (found,) = detector.detect([way(example.frame, detector.form)])
        mine = found.class_id == PERSON
        scores += found.confidence[mine].tolist()
        hits += matched(found.xyxy[mine], example.people, iou)
    order = np.argsort(-np.array(scores), kind="stable")
    true = np.cumsum(np.array(hits)[order])
    precision = true / np.arange(1, len(true) + 1)
    recall = true / sum(len(example.people) for example in examples)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * envelope))


def matched(boxes: np.ndarray, truth: np.ndarray, iou: float) -> list[bool]:
    """Whether each box, strongest first, meets a person whom no stronger box met."""
    free = np.ones(len(truth), bool)
    result = []
    for box in boxes:
        sides = np.minimum(box[2:], truth[:, 2:]) - np.maximum(box[:2], truth[:, :2])
        shared = np.clip(sides, 0, None).prod(axis=1)
        union = (box[2:] - box[:2]).prod() + (truth[:, 2:] - truth[:, :2]).prod(axis=1) - shared
        overlap = np.where(free, shared / union, -1.0)
        best = int(overlap.argmax()) if len(truth) else -1
        hit = best >= 0 and overlap[best] >= iou
        if hit:
            free[best] = False
        result.append(bool(hit))
    return result


if __name__ == "__main__":
    sys.exit(main())
