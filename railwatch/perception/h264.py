"""Whether a picture that others of an H.264 stream build on has been lost, by the numbers that its encoder gave them.

libav decodes on when a whole picture is missing: it shows what the next one makes of the wrong reference, and marks
nothing (docs/cameras.md). Rec. ITU-T H.264 numbers the pictures that others build on (`frame_num`, 7.4.3): the next
picture has that number plus one, or, where fields are coded, the same; another means that one is missing. Not told is
a whole lost key frame whose successor happens to have the number that was due. An H.265 decoder names missing
references by itself, and JPEG pictures build on nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_SLICE, _IDR, _SPS, _PPS = 1, 5, 7, 8
_START: Final = b"\x00\x00\x01"
_HEADER_BYTES: Final = 48
"""Of a slice: more than its first four numbers take."""

_MAX_ZEROS: Final = 31
_WITH_CHROMA_FORMAT: Final = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})


@dataclass(frozen=True, slots=True)
class _Numbering:
    """What a sequence parameter set says of `frame_num`: its bits, whether gaps are meant, and fields may be coded."""

    bits: int
    gaps: bool
    fields: bool
    planes: bool


class PictureNumbers:
    """Follows `frame_num` of one stream, packet by packet, in decoding order.

    Streams in the byte format of Annex B, as RTSP gives them. Nothing is said of a stream whose parameter sets have not
    been seen or cannot be read, or that leaves numbers out on purpose (`gaps_in_frame_num_value_allowed_flag`).

    >>> PictureNumbers().lost(b"no video")
    False
    """

    def __init__(self) -> None:
        self._numberings: dict[int, _Numbering] = {}
        self._sequence_of: dict[int, int] = {}
        self._last: int | None = None

    def lost(self, packet: bytes) -> bool:
        """Whether a picture is missing between the one before and that in `packet`."""
        at = packet.find(_START)
        while at >= 0:
            begin = at + len(_START)
            kind = packet[begin] & 31 if begin < len(packet) else 0
            if kind in (_SLICE, _IDR):
                return self._slice(packet[begin : begin + _HEADER_BYTES])
            at = packet.find(_START, begin)
            if kind in (_SPS, _PPS):
                self._take_in(kind, packet[begin : at if at >= 0 else len(packet)])
        return False

    def _take_in(self, kind: int, unit: bytes) -> None:
        try:
            bits = _Bits(unit)
            if kind == _SPS:
                number, numbering = _sequence(bits)
                self._numberings[number] = numbering
            else:
                picture_set = bits.ue()
                self._sequence_of[picture_set] = bits.ue()
        except ValueError:
            return

    def _slice(self, unit: bytes) -> bool:
        try:
            bits = _Bits(unit)
            bits.ue(), bits.ue()
            numbering = self._numberings.get(self._sequence_of.get(bits.ue(), -1))
            if numbering is None or numbering.gaps:
                self._last = None
                return False
            bits.u(2 if numbering.planes else 0)
            number = bits.u(numbering.bits)
        except ValueError:
            return False
        last, others_build_on_it = self._last, bool(unit[0] & 0x60)
        if others_build_on_it or self._last is None:
            self._last = number
        if unit[0] & 31 == _IDR or last is None:
            return False
        step = (number - last) % (1 << numbering.bits)
        return step > 1 or (step == 0 and not numbering.fields)


class _Bits:
    """The bits of a unit after its first byte, without the bytes that keep start codes out of it."""

    def __init__(self, unit: bytes) -> None:
        plain = unit[1:].replace(b"\x00\x00\x03", b"\x00\x00")
        self._value, self._left = int.from_bytes(plain), 8 * len(plain)

    def u(self, count: int) -> int:
        """The next `count` bits. Raises ValueError at the end."""
        if count > self._left:
            raise ValueError("the unit ends within a number")
        self._left -= count
        return (self._value >> self._left) & ((1 << count) - 1)

    def ue(self) -> int:
        """The next number in the code of Exp-Golomb (9.1). Raises ValueError for none."""
        zeros = 0
        while not self.u(1):
            zeros += 1
            if zeros > _MAX_ZEROS:
                raise ValueError("no number is so long")
        return (1 << zeros) - 1 + self.u(zeros)

    def se(self) -> int:
        """The next signed one (9.1.1)."""
        code = self.ue()
        return (code + 1) // 2 if code % 2 else -(code // 2)


def _sequence(bits: _Bits) -> tuple[int, _Numbering]:
    """Number of a sequence parameter set (7.3.2.1.1), and its numbering."""
    profile, planes = bits.u(8), False
    bits.u(16)
    number = bits.ue()
    if profile in _WITH_CHROMA_FORMAT:
        planes = _skip_colours(bits)
    width = bits.ue() + 4
    _skip_order(bits)
    bits.ue()
    gaps = bool(bits.u(1))
    bits.ue(), bits.ue()
    return number, _Numbering(width, gaps, not bits.u(1), planes)


def _skip_colours(bits: _Bits) -> bool:
    """Depths and scaling lists; whether the planes are coded apart."""
    colours = bits.ue()
    planes = colours == 3 and bool(bits.u(1))
    bits.ue(), bits.ue(), bits.u(1)
    if bits.u(1):
        for place in range(12 if colours == 3 else 8):
            if bits.u(1):
                _skip_list(bits, 16 if place < 6 else 64)
    return planes


def _skip_list(bits: _Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.se()) % 256
        last = following or last


def _skip_order(bits: _Bits) -> None:
    kind = bits.ue()
    if kind == 0:
        bits.ue()
    elif kind == 1:
        bits.u(1), bits.se(), bits.se()
        for _ in range(bits.ue()):
            bits.se()
