from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from railwatch.core.alerts import CameraState, SectionState
from railwatch.core.geometry import Point
from railwatch.core.types import (
    MAX_TRACKS,
    Affine,
    Detections,
    Frame,
    Observation,
    Region,
    Sample,
    SampleForm,
    Size,
    Track,
    TrackState,
    Vitals,
    Zone,
    ZoneKind,
)

FORM = SampleForm(Size(4, 2), "rgb", "center")
TRACK = Track(1, "person", "person", (0.0, 0.0, 1.0, 1.0), 0.5, TrackState.CONFIRMED, 0.0, 1.0, 2)
VITALS = Vitals(CameraState.NOMINAL, "", 0.0, 25.0, 0)
SEEN = Observation("cam", 1, 0, 0.0, None, "", Size(10, 10), (TRACK,), False, VITALS)
NAN, INF = float("nan"), float("inf")


def arrays(xyxy=((0, 0, 1, 1),), confidence=(0.5,), class_id=(0,)):
    return np.array(xyxy, np.float32), np.array(confidence, np.float32), np.array(class_id, np.int64)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: SampleForm(Size(0, 2), "rgb", "center"), "size must be at least 1 x 1"),
        (lambda: SampleForm(Size(2, 0), "rgb", "center"), "size must be at least 1 x 1"),
        (lambda: SampleForm(Size(2, 2), "rgb", "center", 256), "pad_value must be 0 to 255"),
        (lambda: Sample(np.zeros((2, 4), np.uint8), FORM, Affine(1, 1, 0, 0), Region(0, 0, 4, 2)), "tensor must be"),
        (lambda: Sample(np.zeros((2, 4, 3)), FORM, Affine(1, 1, 0, 0), Region(0, 0, 4, 2)), "tensor must be uint8"),
        (lambda: Frame("cam", -1, 0.0, None, "", None), "index must be 0 or more"),
        (lambda: Frame("cam", 0, NAN, None, "", None), "t_s must be finite"),
        (lambda: Detections(*arrays(xyxy=((0, 0, 1),))), "xyxy must be float32"),
        (lambda: Detections(*arrays(confidence=(0.5, 0.5))), "confidence must be float32"),
        (lambda: Detections(arrays()[0], arrays()[1], np.zeros(1, np.int32)), "class_id must be int64"),
        (lambda: Detections(*arrays(xyxy=((0, 0, NAN, 1),))), "xyxy must be finite"),
        (lambda: Detections(*arrays(xyxy=((2, 0, 1, 1),))), "right or bottom edge comes first"),
        (lambda: Detections(*arrays(confidence=(1.5,))), "confidence must be in"),
        (lambda: Detections(*arrays(confidence=(NAN,))), "confidence must be in"),
        (lambda: replace(TRACK, track_id=0), "track_id must be 1 or more"),
        (lambda: replace(TRACK, xyxy=(0.0, 0.0, -1.0, 1.0)), "xyxy must be finite left"),
        (lambda: replace(TRACK, xyxy=(0.0, 2.0, 1.0, 1.0)), "xyxy must be finite left"),
        (lambda: replace(TRACK, xyxy=(0.0, INF, 1.0, INF)), "xyxy must be finite left"),
        (lambda: replace(TRACK, confidence=NAN), "confidence must be in"),
        (lambda: replace(TRACK, last_seen_s=INF), "must be finite"),
        (lambda: replace(TRACK, last_seen_s=-1.0), "must not be before first_seen_s"),
        (lambda: replace(VITALS, fps=NAN), "fps must be finite"),
        (lambda: replace(VITALS, frame_age_s=INF), "frame_age_s and fps must be finite"),
        (lambda: replace(SEEN, frame_size=Size(0, 1)), "frame_size must be at least"),
        (lambda: replace(SEEN, t_s=NAN), "t_s and pts_s must be finite"),
        (lambda: replace(SEEN, pts_s=INF), "t_s and pts_s must be finite"),
        (lambda: replace(SEEN, tracks=(TRACK,) * (MAX_TRACKS + 1)), "at most 200 tracks"),
        (lambda: Zone("z", "c", "s", None, ZoneKind.TRACK, (Point(0, 0), Point(1, 1))), "at least 3 points"),
    ],
)
def test_impossible_values_are_refused(build, words):
    with pytest.raises(ValueError, match=words):
        build()


def test_arrays_are_read_only():
    found = Detections(*arrays())
    for array in (found.xyxy, found.confidence, found.class_id):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    sample = Sample(np.zeros((2, 4, 3), np.uint8), FORM, Affine(1, 1, 0, 0), Region(0, 0, 4, 2))
    with pytest.raises(ValueError, match="read-only"):
        sample.tensor[0] = 1


def test_affine_leads_back():
    back = Affine(2.0, 0.5, 10.0, -4.0)
    assert (back.x(3.0), back.y(8.0)) == (16.0, 0.0)


def test_good_values_are_taken():
    assert len(Detections(*arrays())) == 1
    assert len(Detections.empty()) == 0
    assert replace(SEEN, pts_s=4.0).pts_s == 4.0
    assert Frame("cam", 0, 1.0, None, "", None).t_s == 1.0
    assert {state.value for state in SectionState} == {"CLEAR", "OCCUPIED", "UNKNOWN"}
