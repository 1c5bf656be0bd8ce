from __future__ import annotations

from fractions import Fraction

import pytest

from railwatch.core.packets import EncodedPacket, StreamHead
from railwatch.core.types import Size


def test_a_time_base_must_be_positive():
    assert StreamHead("h264", b"", Size(8, 6), Fraction(1, 90_000)).time_base == Fraction(1, 90_000)
    with pytest.raises(ValueError, match="time_base must be positive"):
        StreamHead("h264", b"", Size(8, 6), Fraction(0))


def test_packets_are_values():
    assert EncodedPacket(b"x", 1, 1, True, False, 0.5) == EncodedPacket(b"x", 1, 1, True, False, 0.5)
