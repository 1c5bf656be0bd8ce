"""What must be known of a detection model before its numbers mean anything, and where a file says it itself.

A model is described by its entry in the manifest, by our own metadata (keys ``railwatch.*``), or by the metadata that
Ultralytics writes on export. Nothing is ever guessed from file names or shapes: what is not said raises ModelError.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from railwatch.core.errors import ModelError
from railwatch.core.types import SampleForm, Size
from railwatch.perception.heads import HEADS, STRIDES

MAX_SIDE: Final = 4096
"""Longest side of an input picture, pixels: above any detector in use, and 200 MB as one float32 tensor."""

MAX_CLASSES: Final = 2000
"""Most classes of a model; LVIS has 1203."""

MAX_TEXT: Final = 256 * 1024
"""Longest metadata text that is read, in characters."""

OWN_PREFIX: Final = "railwatch."
"""Our own keys in the metadata of an ONNX file begin so; docs/models.md lists them."""

REQUIRED: Final = frozenset({"name", "head", "channels", "pixel_max", "letterbox", "classes", "licence"})
"""Keys that our own metadata, and an entry of a manifest, must have."""
_OPTIONAL: Final = frozenset({"pad_value", "nms_iou"})
_JSON_KEYS: Final = frozenset({"pixel_max", "classes", "pad_value", "nms_iou"})


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What the graph of a model does not tell by itself.

    `size` of the input picture in pixels; `channels` their order; `pixel_max` the value of a white pixel in the
    input tensor (255 for YOLOX, 1 for Ultralytics); `letterbox` and `pad_value` as in SampleForm; `head` a key of
    `HEADS`; `nms_iou` the overlap above which NMS drops a box, None for a head that needs no NMS.
    Raises ValueError when a value is out of range.

    >>> ModelFacts("a", "yolox", Size(416, 416), "bgr", 255, "top_left", 114, 0.45, ("person",), "MIT").scale
    1.0
    """

    name: str
    head: str
    size: Size
    channels: Literal["rgb", "bgr"]
    pixel_max: Literal[1, 255]
    letterbox: Literal["top_left", "center"]
    pad_value: int
    nms_iou: float | None
    class_names: tuple[str, ...]
    licence: str

    def __post_init__(self) -> None:
        faults = (*_range_faults(self), *_head_faults(self))
        if faults:
            raise ValueError("; ".join(faults))

    @property
    def scale(self) -> float:
        """By what a pixel of 0 to 255 is multiplied."""
        return self.pixel_max / 255.0

    @property
    def form(self) -> SampleForm:
        """The form in which the model wants its samples."""
        return SampleForm(self.size, self.channels, self.letterbox, self.pad_value)


def facts_from_table(table: Mapping[str, Any], size: Size, origin: str) -> ModelFacts:
    """Facts from a table of a manifest or of our own metadata; `classes` is a list of names by class id.

    `origin` names the table in messages. Raises ModelError for a missing or unknown key or a bad value.
    """
    missing, unknown = sorted(REQUIRED - set(table)), sorted(set(table) - REQUIRED - _OPTIONAL)
    if missing or unknown:
        said = [f"lacks {', '.join(missing)}"] if missing else []
        said += [f"has the unknown {', '.join(unknown)}"] if unknown else []
        raise ModelError(f"{origin} {' and '.join(said)}: it must have {', '.join(sorted(REQUIRED))}")
    head = table["head"]
    usual_iou = HEADS[head].nms_iou if isinstance(head, str) and head in HEADS else None
    try:
        return ModelFacts(
            name=table["name"],
            head=head,
            size=size,
            channels=table["channels"],
            pixel_max=table["pixel_max"],
            letterbox=table["letterbox"],
            pad_value=table.get("pad_value", 114),
            nms_iou=table.get("nms_iou", usual_iou),
            class_names=tuple(table["classes"]) if isinstance(table["classes"], list) else table["classes"],
            licence=table["licence"],
        )
    except ValueError as error:
        raise ModelError(f"{origin}: {error}") from None


def facts_from_metadata(metadata: Mapping[str, str], name: str, size: Size) -> ModelFacts:
    """Facts that the file says itself: our own keys if there is one of them, else those of Ultralytics.

    `name` serves where the metadata has none. Raises ModelError when neither describes the model.
    """
    long = [key for key, text in metadata.items() if len(text) > MAX_TEXT]
    if long:
        raise ModelError(f"metadata must be at most {MAX_TEXT} characters, but {long[0][:50]!r} is longer")
    own = {key.removeprefix(OWN_PREFIX): text for key, text in metadata.items() if key.startswith(OWN_PREFIX)}
    if own:
        return _from_own(own, size)
    if "task" in metadata and "names" in metadata:
        return _from_ultralytics(metadata, name, size)
    raise ModelError(
        "the model is not described: it is not in the manifest, and its metadata has neither the keys railwatch.* nor "
        "those of an Ultralytics export (names, task, imgsz). Describe it as docs/models.md says"
    )


def _from_own(own: Mapping[str, str], size: Size) -> ModelFacts:
    table: dict[str, Any] = {}
    for key, text in own.items():
        table[key] = _parsed(json.loads, OWN_PREFIX + key, text) if key in _JSON_KEYS else text
    return facts_from_table(table, size, f"the metadata {OWN_PREFIX}*")


def _from_ultralytics(metadata: Mapping[str, str], name: str, size: Size) -> ModelFacts:
    """RGB 0 to 1, centred letterbox padded with 114: what every Ultralytics detector is trained and exported with."""
    missing = sorted({"imgsz", "stride"} - set(metadata))
    if missing:
        raise ModelError(f"the metadata of an Ultralytics export must name {', '.join(missing)}, but does not")
    if metadata["task"] != "detect":
        raise ModelError(f"the model's task must be 'detect', but is {metadata['task'][:50]!r}: export a detector")
    if metadata.get("channels", "3") != "3":
        raise ModelError(f"the model must take 3 colour channels, but takes {metadata['channels'][:50]}")
    imgsz = _parsed(ast.literal_eval, "imgsz", metadata["imgsz"])
    if imgsz != [size.height, size.width]:
        raise ModelError(
            f"the metadata says imgsz {metadata['imgsz'][:50]}, but the input is {size.height} x {size.width} "
            "(height x width): re-export the model"
        )
    head = "end_to_end" if _without_nms(metadata) else "ultralytics"
    try:
        return ModelFacts(
            name=name,
            head=head,
            size=size,
            channels="rgb",
            pixel_max=1,
            letterbox="center",
            pad_value=114,
            nms_iou=HEADS[head].nms_iou,
            class_names=_names(metadata["names"]),
            licence=metadata.get("license", "not stated"),
        )
    except ValueError as error:
        raise ModelError(f"the metadata of the Ultralytics export: {error}") from None


def _without_nms(metadata: Mapping[str, str]) -> bool:
    """Whether the graph itself gives final boxes: an end-to-end network, or an export with NMS in it."""
    arguments = _parsed(ast.literal_eval, "args", metadata.get("args", "{}"))
    in_graph = isinstance(arguments, dict) and arguments.get("nms") is True
    return in_graph or metadata.get("end2end") == "True"


def _names(text: str) -> tuple[str, ...]:
    """Class names from the Python dictionary {0: "person", ...} that Ultralytics writes."""
    names = _parsed(ast.literal_eval, "names", text)
    if not isinstance(names, dict) or sorted(names, key=repr) != sorted(range(len(names)), key=repr):
        raise ModelError("the metadata names must be a dictionary of class ids 0, 1, 2 ... to names, but is not")
    return tuple(names[index] for index in range(len(names)))


def _parsed(parse: Callable[[str], Any], key: str, text: str) -> Any:  # noqa: ANN401 - checked by who asked
    """Literal of a metadata text; both parsers read values only and run nothing."""
    try:
        return parse(text)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        raise ModelError(f"the metadata {key} cannot be read: it is {text[:60]!r}") from None


def _range_faults(facts: Any) -> list[str]:  # noqa: ANN401 - what a file says may have any type yet
    faults = [
        f"{key} must be a text, but is {value!r}"
        for key, value in (("name", facts.name), ("licence", facts.licence))
        if not isinstance(value, str) or not value
    ]
    choices = {"channels": ("rgb", "bgr"), "letterbox": ("top_left", "center"), "pixel_max": (1, 255)}
    faults += [
        f"{key} must be one of {', '.join(map(str, allowed))}, but is {getattr(facts, key)!r}"
        for key, allowed in choices.items()
        if getattr(facts, key) not in allowed
    ]
    if type(facts.pad_value) is not int or not 0 <= facts.pad_value <= 255:
        faults.append(f"pad_value must be a whole number 0 to 255, but is {facts.pad_value!r}")
    names = facts.class_names
    if not isinstance(names, tuple) or not all(isinstance(name, str) and 0 < len(name) <= 100 for name in names):
        faults.append("classes must be a list of names of 1 to 100 characters")
    elif not 1 <= len(names) <= MAX_CLASSES:
        faults.append(f"there must be 1 to {MAX_CLASSES} classes, but there are {len(names)}")
    if not all(STRIDES[-1] <= side <= MAX_SIDE and side % STRIDES[-1] == 0 for side in facts.size):
        faults.append(
            f"the sides of the input must be multiples of {STRIDES[-1]} up to {MAX_SIDE} pixels, "
            f"but are {facts.size.width} x {facts.size.height}"
        )
    return faults


def _head_faults(facts: Any) -> list[str]:  # noqa: ANN401 - what a file says may have any type yet
    if not isinstance(facts.head, str) or facts.head not in HEADS:
        return [f"head must be one of {', '.join(HEADS)}, but is {facts.head!r}"]
    if HEADS[facts.head].nms_iou is None:
        return [] if facts.nms_iou is None else [f"head {facts.head} needs no NMS, but nms_iou is {facts.nms_iou!r}"]
    if not isinstance(facts.nms_iou, float) or not 0.0 < facts.nms_iou < 1.0:
        return [f"nms_iou must be a number between 0 and 1, but is {facts.nms_iou!r}"]
    return []
