"""What is wrong with a file of keys, in the words of its writer: line, key, value, what is allowed.

pydantic finds the faults; here they get their place and their words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from pydantic_core import ErrorDetails

from railwatch.core.settings import KeyPath
from railwatch.site_keys import PATTERNS
from railwatch.strict_yaml import MAX_BYTES, Document, Fault, key_name, read_yaml, shown

MAX_FAULTS: Final = 100
"""Most faults told of one file; a file with more is none of this kind."""

Keys = Mapping[str, Mapping[str, Any]]
"""Every key of a kind of file with its JSON Schema."""


def keys_of(schema: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Every key of a JSON Schema, ``"zones[].kind"`` and the like, with its own."""
    return dict(_walk(schema, "", schema["$defs"]))


def read_document(path: Path, kind: str) -> Document:
    """Read a file; `kind` says what it should be. Whatever is wrong is in `faults`."""
    try:
        with path.open("rb") as file:
            return read_yaml(file.read(MAX_BYTES + 1))
    except FileNotFoundError:
        fault = Fault(0, "", "no such file", f"must be {kind}")
    except IsADirectoryError:
        fault = Fault(0, "", "a folder", f"must be {kind}")
    except OSError as error:
        fault = Fault(0, "", f"a file that cannot be read ({error.strerror})", f"must be {kind} that can be read")
    return Document(faults=[fault])


def follows(document: Document, error: ErrorDetails, keys: Keys) -> bool:
    """Whether an error only says again that a value could not be read."""
    return error["type"] != "extra_forbidden" and path_of(error, keys) in document.unread


def in_order(faults: Sequence[Fault]) -> list[Fault]:
    """The first faults of a file, in the order of their lines."""
    return sorted(faults, key=lambda fault: fault.line)[:MAX_FAULTS]


def path_of(error: ErrorDetails, keys: Keys) -> KeyPath:
    """Where pydantic found an error; a fault between the keys of a map is put at the key that its text begins with."""
    path = tuple(part for part in error["loc"] if part != "[key]")
    if error["type"] == "value_error":
        named = (*path, error["msg"].removeprefix("Value error, ").split()[0])
        return named if pattern_of(named) in keys else path
    return path


def pattern_of(path: KeyPath) -> str:
    """The key that a path is of.

    >>> pattern_of(("zones", 2, "kind"))
    'zones[].kind'
    """
    return re.sub(r"\[\d+\]", "[]", key_name(path))


def fault_of(document: Document, error: ErrorDetails, keys: Keys) -> Fault:
    """What pydantic found, with its line, key, value and what is allowed; `keys` are those of the whole file."""
    path = path_of(error, keys)
    line = line_of(document, path)
    if error["type"] == "missing":
        meaning = keys[pattern_of(path)]["description"]
        return Fault(line, key_name(path), "nothing", f"must be given: {meaning}")
    if error["type"] == "extra_forbidden":
        return Fault(line, key_name(path), "an unknown key", _nearest(path, keys))
    return Fault(line, key_name(path), written_of(document, path), _allowed(error))


def _nearest(path: KeyPath, keys: Keys) -> str:
    name, parent = str(path[-1]), pattern_of(path[:-1])
    siblings = [key.rpartition(".")[2] for key in keys if key.rpartition(".")[0] in (parent, f"{parent}[]")]
    close = get_close_matches(name, siblings, n=1)
    if close:
        return f"did you mean {close[0]}?"
    elsewhere = [key for key in keys if key.rpartition(".")[2] == name]
    return f"did you mean {elsewhere[0]}?" if elsewhere else f"must be one of {', '.join(siblings)}"


_ALLOWED: Final[Mapping[str, str]] = {
    "string_type": "must be text (in quotes if it reads like a number or truth value)",
    "string_too_short": "must not be empty",
    "string_too_long": "must be at most {max_length} characters long",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be a map of names to lists",
    "model_type": "must be a map of keys",
    "greater_than": "must be more than {gt:g}",
    "greater_than_equal": "must be {ge:g} or more",
    "less_than_equal": "must be {le:g} or less",
    "too_short": "must have {min_length} or more entries",
    "too_long": "must have {max_length} or fewer entries",
    "enum": "must be {expected}",
    "literal_error": "must be {expected}",
    "value_error": "{error}",
}


def _allowed(error: ErrorDetails) -> str:
    context = error.get("ctx", {})
    if error["type"] == "string_pattern_mismatch":
        return PATTERNS[context["pattern"]]
    return _ALLOWED.get(error["type"], error["msg"]).format(**context)


def line_of(document: Document, path: KeyPath) -> int:
    """The line of a path, or of what it should stand in; 0 where nothing is known."""
    known = (document.lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in document.lines)
    return next(known, 0)


def written_of(document: Document, path: KeyPath) -> str:
    """The value at a path as it was written."""
    if path in document.written:
        return document.written[path]
    value: Any = document.value
    for part in path:
        if isinstance(part, int):
            value = value[part] if isinstance(value, list) and part < len(value) else None
        else:
            value = value.get(part) if isinstance(value, dict) else None
    return shown(value)


def _walk(schema: Mapping[str, Any], prefix: str, parts: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, written in schema.get("properties", {}).items():
        # What may be left out is "this or null" in the schema.
        kinds = [kind for kind in written.get("anyOf", ()) if kind.get("type") != "null"]
        entry = {**kinds[0], **written} if len(kinds) == 1 else written
        inner, mark = (entry["items"], "[].") if "items" in entry else (entry, ".")
        referred = parts.get(inner.get("$ref", "").rpartition("/")[2], {})
        yield prefix + name, entry if mark == "[]." else {**referred, **entry}
        yield from _walk(referred, prefix + name + mark, parts)
