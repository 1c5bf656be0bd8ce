"""YAML, read strictly: bounded, without aliases, anchors and tags, and with the line of every value.

Plain scalars follow the core schema of YAML 1.2: only ``true`` and ``false`` are truth values, so that a camera named
``no`` keeps its name. Everything that PyYAML would pass over in silence (a key given twice, an alias) is a fault.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

import yaml

from railwatch.core.settings import KeyPath

MAX_BYTES: Final = 256 * 1024
MAX_DEPTH: Final = 20
MAX_SCALAR: Final = 4096
"""Longest key or value, in characters."""

Plain = str | int | float | bool | list["Plain"] | dict[str, "Plain"] | None
"""What a document is made of."""

_TAG: Final = "tag:yaml.org,2002:"
_USER: Final = re.compile(r"//[^/\s@]*@")
_ALIAS: Final = "alias"
_SCALARS: Final[Mapping[str, Callable[[str], Plain]]] = MappingProxyType(
    {
        f"{_TAG}null": lambda _: None,
        f"{_TAG}bool": lambda text: text.lower() == "true",
        f"{_TAG}int": int,
        f"{_TAG}float": lambda text: float(text.replace(".inf", "inf").replace(".nan", "nan")),
    }
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong in a document: its line (0: the whole file), key, the value as written, and what is allowed.

    >>> print(Fault(12, "zones[0].kind", "'trak'", "must be track or ignore"))
    line 12: zones[0].kind: given 'trak', must be track or ignore
    """

    line: int
    key: str
    value: str
    allowed: str

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line else ""
        key = f"{self.key}: " if self.key else ""
        return f"{where}{key}given {self.value}, {self.allowed}"


@dataclass(slots=True)
class Document:
    """A document as plain values, with the line and the written form of the value at every path.

    `unread` are the paths whose value is None because a fault stood in its place.
    """

    value: Plain = None
    lines: dict[KeyPath, int] = field(default_factory=dict)
    written: dict[KeyPath, str] = field(default_factory=dict)
    unread: set[KeyPath] = field(default_factory=set)
    faults: list[Fault] = field(default_factory=list)


def key_name(path: KeyPath) -> str:
    """A path as people write it.

    >>> key_name(("zones", 2, "camera_id"))
    'zones[2].camera_id'
    """
    return "".join(f"[{part}]" if isinstance(part, int) else f".{_one_line(part)}" for part in path).lstrip(".")


def shown(value: object) -> str:
    """A value in a form short enough for one line.

    >>> shown([1, 2]), shown("trak"), shown(None)
    ('a list of 2', "'trak'", 'nothing')
    """
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, Mapping):
        return f"a map of {len(value)}"
    if value is None:
        return "nothing"
    if isinstance(value, str):
        value = _USER.sub("//***@", value)  # the address of a stream may hold a password
    return f"'{_one_line(value)}'" if isinstance(value, str) else _one_line(str(value))


def _one_line(text: str) -> str:
    """At most 60 characters, none of which a terminal would obey."""
    safe = "".join(c if c.isprintable() else "?" for c in text[:60])
    return safe if len(text) <= 60 else f"{safe}..."


def read_yaml(data: bytes) -> Document:
    r"""Read one document. Whatever is wrong is in `faults`; `value` is None where nothing could be read.

    >>> read_yaml(b"a: 1\na: 2").faults[0].allowed
    'must be given once, but stands in line 1 already'
    """
    document = Document()
    if len(data) > MAX_BYTES:
        document.faults.append(Fault(0, "", f"{len(data)} bytes", f"must be at most {MAX_BYTES} bytes long"))
        return document
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        document.faults.append(Fault(line, "", f"byte 0x{data[error.start]:02x}", "must be a text file in UTF-8"))
        return document
    try:
        composer = _Composer(text, document.faults)
        node = composer.get_single_node()
    except yaml.YAMLError as error:
        document.faults.append(_syntax_fault(text, error))
        return document
    if node is None:
        document.faults.append(Fault(0, "", "an empty file", "must hold at least one key"))
        return document
    document.value = _build(document, (), node)
    return document


class _Composer(yaml.BaseLoader):
    """Composes nodes and notes every construct that is not allowed; constructs no objects at all."""

    def __init__(self, text: str, faults: list[Fault]) -> None:
        self._depth = 0
        self._faults = faults
        super().__init__(text)

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        start, end = event.start_mark, event.end_mark
        line = start.line + 1
        if isinstance(event, yaml.AliasEvent):
            self.get_event()  # type: ignore[no-untyped-call]
            self._faults.append(Fault(line, "", f"alias *{event.anchor}", "must write the value out: no aliases"))
            return yaml.ScalarNode(_ALIAS, "", start, end)
        if event.anchor is not None:
            self._faults.append(Fault(line, "", f"anchor &{event.anchor}", "must have no anchors"))
            event.anchor = None
        if event.tag is not None:
            self._faults.append(Fault(line, "", f"tag {event.tag}", "must have no tags"))
            event.tag = None
        if self._depth > MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem=f"must be nested at most {MAX_DEPTH} deep", problem_mark=start)
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1


for _name, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
):
    _Composer.add_implicit_resolver(f"{_TAG}{_name}", re.compile(rf"^(?:{_pattern})$"), _first)


def _build(document: Document, path: KeyPath, node: yaml.Node) -> Plain:
    document.lines.setdefault(path, node.start_mark.line + 1)
    value: Plain
    if isinstance(node, yaml.MappingNode):
        value = _build_map(document, path, node)
    elif isinstance(node, yaml.SequenceNode):
        value = [_build(document, (*path, index), item) for index, item in enumerate(node.value)]
    else:
        value = _build_scalar(document, path, node)
    document.written[path] = shown(str(node.value) if isinstance(value, int | float) else value)
    return value


def _build_map(document: Document, path: KeyPath, node: yaml.MappingNode) -> dict[str, Plain]:
    result: dict[str, Plain] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            document.faults.append(Fault(line, key_name(path), "a list or map as a key", "must have text as keys"))
            continue
        key = (*path, str(key_node.value))
        if key_node.value in result:
            first = document.lines[key]
            allowed = f"must be given once, but stands in line {first} already"
            document.faults.append(Fault(line, key_name(key), "the key again", allowed))
            continue
        document.lines[key] = line
        result[key_node.value] = _build(document, key, value_node)
    return result


def _build_scalar(document: Document, path: KeyPath, node: yaml.Node) -> Plain:
    text = str(node.value)
    if node.tag == _ALIAS:
        document.unread.add(path)
        return None
    if len(text) > MAX_SCALAR:
        document.unread.add(path)
        line = node.start_mark.line + 1
        allowed = f"must be at most {MAX_SCALAR} characters long"
        document.faults.append(Fault(line, key_name(path), f"{len(text)} characters", allowed))
        return None
    return _SCALARS.get(node.tag, str)(text)


def _syntax_fault(text: str, error: yaml.YAMLError) -> Fault:
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, error.position) + 1
        return Fault(line, "", f"control character {error.character!r}", "must be a text file")
    mark = getattr(error, "problem_mark", None)
    line = mark.line + 1 if mark is not None else 0
    problem = str(getattr(error, "problem", None) or error)
    if "'\\t'" in problem:
        return Fault(line, "", "a tab", "must be indented with spaces")
    written = text.splitlines()[line - 1].strip() if 0 < line <= len(text.splitlines()) else ""
    return Fault(line, "", shown(written), problem if problem.startswith("must") else f"must be valid YAML: {problem}")
