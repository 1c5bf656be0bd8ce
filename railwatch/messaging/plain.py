"""Frozen dataclasses to and from plain JSON values, strictly, led by their type annotations.

Both directions check every type, so that what one side sends the other can always read. An `Epoch` is a text, an
enumeration is its value, a mapping is an object with sorted keys.
"""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Callable, Mapping
from enum import Enum
from functools import cache
from typing import Any, Final, get_args, get_origin, get_type_hints

from railwatch.core.alerts import Epoch
from railwatch.core.errors import WireError

MAX_INTEGER: Final = 2**53 - 1
"""Largest integer on the wire: beyond it, readers that keep numbers as doubles lose digits."""

MAX_EPOCH_LENGTH: Final = 128
_SHOWN: Final = 60


@cache
def fields_of(cls: Any) -> Mapping[str, Any]:  # noqa: ANN401 - a dataclass
    """Names and resolved annotations of a dataclass, in the order of its definition."""
    hints = get_type_hints(cls)
    return types.MappingProxyType({field.name: hints[field.name] for field in dataclasses.fields(cls)})


def optional_of(hint: Any) -> Any | None:  # noqa: ANN401 - an annotation may be any object
    """The `X` of ``X | None``, or None when the annotation is not of that form.

    >>> optional_of(str | None)
    <class 'str'>
    """
    if not isinstance(hint, types.UnionType):
        return None
    return next(part for part in get_args(hint) if part is not types.NoneType)


def to_plain(value: object, hint: Any, where: str) -> Any:  # noqa: ANN401 - a JSON value
    """The JSON value of `value`, which must be what the annotation `hint` says; `where` names it in errors.

    Raises:
        WireError: The value is of another type, not finite, too large, or text that UTF-8 cannot hold.
    """
    if (inner := optional_of(hint)) is not None:
        return None if value is None else to_plain(value, inner, where)
    if hint is Epoch:
        return _epoch_text(_instance(value, Epoch, where), where)
    if dataclasses.is_dataclass(hint):
        return _dataclass_to_plain(value, hint, where)
    if get_origin(hint) is not None:
        return _many_to_plain(value, hint, where)
    if issubclass(hint, Enum):
        return _instance(value, hint, where).value
    return _scalar(value, hint, where)


def from_plain(raw: object, hint: Any, where: str) -> Any:  # noqa: ANN401 - what the annotation says
    """The value that a JSON value stands for; the inverse of `to_plain`.

    Raises:
        WireError: A key is missing or unknown, a type is wrong, or the dataclass refuses the value.
    """
    return _reader(hint)(raw, where)


@cache
def _reader(hint: Any) -> Callable[[object, str], Any]:  # noqa: ANN401 - an annotation
    """What reads values of an annotation; found once, for asking an annotation takes longer than reading a value."""
    if (inner := optional_of(hint)) is not None:
        read = _reader(inner)
        return lambda raw, where: None if raw is None else read(raw, where)
    if hint is Epoch:
        return _epoch
    if dataclasses.is_dataclass(hint):
        return lambda raw, where: _dataclass(raw, hint, where)
    if get_origin(hint) is not None:
        return lambda raw, where: _many_from_plain(raw, hint, where)
    if issubclass(hint, Enum):
        return lambda raw, where: _enum(raw, hint, where)
    return lambda raw, where: _scalar(raw, hint, where)


def shown(value: object) -> str:
    """`value` as an error message shows it: at most 60 characters, so that a hostile message makes no long line."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def _dataclass_to_plain(value: object, hint: Any, where: str) -> dict[str, Any]:  # noqa: ANN401 - a dataclass
    found = _instance(value, hint, where)
    return {key: to_plain(getattr(found, key), item, _at(where, key)) for key, item in fields_of(hint).items()}


def _many_to_plain(value: object, hint: Any, where: str) -> Any:  # noqa: ANN401 - a list or an object
    if get_origin(hint) is Mapping:
        item = get_args(hint)[1]
        pairs = [(_text(k, where), v) for k, v in _instance(value, Mapping, where).items()]
        return {key: to_plain(v, item, _at(where, key)) for key, v in sorted(pairs, key=lambda pair: pair[0])}
    item = get_args(hint)[0]
    return [to_plain(v, item, f"{where}[{i}]") for i, v in enumerate(_instance(value, tuple, where))]


def _many_from_plain(raw: object, hint: Any, where: str) -> Any:  # noqa: ANN401 - a tuple or a mapping
    if get_origin(hint) is Mapping:
        item = get_args(hint)[1]
        return {_text(k, where): from_plain(v, item, _at(where, k)) for k, v in _instance(raw, dict, where).items()}
    item = get_args(hint)[0]
    return tuple(from_plain(v, item, f"{where}[{i}]") for i, v in enumerate(_instance(raw, list, where)))


def _at(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _instance(value: object, kind: Any, where: str) -> Any:  # noqa: ANN401 - an instance of `kind`
    if not isinstance(value, kind):
        raise WireError(f"{where or 'the message'} must be {_KIND.get(kind, kind.__name__)}, but is {shown(value)}")
    return value


_KIND: Final[Mapping[Any, str]] = types.MappingProxyType({dict: "an object", list: "a list"})


def _dataclass(raw: object, hint: Any, where: str) -> Any:  # noqa: ANN401 - an instance of `hint`
    found = _instance(raw, dict, where)
    hints = fields_of(hint)
    place = f" in {where}" if where else ""
    if missing := [key for key in hints if key not in found]:
        raise WireError(f"key {missing[0]!r} is missing{place}")
    if unknown := [key for key in found if key not in hints]:
        raise WireError(f"key {shown(unknown[0])} is unknown{place}")
    values = {key: from_plain(found[key], item, _at(where, key)) for key, item in hints.items()}
    try:
        return hint(**values)
    except ValueError as error:
        raise WireError(f"{where or hint.__name__}: {error}") from error


def _enum(raw: object, hint: Any, where: str) -> Any:  # noqa: ANN401 - a member of `hint`
    allowed = [member.value for member in hint]
    if not isinstance(raw, str) or raw not in allowed:
        raise WireError(f"{where} must be one of {', '.join(allowed)}, but is {shown(raw)}")
    return hint(raw)


def _epoch(raw: object, where: str) -> Epoch:
    text = _text(raw, where)
    try:
        epoch = Epoch.parse(text) if len(text) <= MAX_EPOCH_LENGTH else None
    except ValueError:
        epoch = None
    if epoch is None or str(epoch) != text or epoch.boot > MAX_INTEGER:
        raise WireError(f"{where} must be '<journal_id>.<boot>', but is {shown(raw)}")
    return epoch


def _epoch_text(epoch: Epoch, where: str) -> str:
    return str(_epoch(str(epoch), where))


def _scalar(value: object, hint: Any, where: str) -> object:  # noqa: ANN401 - an annotation
    if hint is str:
        return _text(value, where)
    if hint is bool:
        if not isinstance(value, bool):
            raise WireError(f"{where} must be true or false, but is {shown(value)}")
        return value
    if hint is int:
        return _integer(value, where)
    if hint is float:
        return _number(value, where)
    raise TypeError(f"{where}: the wire format knows no {hint}")


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise WireError(f"{where or 'a key'} must be text, but is {shown(value)}")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise WireError(f"{where} must be text that UTF-8 can hold, but is {shown(value)}") from None
    return value


def _integer(value: object, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > MAX_INTEGER:
        raise WireError(f"{where} must be an integer of at most 53 bits, but is {shown(value)}")
    return value


def _number(value: object, where: str) -> float:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MAX_INTEGER:
        return float(value)
    if not isinstance(value, float) or not math.isfinite(value):
        raise WireError(f"{where} must be a finite number, but is {shown(value)}")
    return value
