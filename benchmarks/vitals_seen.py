"""What the default detector still finds in pictures that are dark, noisy or out of focus: `vitals.py seen`.

The people and animals that it finds in a clip's own pictures, surely enough to begin a track, are the truth; the same
pictures are made worse step by step. Beside the part of them that it still finds stands what the vitals measure of such
a picture, so that a threshold can be read off: the step at which half is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import cv2
import numpy as np

from railwatch.core.types import Detections, Float32Array, Frame, UInt8Array
from railwatch.perception.detector import OnnxDetector, open_detector
from railwatch.perception.look import look_at, noise_of, reduced, sharpness_of
from railwatch.perception.manifest import default_model
from railwatch.perception.parity import iou_of
from railwatch.perception.picture import YuvPicture
from railwatch.perception.vital_focus import SHARP_QUANTILE
from tests.perception.vital_faults import Noise

ANIMALS: Final = ("bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe")
SURE: Final = 0.4
SAME_IOU: Final = 0.5
PICTURES: Final = 16
DARK: Final = (1.0, 0.4, 0.2, 0.15, 0.1, 0.08, 0.06, 0.04, 0.02)
NOISY: Final = (0.0, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 60.0, 80.0)
BLURRED: Final = (0.0, 0.001, 0.002, 0.003, 0.004, 0.006, 0.008, 0.01, 0.015)
SENSOR_NOISE: Final = 2.0
"""Noise that even a good sensor has in the dark, grey levels."""

Worse = Callable[[Frame, Noise, float], Frame]


Thing = tuple[str, Float32Array]
"""What kind of thing was found, and its box."""


class Step(NamedTuple):
    """One step of one fault over one clip: what the vitals measure (median), objects found of those that are there."""

    measure: float
    found: int
    there: int


def dark(frame: Frame, noise: Noise, part: float) -> Frame:
    """So much of the light is left, by levels; colour goes with it."""
    picture = _picture(frame)
    luma = 16.0 + (picture.luma.astype(np.float32) - 16.0) * part + (SENSOR_NOISE * noise if part < 1.0 else 0.0)
    chroma = tuple(_bytes(128.0 + (plane.astype(np.float32) - 128.0) * part) for plane in picture.chroma)
    return replace(frame, picture=replace(picture, luma=_bytes(luma), chroma=chroma))


def noisy(frame: Frame, noise: Noise, sigma: float) -> Frame:
    """Noise of `sigma` grey levels in every pixel's brightness."""
    picture = _picture(frame)
    return replace(frame, picture=replace(picture, luma=_bytes(picture.luma + sigma * noise)))


def blurred(frame: Frame, noise: Noise, share: float) -> Frame:
    """A Gaussian of `share` of the width, and a sensor's noise of one level."""
    if not share:
        return frame
    picture = _picture(frame)
    soft = cv2.GaussianBlur(picture.luma.astype(np.float32), (0, 0), share * picture.luma.shape[1])
    return replace(frame, picture=replace(picture, luma=_bytes(soft + noise)))


FAULTS: Final[tuple[tuple[str, Worse, tuple[float, ...], str], ...]] = (
    ("dark", dark, DARK, "level of the brightest tenth"),
    ("noise", noisy, NOISY, "noise in grey levels"),
    ("blur", blurred, BLURRED, "part of its sharpness"),
)


def seen(name: str, frames: Sequence[Frame], noises: Sequence[Noise], detector: OnnxDetector) -> dict[str, list[Step]]:
    """Print, for one clip, what is measured and what is found at each step of each fault."""
    chosen = [frames[round(k)] for k in np.linspace(0, len(frames) - 1, PICTURES)]
    pictures = [(frame, _sure(detector, frame)) for frame in chosen]
    result = {}
    for fault, worse, steps, unit in FAULTS:
        result[fault] = [_step(fault, worse, size, pictures, noises, detector) for size in steps]
        told = "  ".join(
            f"{size:g}: {step.measure:.2f} {step.found / max(1, step.there):.0%}"
            for size, step in zip(steps, result[fault], strict=True)
        )
        print(f"{name:32} {fault:5} ({unit}) of {result[fault][0].there}: {told}", flush=True)
    return result


def _step(
    fault: str,
    worse: Worse,
    size: float,
    pictures: Sequence[tuple[Frame, list[Thing]]],
    noises: Sequence[Noise],
    detector: OnnxDetector,
) -> Step:
    measures, found = [], 0
    for clean, truth in pictures:
        now, again = (worse(clean, noise, size) for noise in noises[:2])
        things = _sure(detector, now)
        found += sum(any(kind == other and iou >= SAME_IOU for other, iou in _ious(box, things)) for kind, box in truth)
        measures.append(_measure(fault, now, again, clean))
    return Step(float(np.median(measures)), found, sum(len(truth) for _, truth in pictures))


def _measure(fault: str, now: Frame, again: Frame, clean: Frame) -> float:
    """What the vitals measure; `again` is the same picture with other noise, so that nothing moves."""
    fine, before = reduced(_picture(now).luma), reduced(_picture(again).luma)
    if fault == "dark":
        return float(np.quantile(look_at(fine, full_range=False).level, 0.9))
    noise = noise_of(fine, before)
    if fault == "noise":
        return noise
    sharp, usual = sharpness_of(fine, noise), sharpness_of(reduced(_picture(clean).luma), 0.0)
    cells = np.isfinite(usual)
    if not cells.any():
        return 0.0
    parts = (float(np.quantile(np.nan_to_num(part[cells]), SHARP_QUANTILE)) for part in (sharp, usual))
    return next(parts) / next(parts)


def totals(results: Iterable[dict[str, list[Step]]]) -> None:
    """Print the same over all clips together; each clip counts once, however many it shows."""
    gathered = [result for result in results if result["dark"][0].there]
    for fault, _, steps, unit in FAULTS:
        told = []
        for index, size in enumerate(steps):
            parts = [result[fault][index].found / result[fault][index].there for result in gathered]
            measure = float(np.median([result[fault][index].measure for result in gathered]))
            told.append(f"{size:g}: {measure:.2f} {np.mean(parts):.0%}")
        print(f"all {len(gathered)} clips {fault} ({unit}): {'  '.join(told)}", flush=True)


def default_detector() -> OnnxDetector:
    """The shipped detector, on one thread."""
    return open_detector(default_model(), confidence=SURE, threads=1)


def _sure(detector: OnnxDetector, frame: Frame) -> list[Thing]:
    """People and animals found, with their boxes."""
    found: Detections = detector.detect([frame.picture.sample(None, detector.form)])[0]
    names = [detector.class_names[number] for number in found.class_id]
    kinds = ["person" if name == "person" else "animal" if name in ANIMALS else "" for name in names]
    return [(kind, box) for kind, box in zip(kinds, found.xyxy, strict=True) if kind]


def _ious(box: Float32Array, others: list[Thing]) -> list[tuple[str, float]]:
    return [(kind, float(iou_of(box, other[None])[0])) for kind, other in others]


def _picture(frame: Frame) -> YuvPicture:
    assert isinstance(frame.picture, YuvPicture)
    return frame.picture


def _bytes(levels: np.ndarray) -> UInt8Array:
    return np.clip(levels, 0, 255).astype(np.uint8)
