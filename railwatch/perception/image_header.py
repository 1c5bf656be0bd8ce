"""Width and height of a picture file from its header, so that its pixels are bounded before it is decoded."""

from __future__ import annotations

from railwatch.core.types import Size

_SIZELESS = frozenset({0x01, *range(0xD0, 0xD9)})
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_START_OF_SCAN = 0xDA
_END_OF_IMAGE = b"\xff\xd9"


def image_size(content: bytes) -> Size:
    """Size of a JPEG, PNG, BMP or WebP picture as stored, before any turning. Raises ValueError for anything else.

    >>> image_size(bytes.fromhex("89504e470d0a1a0a0000000d49484452000000200000001000000000000000"))
    Size(width=32, height=16)
    """
    if content[:3] == b"\xff\xd8\xff":
        return _jpeg(content)
    if content[:8] == b"\x89PNG\r\n\x1a\n" and content[12:16] == b"IHDR" and len(content) >= 24:
        return Size(int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big"))
    if content[:2] == b"BM" and len(content) >= 26:
        return _bmp(content)
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP" and len(content) >= 30:
        return _webp(content)
    raise ValueError("it must be a JPEG, PNG, BMP or WebP picture, but does not begin like one")


def _jpeg(content: bytes) -> Size:
    """The frame header (ITU-T T.81, B.2.2); a file without its end mark is cut off and refused."""
    position, size = 2, None
    while position + 4 <= len(content) and content[position] == 0xFF:
        marker = content[position + 1]
        if marker == 0xFF or marker in _SIZELESS:
            position += 1 if marker == 0xFF else 2
            continue
        if marker in _FRAME_HEADERS:
            height, width = (int.from_bytes(content[position + at : position + at + 2], "big") for at in (5, 7))
            size = Size(width, height)
        position += 2 + int.from_bytes(content[position + 2 : position + 4], "big")
        if marker == _START_OF_SCAN:
            break
    if size is None:
        raise ValueError("its JPEG header ends before it gives a size")
    if content.find(_END_OF_IMAGE, position) < 0:
        raise ValueError("it is cut off: the end mark of a JPEG is missing")
    return size


def _bmp(content: bytes) -> Size:
    if int.from_bytes(content[14:18], "little") == 12:
        return Size(int.from_bytes(content[18:20], "little"), int.from_bytes(content[20:22], "little"))
    width, height = (int.from_bytes(content[at : at + 4], "little", signed=True) for at in (18, 22))
    return Size(width, abs(height))


def _webp(content: bytes) -> Size:
    kind = content[12:16]
    if kind == b"VP8X":
        return Size(*(int.from_bytes(content[at : at + 3], "little") + 1 for at in (24, 27)))
    if kind == b"VP8L":
        bits = int.from_bytes(content[21:25], "little")
        return Size((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    return Size(*(int.from_bytes(content[at : at + 2], "little") & 0x3FFF for at in (26, 28)))
