"""Which pictures there are, what is true of each, and on which side of the split its source lies.

The split is by source, written down here before any training: frames of one video, or pictures of one place, never
lie on two sides. `train` teaches, `val` chooses the checkpoint, `test` is looked at to report and for nothing else.
Sources that may not train shipped weights (RailSem19, the level crossing, clips without a licence) are `test`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

CLASSES = (
    "person", "bicycle", "car", "motorcycle", "bus", "train", "truck", "bird", "cat", "dog", "horse", "sheep", "cow",
    "elephant", "bear",
)  # fmt: skip
COCO_IDS = (0, 1, 2, 3, 5, 6, 7, 14, 15, 16, 17, 18, 19, 20, 21)
"""Where COCO's 80 classes have ours, in our order."""

TRAM_IDS = (4, 2, 3, 0, 5, 6)
"""Our class for each of the tram pictures' own: bus, car, motorcycle, person, train, truck."""

ALL = frozenset(range(len(CLASSES)))
PERSON, TRAIN = 0, 5
NO_ANIMALS = frozenset(range(7))
"""People and vehicles: our rendered cows are too smooth to teach anybody what a cow is."""

METRO_OF_GREY_ROOFS = ("00c8b1", "3a5c1e", "5eb26a", "2da6fa", "176f06", "53f9e3", "e7757f", "34c21e", "23017d",
    "8f8e82", "a46f9f", "a6a0c2", "06964f", "18226d", "9b6ff1", "dd95a7", "96a602", "2f8461", "517a63", "d6b821",
    "19d5b9", "2f59a8", "f675cf", "c35c3f", "3fd170", "181322", "29686f", "88a14c", "43f3fe", "561356", "e02940",
    "9e668d", "43cdd9")  # fmt: skip
"""Frames of one of the five metro videos, by the beginning of their hash: all five carry the same names."""

RAIL_TEST = (
    "rs*", "Screenshot_1[6-9]*", "Screenshot_2[0-2]*", "Screenshot_50*", "ck2_*", "Cack_*", "Animal*", "1-[6-9]-*",
    "people-platform-s-bahn*", "de-1200x*", "caption*", "3_JPG*", "5_JPG*", "ria*", "Ekran*",
)  # fmt: skip
RAIL_VAL = ("IMG_5508*", "rtrack*", "p118*", "p54*", "p84*", "1-5-*", "1-10-*", "ck_000[1-5]*")
RAIL_TRAINLESS = ("ck*", "Cack*", "1-*", "Screenshot*", "Animal*", "10_JPG*", "3_JPG*", "5_JPG*", "teh*", "11_*")
"""Pictures that were looked at and show no train."""


class Example(NamedTuple):
    """A picture: `classes` (N,) and `xyxy` (N, 4) in its pixels; of the classes in `complete` every object is boxed."""

    source: str
    name: str
    path: Path
    frame: int
    classes: npt.NDArray[np.int64]
    xyxy: npt.NDArray[np.float32]
    complete: frozenset[int]
    outlines: tuple[npt.NDArray[np.float32], ...] = ()

    def picture(self) -> npt.NDArray[np.uint8]:
        """The pixels (H, W, 3), BGR."""
        if self.frame < 0:
            return cv2.imread(str(self.path), cv2.IMREAD_COLOR)
        video = cv2.VideoCapture(str(self.path))
        video.set(cv2.CAP_PROP_POS_FRAMES, self.frame)
        done, picture = video.read()
        if not done:
            raise OSError(f"{self.path} must have a frame {self.frame}, but has not")
        return picture

    def without(self, kind: int) -> Example:
        """The same picture with nothing known of one class."""
        others = self.classes != kind
        return self._replace(classes=self.classes[others], xyxy=self.xyxy[others], complete=self.complete - {kind})

    def untold(self) -> Example:
        """The same picture with nothing known of it."""
        none = np.empty(0, np.int64), np.empty((0, 4), np.float32)
        return self._replace(classes=none[0], xyxy=none[1], complete=frozenset())


def side_of_rail(name: str) -> str:
    """The side of a picture of rail_person_track, by its file name."""
    if any(fnmatch(name, pattern) for pattern in RAIL_TEST) or _mark(name) in METRO_OF_GREY_ROOFS:
        return "test"
    return "val" if any(fnmatch(name, pattern) for pattern in RAIL_VAL) else "train"


def side_of_tram(number: int) -> str:
    """The side of a frame of the tram's one drive: two stretches of road apart from one another."""
    return "train" if number < 89 else "val" if number < 100 else "test"


def side_of_coco(index: int) -> str:
    """The side of a picture of COCO 128, by its place in the sorted list: every picture has its own source."""
    return "test" if index % 2 else "val" if index % 10 == 0 else "train"


def rail(data: Path, side: str) -> Iterator[Example]:
    """rail_person_track: every person is boxed; of trains it is known where there are none."""
    folder = data / "rail_images" / "rail_person_track"
    for path in sorted(folder.glob("*/images/*"), key=lambda path: path.name):
        if side_of_rail(path.name) != side:
            continue
        labels = path.parent.parent / "labels_box" / f"{path.stem}.txt"
        classes, xyxy = _yolo(labels, cv2.imread(str(path)).shape)
        complete = {PERSON} | ({TRAIN} if is_trainless(path.name) else set())
        outlines = _outlines(path.parent.parent / "labels_seg" / f"{path.stem}.txt")
        source = "rs" if path.name.startswith("rs") else "rail"
        yield Example(source, path.name, path, -1, classes, xyxy, frozenset(complete), outlines)


def is_trainless(name: str) -> bool:
    """Whether a picture of rail_person_track is known to show no train."""
    return any(fnmatch(name, pattern) for pattern in RAIL_TRAINLESS)


def tram(data: Path, side: str) -> Iterator[Example]:
    """tram_front_camera: six classes of the road are boxed."""
    folder = data / "rail_images" / "tram_front_camera" / "train"
    for path in sorted(folder.glob("images/*.jpg")):
        found = re.search(r"-(\d+)", path.name)
        if found is None or side_of_tram(int(found[1])) != side:
            continue
        classes, xyxy = _yolo(folder / "labels" / f"{path.stem}.txt", cv2.imread(str(path)).shape)
        own = np.array(TRAM_IDS)[classes] if len(classes) else classes
        yield Example("tram", path.name, path, -1, own, xyxy, frozenset(TRAM_IDS))


def coco(data: Path, side: str) -> Iterator[Example]:
    """The first 128 pictures of COCO train2017; objects of classes that are not ours are left out."""
    for index, path in enumerate(sorted((data / "coco").glob("images/*/*.jpg"))):
        if side_of_coco(index) != side:
            continue
        labels = data / "coco" / "labels" / path.parent.name / f"{path.stem}.txt"
        classes, xyxy = _yolo(labels, cv2.imread(str(path)).shape)
        ours = np.isin(classes, COCO_IDS)
        mine = np.array([COCO_IDS.index(c) for c in classes[ours]], np.int64)
        yield Example("coco", path.name, path, -1, mine, xyxy[ours], ALL)


def clips(data: Path, side: str) -> Iterator[Example]:
    """Frames of the two clips under CC BY 4.0, all for training; what they show is left to the start to say."""
    if side != "train":
        return
    for name, step, complete in (
        ("one-by-one-person-detection.mp4", 45, frozenset({TRAIN})),
        ("car-detection.mp4", 30, frozenset({PERSON, TRAIN})),
    ):
        path = data / "video" / name
        count = int(cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FRAME_COUNT))
        for frame in range(0, count - 5, step):
            none = np.empty(0, np.int64), np.empty((0, 4), np.float32)
            yield Example("clips", f"{name}-{frame}", path, frame, *none, complete)


def rendered(folder: Path, side: str) -> Iterator[Example]:
    """Pictures of `render_training.py`; every twelfth layout is for validation."""
    for path in sorted(folder.glob("*.json")):
        if ("val" if int(path.stem.split("_")[0]) % 12 == 0 else "train") != side:
            continue
        boxes = json.loads(path.read_text(encoding="utf-8"))["boxes"]
        boxes = [box for box in boxes if CLASSES.index(box["class_name"]) in NO_ANIMALS]
        classes = np.array([CLASSES.index(box["class_name"]) for box in boxes], np.int64)
        xyxy = np.array([box["xyxy"] for box in boxes], np.float32).reshape(-1, 4)
        yield Example("rendered", path.stem, path.with_suffix(".jpg"), -1, classes, xyxy, NO_ANIMALS)


def everything(data: Path, rendering: Path | None, side: str) -> list[Example]:
    """All pictures of a side."""
    found = [*rail(data, side), *tram(data, side), *coco(data, side), *clips(data, side)]
    return [*found, *(rendered(rendering, side) if rendering else ())]


def _mark(name: str) -> str:
    return name.rsplit(".rf.", maxsplit=1)[-1][:6]


def _yolo(path: Path, shape: tuple[int, ...]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Classes and boxes of a file of YOLO labels; a picture without a file shows nothing."""
    lines = [line.split() for line in path.read_text().splitlines() if line.strip()] if path.exists() else []
    table = np.array([[float(value) for value in line] for line in lines if len(line) == 5], np.float32).reshape(-1, 5)
    size = np.array([shape[1], shape[0]], np.float32)
    corners = np.concatenate((table[:, 1:3] - table[:, 3:] / 2, table[:, 1:3] + table[:, 3:] / 2), axis=1)
    return table[:, 0].astype(np.int64), corners * np.tile(size, 2)


def _outlines(path: Path) -> tuple[npt.NDArray[np.float32], ...]:
    """Outlines (N, 2) of people, as fractions of the picture."""
    if not path.exists():
        return ()
    table = [line.split() for line in path.read_text().splitlines()]
    people = [row[1:] for row in table if len(row) > 8 and row[0] == "0"]
    return tuple(np.array(row, np.float32).reshape(-1, 2) for row in people)
