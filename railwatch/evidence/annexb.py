"""H.264 and HEVC as a byte stream with start codes (ITU-T H.264 and H.265, annex B), whatever form they come in.

MP4 files keep the length of every NAL unit in front of it and the parameter sets apart (ISO/IEC 14496-15); cameras send
start codes. A clip is made of the second form, with the parameter sets in front of every key frame.
"""

from __future__ import annotations

from typing import Final

START: Final = b"\0\0\0\1"


def to_stream(codec: str, extradata: bytes, data: bytes, *, keyframe: bool) -> bytes:
    """One packet in the form of a byte stream; packets of other codecs, and damaged ones, as they are.

    `codec` is libav's name; `extradata` what the decoder must know first. A key frame gets the parameter sets in front.

    >>> sets = bytes.fromhex("0142001effe1000167010001ff")
    >>> to_stream("h264", sets, bytes.fromhex("0000000265aa"), keyframe=True).hex()
    '000000016700000001ff0000000165aa'
    """
    if codec not in ("h264", "hevc"):
        return extradata + data if keyframe and not data.startswith(extradata) else data
    if extradata[:1] != b"\1":  # start codes already
        return extradata + data if keyframe and extradata and not data.startswith(extradata) else data
    try:
        length, sets = _h264_sets(extradata) if codec == "h264" else _hevc_sets(extradata)
        units = _units(data, length)
    except (IndexError, ValueError):
        return data
    return b"".join(START + unit for unit in ((*sets, *units) if keyframe else units))


def _units(data: bytes, length: int) -> list[bytes]:
    found, at = [], 0
    while at < len(data):
        end = at + length + int.from_bytes(data[at : at + length])
        if end > len(data):
            raise ValueError("a unit is cut off")
        found.append(data[at + length : end])
        at = end
    return found


def _h264_sets(record: bytes) -> tuple[int, list[bytes]]:
    """AVCDecoderConfigurationRecord: bytes of a length, and the parameter sets."""
    sets, at = [], 5
    for mask in (31, 255):  # sequence parameter sets, then picture parameter sets
        count, at = record[at] & mask, at + 1
        for _ in range(count):
            unit, at = _sized(record, at)
            sets.append(unit)
    return (record[4] & 3) + 1, sets


def _hevc_sets(record: bytes) -> tuple[int, list[bytes]]:
    """HEVCDecoderConfigurationRecord: bytes of a length, and the parameter sets."""
    sets, at = [], 23
    for _ in range(record[22]):
        count, at = int.from_bytes(record[at + 1 : at + 3]), at + 3
        for _ in range(count):
            unit, at = _sized(record, at)
            sets.append(unit)
    return (record[21] & 3) + 1, sets


def _sized(record: bytes, at: int) -> tuple[bytes, int]:
    end = at + 2 + int.from_bytes(record[at : at + 2])
    if end > len(record):
        raise ValueError("a parameter set is cut off")
    return record[at + 2 : end], end
