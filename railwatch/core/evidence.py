"""What a site lays down about evidence: whether any is kept, how much of the video, and for how long."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from enum import Enum
from typing import Final

LONGEST_APPROACH_S: Final = 20.0
"""Seconds from the first detection of somebody to the alarm that a clip reaches back over, beside the pre-roll."""


class MaskedClips(Enum):
    """What becomes of the clip of a camera that has privacy masks: `blur` encodes it anew, `none` keeps none."""

    BLUR = "blur"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class EvidenceSettings:
    """Whether evidence is kept (`record`), and how much.

    `pre_roll_s` and `post_roll_s`: seconds of video before the first detection and after the alarm. `ring_mib`: most
    memory of the recording of one camera. It is let go after `keep_days`, when all of it exceeds `max_gib`, and when
    less than `min_free_gib` of the disk would be free; the oldest first. Raises ValueError for what is out of range.
    """

    record: bool = False
    pre_roll_s: float = 5.0
    post_roll_s: float = 5.0
    ring_mib: int = 64
    masked_clips: MaskedClips = MaskedClips.BLUR
    keep_days: float = 30.0
    max_gib: float = 10.0
    min_free_gib: float = 2.0

    def __post_init__(self) -> None:
        for name in ("pre_roll_s", "post_roll_s", "keep_days", "max_gib", "min_free_gib"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0.0):
                raise ValueError(f"{name} must be 0 or more, but is {value}")
        if self.ring_mib < 1:
            raise ValueError(f"ring_mib must be 1 or more, but is {self.ring_mib}")

    @property
    def ring_s(self) -> float:
        """Seconds of packets that are kept, so that a clip can be cut when its end has come; 0: none."""
        return self.pre_roll_s + LONGEST_APPROACH_S + self.post_roll_s + 5.0 if self.record else 0.0


def evidence_id_of(alert_id: str) -> str:
    """The name of the evidence that belongs to an alert: opaque, and the same in a replay.

    >>> evidence_id_of("4f1c.7-a3")
    'dc15609a3a932f0a856fa9d434c82255'
    """
    return hashlib.sha256(f"railwatch evidence {alert_id}".encode()).hexdigest()[:32]
