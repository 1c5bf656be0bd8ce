"""Which pictures of a stream may build on damage: none of them is looked at."""

from __future__ import annotations

from railwatch.perception.h264 import PictureNumbers


class Taint:
    """From damage on until the first clean key frame after it, all pictures of a stream are tainted.

    Damage is what the transport marks, what does not decode, what the decoder had to make up, and, of H.264, a missing
    picture that others build on. A stream may begin in the middle: it begins tainted.
    """

    def __init__(self, codec: str) -> None:
        self._damaged = True
        self._clean_from: int | None = None
        self._numbers = PictureNumbers() if codec == "h264" else None

    def packet(self, pts: int | None, content: bytes, *, keyframe: bool, corrupt: bool) -> None:
        """Take in the next packet, before it is decoded."""
        lost = self._numbers is not None and self._numbers.lost(content)
        if corrupt or (lost and not keyframe):
            self._damaged = True
        elif keyframe and self._damaged:
            self._damaged, self._clean_from = False, pts

    def damage(self) -> None:
        """Note that the packet that came last does not decode."""
        self._damaged = True

    def clean(self, pts: int | None, *, corrupt: bool) -> bool:
        """Whether a decoded picture may be looked at; `corrupt`: the decoder made up parts of it."""
        late = self._clean_from is not None and pts is not None and pts < self._clean_from
        if corrupt and not late:
            self._damaged = True
        return not (corrupt or late or self._damaged)
