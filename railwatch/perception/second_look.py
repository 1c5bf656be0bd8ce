"""The second look at animals: which of them is due, the picture that is cut out, and the classifier that looks at it.

The classifier is an ONNX file as `classifiers export` writes it: pictures in, probabilities out, all that must be known
of it inside. It is read with distrust: what does not say of itself what it is, or answers otherwise, is refused.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeGuard

import cv2
import numpy as np

from railwatch.core.errors import ModelError
from railwatch.core.provider import Provider
from railwatch.core.second_look import ANIMAL, MAX_TAXON_LENGTH, is_taxon
from railwatch.core.types import Box, Observation, Picture, Region, SampleForm, Size, Track, TrackState, UInt8Array
from railwatch.perception.model import read_model
from railwatch.perception.session import Port, Session, native_errors, open_session

FORMAT: Final = "1"
"""Version of the metadata that is understood."""

MOST_CLASSES: Final = 20_000
MOST_SIDE: Final = 512
"""Largest side of a crop in pixels: a classifier that looks at larger pictures scales it up itself."""

LEAST_SIDE_PX: Final = 16
"""A box that is narrower and lower than this in the frame shows too little to be worth a look."""

MARGIN: Final = 1.15
"""A crop is so much larger than the longer side of the box."""

MOST_A_FRAME: Final = 2
"""Animals of one frame that are cut out at most, so that a herd costs the next frame little."""

_PREFIX: Final = "classifiers."
_IMAGE: Final = "image"
_PROB: Final = "prob"
_FINEST: Final = 4
_SUM_WITHIN: Final = 0.01


@dataclass(frozen=True, slots=True)
class ClassifierFacts:
    """What a file says of itself: its classes, the side in pixels that it scales pictures to, when it abstains."""

    classes: tuple[str, ...]
    side: int
    abstain_below: float


class Classifier:
    """A classifier that is open and has been tried. Not to be used from two threads."""

    def __init__(self, session: Session, facts: ClassifierFacts) -> None:
        self._session = session
        self.facts = facts

    def classify(self, pictures: UInt8Array) -> list[tuple[int, float]]:
        """The likeliest class of each picture, and its probability; `pictures` (N, S, S, 3) uint8 RGB.

        Raises ModelError when the answer is not a probability for each class of each picture.
        """
        with native_errors("the classifier cannot be run"):
            (prob,) = self._session.run([_PROB], {_IMAGE: pictures})
        wanted = (len(pictures), len(self.facts.classes))
        if prob.shape != wanted:
            raise ModelError(f"the classifier must answer {wanted}, but answers {prob.shape}")
        if not (np.isfinite(prob).all() and (prob >= 0.0).all() and np.allclose(prob.sum(1), 1.0, atol=_SUM_WITHIN)):
            raise ModelError("the classifier must answer with probabilities, but some are none, or do not add up to 1")
        best = prob.argmax(1)
        return [(int(index), min(1.0, float(row[index]))) for index, row in zip(best, prob, strict=True)]


def open_classifier(
    path: Path, provider: Provider, sha256: str | None = None, say: Callable[[str], None] = lambda _: None
) -> Classifier:
    """Open the file of a classifier on `provider`, with one thread, and try it on grey pictures.

    Raises ModelError, naming what must hold, for what is no ONNX file, is another file than `sha256`, holds its weights
    elsewhere, has no metadata of `classifiers export`, names other classes than it answers for, or answers nonsense;
    ProviderError, InstallError as `open_session` does.
    """
    content = read_model(path)
    found = hashlib.sha256(content).hexdigest()
    if sha256 is not None and found != sha256:
        raise ModelError(f"the classifier {path.name} must have the SHA-256 {sha256}, but has {found}")
    try:
        session = open_session(content, provider, threads=1, say=say)
        facts = facts_of(session.get_modelmeta().custom_metadata_map)
        _check_ports(session, facts)
        classifier = Classifier(session, facts)
        side = min(facts.side, MOST_SIDE)
        for count in (1, 2):
            classifier.classify(np.full((count, side, side, 3), 114, np.uint8))
    except ModelError as error:
        raise type(error)(f"the classifier {path.name}: {error}") from None
    return classifier


def facts_of(metadata: Mapping[str, str]) -> ClassifierFacts:
    """What the metadata of a file say. Raises ModelError, which names what must hold."""
    try:
        given = {
            key.removeprefix(_PREFIX): json.loads(text) for key, text in metadata.items() if key.startswith(_PREFIX)
        }
    except (ValueError, RecursionError):
        raise ModelError("its metadata must be JSON, but are not: export it again") from None
    if given.get("format") != FORMAT:
        raise ModelError(f"it must be written by `classifiers export`, format {FORMAT}, but has no such metadata")
    classes = given.get("classes")
    if not (isinstance(classes, list) and 2 <= len(classes) <= MOST_CLASSES and all(map(is_taxon, classes))):
        raise ModelError(f"it must name 2 to {MOST_CLASSES} classes of 1 to {MAX_TAXON_LENGTH} printable characters")
    if len(set(classes)) != len(classes):
        raise ModelError("its classes must be different, but one is named twice")
    preprocessing, below = given.get("preprocessing"), given.get("abstain_below")
    side = preprocessing.get("size") if isinstance(preprocessing, dict) else None
    if not (isinstance(side, int) and 1 <= side <= 4096 and _is_fraction(below)):
        raise ModelError("its metadata must tell the size of its pictures and from where on it is to be trusted")
    return ClassifierFacts(tuple(classes), side, float(below))


def _is_fraction(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0.0 <= value <= 1.0


def _check_ports(session: Session, facts: ClassifierFacts) -> None:
    inputs, outputs = session.get_inputs(), {port.name: port for port in session.get_outputs()}
    if len(inputs) != 1 or not _takes_pictures(inputs[0]):
        told = ", ".join(f"{port.name} {port.type} {port.shape}" for port in inputs)
        raise ModelError(f"it must take one input, {_IMAGE}, uint8 (N, H, W, 3), but takes {told or 'none'}")
    prob = outputs.get(_PROB)
    if prob is None or len(prob.shape) != 2 or prob.shape[1] != len(facts.classes):
        told = "has none" if prob is None else f"has {prob.shape}"
        raise ModelError(f"it must have an output {_PROB} for each of its {len(facts.classes)} classes, but {told}")


def _takes_pictures(port: Port) -> bool:
    open_sides = len(port.shape) == 4 and not any(isinstance(length, int) for length in port.shape[:3])
    return port.name == _IMAGE and port.type == "tensor(uint8)" and open_sides and port.shape[3] == 3


def crop_of(picture: Picture, box: Box, side: int) -> UInt8Array:
    """A square around a box, (side, side, 3) uint8 RGB.

    It is moved into the frame where it fits; where it does not, the part within the frame is shown in the middle of
    grey. Raises ValueError when nothing of the box lies in the picture.
    """
    region = square_around(box, picture.size)
    fine = min(_FINEST, max(1, math.ceil((region.right - region.left) / (2 * side))))
    form = SampleForm(Size(side * fine, side * fine), "rgb", "center")
    tensor = picture.sample(region, form).tensor
    if fine == 1:
        return tensor
    return np.asarray(cv2.resize(tensor, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def square_around(box: Box, size: Size) -> Region:
    """The square of pixels around a box with a margin, moved into the frame as far as it fits.

    >>> square_around((0.0, 40.0, 20.0, 60.0), Size(200, 100))
    Region(left=0, top=38, right=23, bottom=61)
    """
    left, top, right, bottom = box
    side = max(2, round(MARGIN * max(right - left, bottom - top)))

    def begin(low: float, high: float, length: int) -> int:
        start = round((low + high - side) / 2)
        return min(max(0, start), max(0, length - side)) if side <= length else start

    x, y = begin(left, right, size.width), begin(top, bottom, size.height)
    return Region(x, y, x + side, y + side)


class Turns:
    """Which animals of one camera are due for a look: each at most every so often, those waiting longest first."""

    def __init__(self) -> None:
        self._looked_s: dict[int, float] = {}

    def due(self, seen: Observation, every_s: float) -> list[Track]:
        """The animals of a frame to look at now, MOST_A_FRAME at most; they count as looked at."""
        animals = {track.track_id: track for track in seen.tracks if track.group == ANIMAL}
        self._looked_s = {number: t_s for number, t_s in self._looked_s.items() if number in animals}
        waiting = [
            track
            for number, track in animals.items()
            if _worth_a_look(track, seen.frame_size)
            and abs(seen.t_s - self._looked_s.get(number, -math.inf)) >= every_s
        ]
        waiting.sort(
            key=lambda track: (self._looked_s.get(track.track_id, -math.inf), -_longest(track), track.track_id)
        )
        chosen = waiting[:MOST_A_FRAME]
        self._looked_s |= {track.track_id: seen.t_s for track in chosen}
        return chosen


def _worth_a_look(track: Track, size: Size) -> bool:
    left, top, right, bottom = track.xyxy
    within = right > 0 and bottom > 0 and left < size.width and top < size.height
    return track.state is TrackState.CONFIRMED and within and _longest(track) >= LEAST_SIDE_PX


def _longest(track: Track) -> float:
    left, top, right, bottom = track.xyxy
    return max(right - left, bottom - top)
