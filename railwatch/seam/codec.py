"""Observations as JSON: what a worker sends to the hub, and what a recording keeps. Exact: floats survive unchanged."""

from __future__ import annotations

import json
import math
from typing import Any, Final, NoReturn

from railwatch.core.alerts import CameraState
from railwatch.core.errors import WireError
from railwatch.core.types import Observation, Size, Track, TrackState, Vitals

MAX_OBSERVATION_BYTES: Final = 256 * 1024
"""Longest Observation in bytes; 200 tracks of ordinary names need about a fifth of it."""

_OBSERVATION_KEYS: Final = (
    "camera_id", "worker_epoch", "index", "t_s", "pts_s", "captured_at", "frame_size", "tracks", "truncated", "vitals",
)  # fmt: skip
_TRACK_KEYS: Final = (
    "track_id", "class_name", "group", "xyxy", "confidence", "state", "first_seen_s", "last_seen_s", "hits",
)  # fmt: skip
_VITALS_KEYS: Final = ("state", "reason", "frame_age_s", "fps", "dropped")


def observation_to_json(seen: Observation) -> dict[str, Any]:
    """An Observation as plain JSON values, keys in the order of the dataclass."""
    return {
        "camera_id": seen.camera_id,
        "worker_epoch": seen.worker_epoch,
        "index": seen.index,
        "t_s": seen.t_s,
        "pts_s": seen.pts_s,
        "captured_at": seen.captured_at,
        "frame_size": list(seen.frame_size),
        "tracks": [_track_to_json(track) for track in seen.tracks],
        "truncated": seen.truncated,
        "vitals": {
            "state": seen.vitals.state.value,
            "reason": seen.vitals.reason,
            "frame_age_s": seen.vitals.frame_age_s,
            "fps": seen.vitals.fps,
            "dropped": seen.vitals.dropped,
        },
    }


def observation_from_json(value: object) -> Observation:
    """Read what `observation_to_json` gave. Raises WireError that names the key which is missing, unknown or wrong."""
    data = as_mapping(value, _OBSERVATION_KEYS, "observation")
    try:
        return Observation(
            camera_id=text_of(data, "camera_id"),
            worker_epoch=integer_of(data, "worker_epoch"),
            index=integer_of(data, "index"),
            t_s=number_of(data, "t_s"),
            pts_s=None if data["pts_s"] is None else number_of(data, "pts_s"),
            captured_at=text_of(data, "captured_at"),
            frame_size=_size(data["frame_size"]),
            tracks=tuple(_track_from_json(item) for item in _list(data, "tracks")),
            truncated=_boolean(data, "truncated"),
            vitals=_vitals_from_json(data["vitals"]),
        )
    except ValueError as error:
        raise WireError(f"observation of camera {data['camera_id']!r}: {error}") from error


def encode_observation(seen: Observation) -> bytes:
    """An Observation as UTF-8 JSON of at most 256 KiB; raises WireError when it is longer."""
    payload = dumps(observation_to_json(seen)).encode()
    if len(payload) > MAX_OBSERVATION_BYTES:
        raise WireError(f"an Observation must be at most {MAX_OBSERVATION_BYTES} bytes, but is {len(payload)}")
    return payload


def decode_observation(payload: bytes) -> Observation:
    """Read `encode_observation`'s bytes; raises WireError for anything else."""
    if len(payload) > MAX_OBSERVATION_BYTES:
        raise WireError(f"an Observation must be at most {MAX_OBSERVATION_BYTES} bytes, but is {len(payload)}")
    return observation_from_json(loads(payload))


def dumps(value: object) -> str:
    """Compact JSON in the given key order; NaN and infinity raise ValueError.

    >>> dumps({"b": 1.5, "a": None})
    '{"b":1.5,"a":null}'
    """
    return json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=False)


def loads(payload: bytes | str) -> object:
    """Strict JSON: NaN, infinity, bad UTF-8 and too deep nesting raise WireError."""
    try:
        return json.loads(payload, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise WireError(f"a message must be JSON in UTF-8, but: {error}") from error


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not allowed")


def _track_to_json(track: Track) -> dict[str, Any]:
    return {
        "track_id": track.track_id,
        "class_name": track.class_name,
        "group": track.group,
        "xyxy": list(track.xyxy),
        "confidence": track.confidence,
        "state": track.state.value,
        "first_seen_s": track.first_seen_s,
        "last_seen_s": track.last_seen_s,
        "hits": track.hits,
    }


def _track_from_json(value: object) -> Track:
    data = as_mapping(value, _TRACK_KEYS, "track")
    xyxy = _list(data, "xyxy")
    if len(xyxy) != 4:
        raise WireError(f"xyxy must hold 4 numbers, but holds {len(xyxy)}")
    left, top, right, bottom = (_as_number(item, "xyxy") for item in xyxy)
    return Track(
        track_id=integer_of(data, "track_id"),
        class_name=text_of(data, "class_name"),
        group=text_of(data, "group"),
        xyxy=(left, top, right, bottom),
        confidence=number_of(data, "confidence"),
        state=TrackState(data["state"]),
        first_seen_s=number_of(data, "first_seen_s"),
        last_seen_s=number_of(data, "last_seen_s"),
        hits=integer_of(data, "hits"),
    )


def _vitals_from_json(value: object) -> Vitals:
    data = as_mapping(value, _VITALS_KEYS, "vitals")
    return Vitals(
        state=CameraState(data["state"]),
        reason=text_of(data, "reason"),
        frame_age_s=number_of(data, "frame_age_s"),
        fps=number_of(data, "fps"),
        dropped=integer_of(data, "dropped"),
    )


def _size(value: object) -> Size:
    if not isinstance(value, list) or len(value) != 2 or not all(type(item) is int for item in value):
        raise WireError(f"frame_size must be [width, height] in pixels, but is {value!r}")
    return Size(*value)


def as_mapping(value: object, keys: tuple[str, ...], what: str) -> dict[str, Any]:
    """The value as an object with exactly these keys; raises WireError for anything else."""
    if not isinstance(value, dict) or set(value) != set(keys):
        given = sorted(value) if isinstance(value, dict) else type(value).__name__
        raise WireError(f"{what} must have exactly the keys {sorted(keys)}, but has {given}")
    return value


def text_of(data: dict[str, Any], key: str) -> str:
    """The text under a key; raises WireError for anything else."""
    value = data[key]
    if not isinstance(value, str):
        raise WireError(f"{key} must be text, but is {value!r}")
    return value


def _boolean(data: dict[str, Any], key: str) -> bool:
    value = data[key]
    if not isinstance(value, bool):
        raise WireError(f"{key} must be true or false, but is {value!r}")
    return value


def integer_of(data: dict[str, Any], key: str) -> int:
    """The whole number under a key; raises WireError for anything else."""
    value = data[key]
    if not isinstance(value, int) or isinstance(value, bool):
        raise WireError(f"{key} must be a whole number, but is {value!r}")
    return value


def number_of(data: dict[str, Any], key: str) -> float:
    """The finite number under a key; raises WireError for anything else."""
    return _as_number(data[key], key)


def _as_number(value: object, key: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise WireError(f"{key} must be a finite number, but is {value!r}")
    return float(value)


def _list(data: dict[str, Any], key: str) -> list[Any]:
    value = data[key]
    if not isinstance(value, list):
        raise WireError(f"{key} must be a list, but is {value!r}")
    return value
