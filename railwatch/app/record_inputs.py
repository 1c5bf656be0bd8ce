"""One input of the decision as JSON values and back: what a line of a recording holds beside the hub's clocks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from railwatch.app.record_site import site_to_mapping
from railwatch.config import site_from_mapping
from railwatch.core.errors import WireError
from railwatch.core.second_look import Annotation
from railwatch.core.types import Observation, TrainReport
from railwatch.decision.inputs import (
    Acknowledge,
    ConfigChange,
    Consumers,
    Hours,
    Input,
    Possession,
    Probe,
    ProbeEnded,
    ProbeHeard,
    ProbeSight,
    SystemFault,
    Tick,
    WorkerLost,
)
from railwatch.messaging.plain import from_plain, to_plain
from railwatch.seam.codec import as_mapping, observation_from_json, observation_to_json, text_of

_PLAIN: Final[Mapping[str, type[Input]]] = MappingProxyType(
    {
        "tick": Tick,
        "worker_lost": WorkerLost,
        "acknowledge": Acknowledge,
        "system_fault": SystemFault,
        "consumers": Consumers,
        "train_report": TrainReport,
        "possession": Possession,
        "hours": Hours,
        "probe": Probe,
        "probe_heard": ProbeHeard,
        "probe_ended": ProbeEnded,
        "annotation": Annotation,
    }
)
"""Inputs that are nothing but their fields, by the name that they have in a recording."""

_OBSERVATION: Final = "observation"
_PROBE_SIGHT: Final = "probe_sight"
_CONFIG_CHANGE: Final = "config_change"


def input_to_json(value: Input) -> tuple[str, Any]:
    """The name of an input and its JSON value."""
    if isinstance(value, Observation):
        return _OBSERVATION, observation_to_json(value)
    if isinstance(value, ProbeSight):
        return _PROBE_SIGHT, {"probe_id": value.probe_id, "seen": observation_to_json(value.seen)}
    if isinstance(value, ConfigChange):
        return _CONFIG_CHANGE, site_to_mapping(value.site)
    name = next(name for name, kind in _PLAIN.items() if isinstance(value, kind))
    return name, to_plain(value, type(value), name)


def input_from_json(data: Mapping[str, Any]) -> Input:
    """The input that a line of a recording holds, beside other keys. Raises WireError, ConfigError."""
    for name, kind in _PLAIN.items():
        if name in data:
            value: Input = from_plain(data[name], kind, name)
            return value
    if _OBSERVATION in data:
        return observation_from_json(data[_OBSERVATION])
    if _PROBE_SIGHT in data:
        inner = as_mapping(data[_PROBE_SIGHT], ("probe_id", "seen"), _PROBE_SIGHT)
        return ProbeSight(text_of(inner, "probe_id"), observation_from_json(inner["seen"]))
    if isinstance(data.get(_CONFIG_CHANGE), dict):
        return ConfigChange(site_from_mapping(data[_CONFIG_CHANGE], Path()))
    raise WireError(f"an input must be one of {', '.join((_OBSERVATION, *_PLAIN, _PROBE_SIGHT, _CONFIG_CHANGE))}")
