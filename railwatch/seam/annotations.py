"""What the second look of a worker says, and whether it is out, on its way to the hub."""

from __future__ import annotations

from dataclasses import asdict
from typing import Final

from railwatch.core.errors import WireError
from railwatch.core.second_look import Annotation
from railwatch.seam.codec import as_mapping, dumps, integer_of, loads, number_of, text_of

MAX_ANNOTATION_BYTES: Final = 4096
MAX_REASON_LENGTH: Final = 500
_KEYS: Final = ("camera_id", "worker_epoch", "track_id", "t_s", "taxon", "confidence")


def encode_annotation(said: Annotation) -> bytes:
    """An Annotation as UTF-8 JSON."""
    return dumps(asdict(said)).encode()


def decode_annotation(payload: bytes) -> Annotation:
    """Read `encode_annotation`'s bytes; raises WireError for anything else.

    >>> decode_annotation(encode_annotation(Annotation("east", 1, 7, 2.5, "Aves", 0.75))).taxon
    'Aves'
    """
    data = as_mapping(_loads(payload), _KEYS, "annotation")
    try:
        return Annotation(
            text_of(data, "camera_id"),
            integer_of(data, "worker_epoch"),
            integer_of(data, "track_id"),
            number_of(data, "t_s"),
            None if data["taxon"] is None else text_of(data, "taxon"),
            number_of(data, "confidence"),
        )
    except ValueError as error:
        raise WireError(f"annotation of camera {data['camera_id']!r}: {error}") from error


def encode_health(reason: str | None) -> bytes:
    """Why the second look is out, None while it is not, as UTF-8 JSON."""
    return dumps({"reason": reason and reason[:MAX_REASON_LENGTH]}).encode()


def decode_health(payload: bytes) -> str | None:
    """Read `encode_health`'s bytes; raises WireError for anything else.

    >>> decode_health(encode_health("it hangs")), decode_health(encode_health(None))
    ('it hangs', None)
    """
    data = as_mapping(_loads(payload), ("reason",), "second look")
    return None if data["reason"] is None else text_of(data, "reason")[:MAX_REASON_LENGTH]


def _loads(payload: bytes) -> object:
    if len(payload) > MAX_ANNOTATION_BYTES:
        raise WireError(f"an annotation must be at most {MAX_ANNOTATION_BYTES} bytes, but is {len(payload)}")
    return loads(payload)
