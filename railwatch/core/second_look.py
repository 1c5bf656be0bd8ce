"""The second look at animals: what a site lays down about it, and what it answers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from railwatch.core.provider import Provider

ANIMAL: Final = "animal"
"""The class group that is looked at a second time."""

FAULT: Final = "second-look"
"""How the names of faults of the second look begin: it is not needed, so they are a NOTICE."""

MAX_TAXON_LENGTH: Final = 200
HERD_TAXA: Final = ("Mammalia",)
"""Taxa of animals that stay on a track and derail a train, where a site names none."""


@dataclass(frozen=True, slots=True)
class SecondLookSettings:
    """A classifier that looks at animals again: an ONNX file as `classifiers export` writes it.

    `least_confidence`: an answer below it is an abstention (None: the file says from where on it can be trusted).
    `herd_taxa`: classes of the file that raise a severity. `every_s`: the same animal is looked at so often at most.
    Raises ValueError for a number out of range or no herd taxon.
    """

    file: str
    sha256: str | None = None
    least_confidence: float | None = None
    herd_taxa: tuple[str, ...] = HERD_TAXA
    every_s: float = 2.0
    provider: Provider = Provider.CPU

    def __post_init__(self) -> None:
        if self.least_confidence is not None and not 0.0 <= self.least_confidence <= 1.0:
            raise ValueError(f"least_confidence must be 0 to 1, but is {self.least_confidence}")
        if not (math.isfinite(self.every_s) and self.every_s > 0.0):
            raise ValueError(f"every_s must be positive and finite, but is {self.every_s}")
        if not self.herd_taxa:
            raise ValueError("herd_taxa must name at least one taxon, but is empty: no answer could raise anything")


@dataclass(frozen=True, slots=True)
class Annotation:
    """What the second look says of one track, some time after the frame in which it was seen.

    `t_s` is the time of that frame on the worker's clock, `taxon` None when the classifier abstained. Raises ValueError
    for a number out of range, a taxon without a name or with a long one.
    """

    camera_id: str
    worker_epoch: int
    track_id: int
    t_s: float
    taxon: str | None
    confidence: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.t_s):
            raise ValueError(f"t_s must be finite, but is {self.t_s}")
        if not 0.0 <= self.confidence <= 1.0:
            raise ValueError(f"confidence must be in [0, 1], but is {self.confidence}")
        if self.taxon is not None and not is_taxon(self.taxon):
            raise ValueError(f"taxon must be 1 to {MAX_TAXON_LENGTH} printable characters, but is {self.taxon[:40]!r}")


def is_taxon(name: object) -> bool:
    """Whether a name can be that of a taxon: people read it, and it goes over the wire.

    >>> is_taxon("Mammalia"), is_taxon(""), is_taxon("a" + chr(10))
    (True, False, False)
    """
    return isinstance(name, str) and 1 <= len(name) <= MAX_TAXON_LENGTH and name.isprintable()
