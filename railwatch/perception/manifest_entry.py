"""One entry of a manifest of models: strictly read, or refused with the key that is wrong."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Final
from urllib.parse import urlsplit

from railwatch.core.coverage import Recall
from railwatch.core.errors import ModelError
from railwatch.core.model_names import is_model_name
from railwatch.core.types import Size
from railwatch.perception.model_facts import ModelFacts, facts_from_table

MAX_MODEL_BYTES: Final = 512 * 1024 * 1024
"""Largest model file, bytes; the largest YOLO detectors have about 270 MB."""

_REQUIRED: Final = frozenset({"sha256", "bytes", "source", "card", "size", "accuracy", "speed"})
_OPTIONAL: Final = frozenset({"file", "url", "recall"})
_CARD: Final = re.compile(r"(?:[\w-]+/)?[\w-]+\.md")


@dataclass(frozen=True, slots=True)
class Accuracy:
    """One measured figure: `metric` on `data` is `value` (0 to 1); `by` is a command, or the publisher."""

    metric: str
    data: str
    value: float
    by: str


@dataclass(frozen=True, slots=True)
class Speed:
    """Milliseconds of one bare run of the network on one picture: `machine`, and the command or publisher `by`."""

    ms: float
    machine: str
    by: str


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """One known model.

    It lies as `file` in the folder of the manifest, or can be pulled from `url`, or is only recognised when somebody
    brings it (neither). It has exactly `bytes` bytes. `source` says where it is from, `card` names its model card.
    `recall`: of people by height in pixels of its input, the smallest first; empty where it was not measured.
    """

    name: str
    sha256: str
    bytes: int
    file: str | None
    url: str | None
    source: str
    card: str
    accuracy: tuple[Accuracy, ...]
    speed: tuple[Speed, ...]
    facts: ModelFacts
    recall: tuple[Recall, ...] = ()


def entry_from_table(model: Mapping[str, Any], lists: Mapping[str, Any], origin: str) -> ManifestEntry:
    """Read one table ``[[model]]``; `lists` are the shared lists of class names. Raises ModelError naming the key."""
    missing = sorted(_REQUIRED - set(model))
    if missing:
        raise ModelError(f"{origin} lacks {', '.join(missing)}")
    facts = {key: value for key, value in model.items() if key not in _REQUIRED | _OPTIONAL}
    named = facts.get("classes")
    if isinstance(named, str):
        if named not in lists:
            raise ModelError(f"{origin}: classes names the list {named!r}, which is not among {sorted(lists)}")
        facts["classes"] = lists[named]
    described = facts_from_table(facts, _size(model["size"], origin), origin)
    file, url = model.get("file"), model.get("url")
    _check(model, described.name, origin)
    return ManifestEntry(
        name=described.name,
        sha256=model["sha256"],
        bytes=model["bytes"],
        file=file,
        url=url,
        source=model["source"],
        card=model["card"],
        accuracy=tuple(_accuracy(row, origin) for row in _rows(model, "accuracy", origin)),
        speed=tuple(_speed(row, origin) for row in _rows(model, "speed", origin)),
        facts=described,
        recall=_recall(model, origin),
    )


def entry_to_toml(entry: ManifestEntry) -> str:
    """The entry as a table ``[[model]]`` that `entry_from_table` reads as the same entry again."""
    facts = entry.facts
    rows: dict[str, object] = {
        "name": entry.name,
        "file": entry.file,
        "url": entry.url,
        "sha256": entry.sha256,
        "bytes": entry.bytes,
        "source": entry.source,
        "licence": facts.licence,
        "card": entry.card,
        "head": facts.head,
        "size": list(facts.size),
        "channels": facts.channels,
        "pixel_max": facts.pixel_max,
        "letterbox": facts.letterbox,
        "pad_value": facts.pad_value,
        "nms_iou": facts.nms_iou,
        "classes": list(facts.class_names),
        "accuracy": [asdict(row) for row in entry.accuracy],
        "speed": [asdict(row) for row in entry.speed],
        "recall": [{"px": list(row[:2]), "found": row.found, "people": row.people} for row in entry.recall] or None,
    }
    lines = (f"{key} = {_toml(value)}" for key, value in rows.items() if value is not None)
    return "\n".join(("[[model]]", *lines, ""))


def _toml(value: object) -> str:
    """A value as TOML: texts and numbers as JSON has them, tables in one line."""
    match value:
        case list():
            return f"[{', '.join(map(_toml, value))}]"
        case dict():
            return f"{{ {', '.join(f'{key} = {_toml(item)}' for key, item in value.items())} }}"
        case _:
            return json.dumps(value, ensure_ascii=False, allow_nan=False).replace("\x7f", "\\u007f")


def is_https(url: object) -> bool:
    """Whether this is an https address with a host and without a password.

    >>> is_https("https://example.org/a.onnx"), is_https("http://example.org/a.onnx"), is_https("file:///a.onnx")
    (True, False, False)
    """
    if not isinstance(url, str):
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme == "https" and bool(parts.hostname) and parts.username is None and url.isprintable()


def _check(model: Mapping[str, Any], name: str, origin: str) -> None:
    """Raise ModelError for the first value that is not what it must be."""
    if not is_model_name(name):
        raise ModelError(f"{origin}: name must be small letters, digits, - and _, at most 64, but is {name!r}")
    sha256, size, file, url = model["sha256"], model["bytes"], model.get("file"), model.get("url")
    if not isinstance(sha256, str) or not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise ModelError(f"{origin}: sha256 must be 64 hexadecimal digits in small letters, but is {sha256!r}")
    if type(size) is not int or not 0 < size <= MAX_MODEL_BYTES:
        raise ModelError(f"{origin}: bytes must be a whole number from 1 to {MAX_MODEL_BYTES}, but is {size!r}")
    if file is not None and file != f"{name}.onnx":
        raise ModelError(f"{origin}: file must be the name with .onnx, {name}.onnx, but is {file!r}")
    if url is not None and (file is not None or not is_https(url)):
        raise ModelError(f"{origin}: url must be an https address, and not beside a file, but is {url!r}")
    if not isinstance(model["card"], str) or not _CARD.fullmatch(model["card"]):
        raise ModelError(f"{origin}: card must name a .md file like cards/NAME.md, but is {model['card']!r}")
    _text(model, "source", origin)
    if file is not None and not (model["accuracy"] and model["speed"]):
        raise ModelError(f"{origin}: a model with a file must have measured accuracy and speed, but lacks one")


def _rows(model: Mapping[str, Any], key: str, origin: str) -> Sequence[Mapping[str, Any]]:
    rows = model[key]
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ModelError(f"{origin}: {key} must be a list of tables, but is {rows!r}")
    return rows


def _accuracy(row: Mapping[str, Any], origin: str) -> Accuracy:
    _keys(row, {"metric", "data", "value", "by"}, f"{origin}, accuracy")
    value = row["value"]
    if type(value) is not float or not 0.0 <= value <= 1.0:
        raise ModelError(f"{origin}, accuracy: value must be a number 0.0 to 1.0, but is {value!r}")
    metric, data, by = (_text(row, key, f"{origin}, accuracy") for key in ("metric", "data", "by"))
    return Accuracy(metric, data, value, by)


def _speed(row: Mapping[str, Any], origin: str) -> Speed:
    _keys(row, {"ms", "machine", "by"}, f"{origin}, speed")
    ms = row["ms"]
    if type(ms) is not float or not (math.isfinite(ms) and ms > 0.0):
        raise ModelError(f"{origin}, speed: ms must be a number above 0.0, but is {ms!r}")
    machine, by = (_text(row, key, f"{origin}, speed") for key in ("machine", "by"))
    return Speed(ms, machine, by)


def _recall(model: Mapping[str, Any], origin: str) -> tuple[Recall, ...]:
    """Recall by height: spans without a hole from the smallest to the largest people, with counts."""
    if "recall" not in model:
        return ()
    where, found = f"{origin}, recall", []
    for row in _rows(model, "recall", origin):
        _keys(row, {"px", "found", "people"}, where)
        match row["px"], row["found"], row["people"]:
            case [int(low), int(high)], int(hit), int(people) if 0 < low < high and 0 <= hit <= people:
                found.append(Recall(low, high, hit, people))
            case _:
                raise ModelError(f"{where}: a row must be px = [from, to], found and people of them, but is {row!r}")
    if any(one.to_px != other.from_px for one, other in pairwise(found)):
        raise ModelError(f"{where}: px must go on from row to row without a hole")
    return tuple(found)


def _keys(row: Mapping[str, Any], expected: set[str], origin: str) -> None:
    if set(row) != expected:
        raise ModelError(f"{origin} must have the keys {', '.join(sorted(expected))}, but has {', '.join(sorted(row))}")


def _text(table: Mapping[str, Any], key: str, origin: str) -> str:
    text = table[key]
    if not isinstance(text, str) or not text.strip():
        raise ModelError(f"{origin}: {key} must be a text, but is {text!r}")
    return text


def _size(value: object, origin: str) -> Size:
    match value:
        case [int(width), int(height)]:
            return Size(width, height)
        case _:
            raise ModelError(f"{origin}: size must be [width, height] in pixels, but is {value!r}")
