from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from railwatch.core.types import Size
from railwatch.perception.intruder import Spot, box_at, with_intruder
from railwatch.perception.picture import BgrPicture
from railwatch.testing import solid_picture

SIZE = Size(160, 120)


def grey(value, size=SIZE):
    return BgrPicture(solid_picture(size, (value, value, value)))


@given(st.floats(-50.0, 210.0), st.floats(1.0, 200.0), st.floats(4.0, 300.0))
def test_only_pixels_of_the_persons_box_change(x, y, height):
    real = grey(128)
    before = real.bgr().copy()
    spot = Spot(x, y, height)
    left, top, right, bottom = (round(side) for side in box_at(spot))
    if right <= 0 or left >= SIZE.width or bottom <= 0 or top >= SIZE.height:
        with pytest.raises(ValueError, match="must stand in the frame"):
            with_intruder(real, spot)
        return
    made = with_intruder(real, spot).bgr()
    assert np.array_equal(real.bgr(), before), "the real frame is never touched"
    outside = np.ones(before.shape[:2], bool)
    outside[max(0, top) : bottom, max(0, left) : right] = False
    assert np.array_equal(made[outside], before[outside])


def test_the_person_is_there_and_fits_the_light():
    spot = Spot(80.0, 110.0, 90.0)
    day, night = (with_intruder(grey(value), spot).bgr() for value in (150, 12))
    left, top, right, bottom = (round(side) for side in box_at(spot))
    changed = (day[top:bottom, left:right] != 150).any(axis=2).mean()
    assert 0.2 < changed < 0.8, "a person fills a part of its box"
    assert night[top:bottom, left:right].max() < day[top:bottom, left:right].max() < 256
    assert night[top:bottom, left:right].max() > 12


def test_the_shipped_detector_sees_the_person():
    from pathlib import Path

    from railwatch.perception.detector import open_detector

    detector = open_detector(Path("models/railwatch-nano.onnx"), confidence=0.3, threads=1)
    picture = with_intruder(grey(120, Size(640, 360)), Spot(320.0, 250.0, 90.0))
    (found,) = detector.detect([picture.sample(None, detector.form)])
    assert "person" in {detector.class_names[int(number)] for number in found.class_id}
