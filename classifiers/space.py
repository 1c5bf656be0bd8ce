"""What a sweep may choose from: a declared space, and the configurations that a choice makes. Standard library only."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from classifiers.config import NetworkConfig, TrainConfig, from_dict
from classifiers.errors import ConfigError
from classifiers.tuning import TuneConfig, tune_config

Value = bool | int | float | str
_MAX_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few values, in the order in which they are shown."""

    values: tuple[Value, ...]

    def __post_init__(self) -> None:
        plain = all(isinstance(value, bool | int | float | str) for value in self.values)
        if not self.values or not plain or len(set(map(repr, self.values))) != len(self.values):
            raise ConfigError(
                f"a choice must list different numbers, words or truth values, but is {list(self.values)}"
            )

    @property
    def ordered(self) -> bool:
        """Whether the values have an order: numbers have, words and truth values have none.

        >>> Choice((3, 5, 7)).ordered, Choice(("relu", "elu")).ordered
        (True, False)
        """
        return all(isinstance(value, int | float) and not isinstance(value, bool) for value in self.values)


@dataclass(frozen=True, slots=True)
class Range:
    """A number from `low` to `high`, both included; by its logarithm if `log`, in steps of `step` if that is not 0."""

    low: float
    high: float
    log: bool = False
    step: float = 0.0

    def __post_init__(self) -> None:
        numbers = (self.low, self.high, self.step)
        if not all(type(n) in {int, float} and math.isfinite(n) for n in numbers):
            raise ConfigError(f"low, high and step of a range must be numbers, but are {numbers}")
        if self.low >= self.high or self.step < 0 or (self.log and (self.low <= 0 or self.step)):
            raise ConfigError(
                f"a range must have low < high and step >= 0, and with log also low > 0 and no step, but has "
                f"low {self.low}, high {self.high}, log {self.log}, step {self.step}"
            )

    @property
    def whole(self) -> bool:
        """Whether its values are whole numbers: when every number given is one and `step` is not 0."""
        return bool(self.step) and all(isinstance(n, int) for n in (self.low, self.high, self.step))


Space = Mapping[str, Choice | Range]

REPORT_SPACE: Final[Space] = MappingProxyType(
    {
        "filters": Choice((16, 32, 64)),
        "scheme": Choice((0.5, 1.0, 2.0)),
        "augment": Choice((0.0, 0.5)),
        "batch_norm": Choice(("none", "before")),
        "dropout": Choice((0.0, 0.25, 0.5)),
        "activation": Choice(("relu", "elu", "selu", "gelu", "silu", "mish")),
        "neurons": Choice((16, 32, 64)),
        "kernel": Choice((3, 5, 7)),
        "blocks": Choice((1, 3, 5)),
        "dense_layers": Choice((1, 2, 3)),
    }
)
"""The ten hyperparameters of the course report, with the activations of later years."""

_OWN: Final = ("neurons", "dense_layers")
_NETWORK: Final = frozenset(field.name for field in fields(NetworkConfig)) - {"dense", "input_size", "classes"}
_TRAIN: Final = frozenset(field.name for field in fields(TrainConfig)) - {"seed", "device", "epochs"}


TUNING: Final = frozenset(field.name for field in fields(TuneConfig))
"""What a space may name of a fine-tuning; one that names any of it, `neurons` apart, is one of
fine-tunings."""


def of_tuning(space: Space) -> bool:
    """Whether a space is one of fine-tunings.

    >>> of_tuning({"strategy": Choice(("last", "all"))}), of_tuning({"rate": Choice((0.1, 0.2))})
    (True, False)
    """
    return not TUNING.difference(_OWN).isdisjoint(space)


def check_space(space: Space) -> None:
    """Check that every name is a hyperparameter and every value allowed. Raises ConfigError."""
    own = sorted(TUNING) if of_tuning(space) else (*_OWN, *sorted(_NETWORK))
    known = (*own, *sorted(_TRAIN))
    for name, part in space.items():
        if name not in known:
            raise ConfigError(f"a space may name {', '.join(known)}, but names {name!r}")
        for value in part.values if isinstance(part, Choice) else (part.low, part.high):
            given = int(value) if isinstance(part, Range) and part.whole else value
            if name in TUNING and of_tuning(space):
                tune_config({name: given})
                continue
            configured({name: given}, *_LENIENT)
    if not space:
        raise ConfigError("a space must name at least one hyperparameter, but is empty")


def configured(
    parameters: Mapping[str, Value], network: NetworkConfig, train: TrainConfig
) -> tuple[NetworkConfig, TrainConfig]:
    """The configurations that start from `network` and `train` and take the values of a trial.

    `neurons` and `dense_layers` are the width and number of the hidden dense layers; every other name is a key of one
    of the two configurations.

    >>> configured({"neurons": 16, "dense_layers": 2, "kernel": 5}, NetworkConfig(), TrainConfig())[0].dense
    (16, 16)
    """
    width = parameters.get("neurons", network.dense[0] if network.dense else 64)
    count = parameters.get("dense_layers", len(network.dense))
    for name, value in (("neurons", width), ("dense_layers", count)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise ConfigError(f"{name} must be a whole number, at least 0, but is {value!r}")
    changed: dict[str, Any] = {"dense": network.dense}
    if any(name in parameters for name in _OWN):
        changed["dense"] = (width,) * int(count)
    changed |= {name: value for name, value in parameters.items() if name in _NETWORK}
    return (
        from_dict(NetworkConfig, changed, network),
        from_dict(TrainConfig, {name: value for name, value in parameters.items() if name in _TRAIN}, train),
    )


_LENIENT: Final = (NetworkConfig(input_size=2048), TrainConfig(epochs=100_000))


def most_blocks(space: Space, network: NetworkConfig) -> int:
    """The most convolution blocks that a trial can have: each halves the picture, so that sets its least size.

    >>> most_blocks({"blocks": Choice((1, 3))}, NetworkConfig(blocks=2))
    3
    """
    part = space.get("blocks", Choice((network.blocks,)))
    values = part.values if isinstance(part, Choice) else (part.high,)
    return max(network.blocks, *(int(value) for value in values))


def cells(space: Space) -> Iterator[dict[str, Value]]:
    """Every combination of a space of choices, in order. Raises ConfigError if a part of it is a range without steps.

    >>> list(cells({"kernel": Choice((3, 5))}))
    [{'kernel': 3}, {'kernel': 5}]
    """
    for combination in itertools.product(*(_listed(name, part) for name, part in space.items())):
        yield dict(zip(space, combination, strict=True))


def size_of(space: Space) -> int:
    """Number of combinations of a space of choices; raises as `cells` does."""
    return math.prod(len(_listed(name, part)) for name, part in space.items())


def _listed(name: str, part: Choice | Range) -> tuple[Value, ...]:
    if isinstance(part, Choice):
        return part.values
    if not part.step:
        raise ConfigError(f"a grid needs a list of values or a step for {name}, but it is a range: take --sampler tpe")
    count = int((part.high - part.low) / part.step + 1e-9) + 1
    return tuple(part.low + i * part.step for i in range(count))


def to_json(space: Space) -> dict[str, Any]:
    """A space as plain JSON values, the form of a space file."""
    return {name: list(p.values) if isinstance(p, Choice) else _range_json(p) for name, p in space.items()}


def _range_json(part: Range) -> dict[str, Any]:
    given = {"low": part.low, "high": part.high, "log": part.log, "step": part.step}
    return {key: value for key, value in given.items() if value or key in {"low", "high"}}


def from_json(document: object) -> Space:
    """The space of plain JSON values: a list is a choice, a map of low, high, log, step a range. Raises ConfigError.

    >>> from_json({"kernel": [3, 5], "rate": {"low": 1e-4, "high": 1e-2, "log": True}})["kernel"]
    Choice(values=(3, 5))
    """
    if not isinstance(document, dict):
        raise ConfigError(f"a space must be a map of hyperparameters, but is {type(document).__name__}")
    space: dict[str, Choice | Range] = {}
    for name, part in document.items():
        if isinstance(part, list):
            space[str(name)] = Choice(tuple(part))
        elif isinstance(part, dict) and {"low", "high"} <= set(part) <= {"low", "high", "log", "step"}:
            space[str(name)] = Range(**part)
        else:
            raise ConfigError(
                f"{name} must be a list of values, or a map with low, high and perhaps log or step: {part!r}"
            )
    check_space(space)
    return MappingProxyType(space)


def read_space(path: Path) -> Space:
    """The space of a JSON or YAML file. Raises ConfigError where it cannot be read or is not a space."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} must be a space file, but cannot be read: {error.strerror}") from error
    if len(data) > _MAX_BYTES:
        raise ConfigError(f"{path} must have at most {_MAX_BYTES} bytes, but has {len(data)}")
    try:
        document = json.loads(data) if path.suffix == ".json" else _yaml(data)
    except ValueError as error:
        raise ConfigError(f"{path} must be valid JSON or YAML: {error}") from error
    return from_json(document)


def _yaml(data: bytes) -> object:
    import yaml  # noqa: PLC0415 - only those who bring a YAML file load it

    try:
        return yaml.safe_load(data)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error
