"""How long a video file says it is, from the lengths in its outermost boxes: tells a file that was cut off.

Demuxers end quietly where the bytes end. MP4, AVI and Matroska write at the front how far their content reaches, so
a copy that broke off is known without decoding. MPEG-TS, MPEG-PS and bare streams say nothing of the kind.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Final

_MAX_BOXES: Final = 100_000
"""Most boxes that are walked: a fragmented recording of a day has two a second."""

_EBML: Final = b"\x1a\x45\xdf\xa3"
_SEGMENT: Final = b"\x18\x53\x80\x67"
_ISO_FIRST: Final = frozenset({b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"styp"})


def missing_bytes(path: Path) -> int:
    """Bytes that the file announces beyond its end; 0 when it is whole, or does not say.

    Raises OSError when it cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] == b"RIFF":
            end = _riff_end(file)
        elif head[:4] == _EBML:
            end = _matroska_end(file)
        elif head[4:8] in _ISO_FIRST:
            end = _iso_end(file)
        else:
            end = 0
    return max(0, end - path.stat().st_size)


def _riff_end(file: BinaryIO) -> int:
    """AVI: one RIFF chunk after the other (OpenDML); a length of 0 is a recording that was never finished."""
    position, end = 0, 0
    for _ in range(_MAX_BOXES):
        file.seek(position)
        head = file.read(8)
        length = int.from_bytes(head[4:8], "little")
        if head[:4] != b"RIFF" or length == 0:
            break
        end = position + 8 + length
        position = end + length % 2
    return end


def _iso_end(file: BinaryIO) -> int:
    """MP4 and MOV (ISO/IEC 14496-12, 4.2): 32-bit length and name; 1: a 64-bit length follows, 0: to the end."""
    position, end = 0, 0
    for _ in range(_MAX_BOXES):
        file.seek(position)
        head = file.read(16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if len(head) < 8 or length < 8 or not head[4:8].isascii():
            break
        end = position = position + length
    return end


def _matroska_end(file: BinaryIO) -> int:
    """Matroska and WebM (RFC 8794, 4): the header, then the segment; all ones is an unknown length."""
    position = 0
    for _ in range(8):  # header, padding, segment
        file.seek(position)
        head = file.read(12)
        if len(head) < 12 or head[4] == 0:
            return 0
        width = 9 - head[4].bit_length()
        length = int.from_bytes(head[4 : 4 + width], "big") & ((1 << 7 * width) - 1)
        if length == (1 << 7 * width) - 1:
            return 0
        position += 4 + width + length
        if head[:4] == _SEGMENT:
            return position
    return 0
