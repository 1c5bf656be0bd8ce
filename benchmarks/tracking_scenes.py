"""Generated truth for benchmarks/tracking.py: people on a ground plane, seen by a camera on a mast.

Everything follows from the seed. People cross, pause, turn round and walk behind pillars and behind one another; a
simulated detector misses, jitters, weakens with occlusion and hallucinates. The truth holds every person in the
picture, hidden or not, as the MOT benchmarks do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

WIDTH, HEIGHT = 960, 540
FOCAL_PX: Final = 700.0
MAST_M: Final = 4.0
HORIZON_PX: Final = 90.0
NEAR_M, FAR_M = 8.0, 36.0
WALK_MPS: Final = 1.3
GRID: Final = 12
JITTER: Final = np.array([0.07, 0.03, 0.14, 0.05])
"""Standard deviation of the boxes' centre x, centre y, width and height in widths and heights of the box: about what
yolox_nano_416 shows on upright people of 60 to 110 pixels in vtest.avi; half of it is correlated over time."""


@dataclass(frozen=True)
class Clip:
    """Frames with times (F,), the truth (ids (N,), xyxy (N, 4)) and the detections (xyxy (M, 4), confidence (M,))."""

    name: str
    fps: float
    times: Array
    truth: list[tuple[npt.NDArray[np.int64], Array]]
    detections: list[tuple[Array, Array]]


def make_clip(seed: int, people: int, fps: float, seconds: float = 30.0) -> Clip:
    """One clip with about `people` persons in view at a time, frames at `fps` with 5 % of a frame of timing jitter."""
    rng = np.random.default_rng(seed)
    count = int(seconds * fps)
    times = np.arange(count) / fps + rng.uniform(-0.05, 0.05, count) / fps
    walkers = _Walkers(rng, people)
    pillars = _pillars(rng)
    truth, detections = [], []
    detector = _Detector(rng)
    for step in np.diff(times, prepend=times[0]):
        ids, boxes, depth = walkers.step(step)
        visible = _visible(boxes, depth, pillars)
        truth.append((ids, boxes))
        detections.append(detector.see(ids, boxes, visible, people))
    return Clip(f"{people} people, {fps:g} fps, seed {seed}", fps, times - times[0], truth, detections)


class _Walkers:
    """Persons that walk, pause, turn and are replaced by new ones at the edge when they leave the picture."""

    def __init__(self, rng: np.random.Generator, people: int) -> None:
        self.rng = rng
        self.next_id = 1
        self.time = 0.0
        self.rows = [self._new(anywhere=True) for _ in range(people)]

    def _new(self, *, anywhere: bool) -> dict[str, float]:
        rng = self.rng
        z = rng.uniform(NEAR_M, FAR_M)
        side = rng.uniform(-1, 1) if anywhere else float(rng.choice([-1.0, 1.0]))
        heading = rng.uniform(-np.pi, np.pi) if anywhere else (0.0 if side < 0 else np.pi) + rng.normal(0, 0.5)
        row = {
            "id": self.next_id,
            "x": side * z * WIDTH / 2 / FOCAL_PX,
            "z": z,
            "heading": heading,
            "speed": max(0.4, rng.normal(WALK_MPS, 0.3)),
            "pause": 0.0,
            "tall": rng.normal(1.7, 0.1),
            "wide": rng.normal(0.36, 0.04),
            "phase": rng.uniform(0, 2 * np.pi),
        }
        self.next_id += 1
        return row

    def step(self, dt: float) -> tuple[npt.NDArray[np.int64], Array, Array]:
        rng = self.rng
        self.time += dt
        for index, row in enumerate(self.rows):
            row["pause"] -= dt
            if row["pause"] < 0:
                row["heading"] += rng.normal(0, 0.35) * np.sqrt(dt)
                row["x"] += row["speed"] * np.cos(row["heading"]) * dt
                row["z"] += row["speed"] * np.sin(row["heading"]) * dt
                if rng.random() < 0.04 * dt:
                    row["pause"] = rng.uniform(1, 5)
                if rng.random() < 0.03 * dt:
                    row["heading"] += np.pi
            if not NEAR_M <= row["z"] <= FAR_M:
                row["heading"] = -row["heading"]
                row["z"] = float(np.clip(row["z"], NEAR_M, FAR_M))
            if abs(row["x"]) > row["z"] * WIDTH / 2 / FOCAL_PX + 0.5:
                self.rows[index] = self._new(anywhere=False)
        boxes = np.array([self._box(row) for row in self.rows])
        inside = (boxes[:, 2] > 8) & (boxes[:, 0] < WIDTH - 8)
        ids = np.array([int(row["id"]) for row in self.rows])
        depth = np.array([row["z"] for row in self.rows])
        boxes[:, 0::2] = boxes[:, 0::2].clip(0, WIDTH)
        boxes[:, 1::2] = boxes[:, 1::2].clip(0, HEIGHT)
        return ids[inside], boxes[inside], depth[inside]

    def _box(self, row: dict[str, float]) -> list[float]:
        scale = FOCAL_PX / row["z"]
        foot_x, foot_y = WIDTH / 2 + row["x"] * scale, HORIZON_PX + MAST_M * scale
        tall = row["tall"] * scale
        wide = tall * row["wide"] * (1 + 0.15 * np.sin(2 * np.pi * self.time + row["phase"]))
        return [foot_x - wide / 2, foot_y - tall, foot_x + wide / 2, foot_y]


def _pillars(rng: np.random.Generator) -> list[tuple[float, float, float]]:
    """Two pillars as left, right (px) and depth (m)."""
    pillars = []
    for _ in range(2):
        left, z = rng.uniform(100, WIDTH - 160), rng.uniform(NEAR_M, 20)
        pillars.append((left, left + rng.uniform(0.5, 1.2) * FOCAL_PX / z, z))
    return pillars


def _visible(boxes: Array, depth: Array, pillars: list[tuple[float, float, float]]) -> Array:
    """Part of each box (0 to 1) that nothing nearer covers, on a grid of points."""
    steps = (np.arange(GRID) + 0.5) / GRID
    result = np.ones(len(boxes))
    for index, (left, top, right, bottom) in enumerate(boxes):
        x, y = np.meshgrid(left + steps * (right - left), top + steps * (bottom - top))
        hidden = np.zeros(x.shape, bool)
        for other in np.flatnonzero(depth < depth[index]):
            a, b, c, d = boxes[other]
            inset = 0.1 * (c - a)
            hidden |= (x > a + inset) & (x < c - inset) & (y > b) & (y < d)
        for start, end, z in pillars:
            if z < depth[index]:
                hidden |= (x > start) & (x < end)
        result[index] = 1 - hidden.mean()
    return result


class _Detector:
    """A detector with correlated jitter, misses, weak scores under occlusion and flickering false alarms."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.drift: dict[int, Array] = {}
        self.ghosts: list[tuple[Array, int]] = []

    def see(self, ids: npt.NDArray[np.int64], boxes: Array, visible: Array, people: int) -> tuple[Array, Array]:
        rng = self.rng
        found, scores = [], []
        for number, box, part in zip(ids.tolist(), boxes, visible, strict=True):
            side = box[2:] - box[:2]
            slow = 0.7 * self.drift.get(number, np.zeros(4)) + np.sqrt(1 - 0.7**2) * rng.normal(0, 1, 4)
            self.drift[number] = slow
            chance = 0.97 * (1 - np.exp(-side[1] / 18)) / (1 + np.exp(-(part - 0.45) / 0.08))
            if rng.random() < chance:
                noise = JITTER * (slow + rng.normal(0, 1, 4)) / np.sqrt(2) * (1 + 2 * (1 - part))
                centre, half = (box[:2] + box[2:]) / 2 + noise[:2] * side, side * np.exp(noise[2:]) / 2
                found.append(np.concatenate([centre - half, centre + half]))
                scores.append(np.clip(0.2 + 0.6 * part * (1 - np.exp(-side[1] / 30)) + rng.normal(0, 0.1), 0.1, 0.98))
        self._haunt(people)
        for ghost, _ in self.ghosts:
            found.append(ghost + rng.normal(0, 2, 4))
            scores.append(rng.uniform(0.1, 0.55))
        return _suppress(np.array(found).reshape(-1, 4), np.array(scores))

    def _haunt(self, people: int) -> None:
        rng = self.rng
        self.ghosts = [(box, left - 1) for box, left in self.ghosts if left > 1]
        for _ in range(rng.poisson(0.015 * people)):
            z = rng.uniform(NEAR_M, FAR_M)
            tall = 1.7 * FOCAL_PX / z
            x, y = rng.uniform(0, WIDTH), HORIZON_PX + MAST_M * FOCAL_PX / z
            self.ghosts.append((np.array([x - 0.2 * tall, y - tall, x + 0.2 * tall, y]), int(rng.integers(1, 6))))


def _suppress(boxes: Array, scores: Array, limit: float = 0.6) -> tuple[Array, Array]:
    """Drop the weaker of two boxes that overlap by more than `limit`, as a detector's NMS does."""
    kept: list[int] = []
    for index in np.argsort(-scores):
        if not kept or iou(boxes[index][None], boxes[kept]).max() <= limit:
            kept.append(int(index))
    return boxes[kept], scores[kept]


def iou(a: Array, b: Array) -> Array:
    """Overlap of every box of `a` (N, 4) with every box of `b` (M, 4): (N, M), 0 to 1."""
    a, b = np.asarray(a, float).reshape(-1, 4), np.asarray(b, float).reshape(-1, 4)
    side = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    both = np.prod(np.maximum(side, 0), axis=2)
    area_a, area_b = np.prod(a[:, 2:] - a[:, :2], axis=1), np.prod(b[:, 2:] - b[:, :2], axis=1)
    return both / np.maximum(area_a[:, None] + area_b[None, :] - both, 1e-9)
