"""The worker's part of the self-test."""

from __future__ import annotations

import numpy as np
import pytest

from railwatch.app.trial import PLACES, SURE, Trial, Trials, matching, spots
from railwatch.core.errors import ConfigError
from railwatch.core.settings import DEFAULT_GROUPS, TrackerSettings
from railwatch.core.types import Frame, Size, ZoneKind
from railwatch.perception.intruder import Spot, box_at
from railwatch.perception.picture import BgrPicture
from railwatch.perception.tracker import Tracker
from railwatch.testing import FakeDetector, detections, solid_picture
from tests.scenario import band

SIZE = Size(640, 360)
ZONES = (band("track", ZoneKind.TRACK, 0.3, 0.7), band("near", ZoneKind.APPROACH, 0.0, 0.3))
DETECTOR = FakeDetector([], class_names=("person", "train"))


def frame(number):
    return Frame("cam", number, number / 10, None, "now", BgrPicture(solid_picture(SIZE)))


def new_trial(frames=3):
    tracker = Tracker(TrackerSettings(), DETECTOR.class_names, DEFAULT_GROUPS)
    return Trial("t1", tracker, frames, spots(ZONES, SIZE), 4)


def seen(spot, confidence=0.9, shift=0.0, class_id=0):
    left, top, right, bottom = box_at(spot)
    return detections((left + shift, top, right + shift, bottom, confidence, class_id))


def test_spots_lie_in_the_track_zone():
    found = spots(ZONES, SIZE)
    assert len(found) == 2 * len(PLACES)
    assert all(0.3 <= spot.x / SIZE.width <= 0.7 for spot in found)


def test_a_zone_none_of_whose_places_fit_is_tried_at_its_first_corner():
    from dataclasses import replace

    from railwatch.core.geometry import Point

    thin = (Point(0.0, 0.0), Point(0.001, 0.0), Point(1.0, 0.999), Point(1.0, 1.0), Point(0.99, 1.0))
    (first, _) = spots([replace(ZONES[0], polygon_norm=thin)], SIZE)
    assert (first.x, first.y) == (0.0, 0.0)


def test_a_camera_without_a_track_zone_is_refused():
    with pytest.raises(ConfigError, match="zone of kind track"):
        spots(ZONES[1:], SIZE)


def test_the_first_spot_that_the_detector_is_sure_of_is_taken():
    trial = new_trial()
    sure = [0.2, 0.1, SURE + 0.1]
    for number, confidence in enumerate(sure):
        trial.sample(frame(number), DETECTOR.form)
        assert trial.take(frame(number), seen(trial.shown, confidence), DETECTOR, 0.0) is None
    assert trial.best == (pytest.approx(SURE + 0.1), spots(ZONES, SIZE)[2])
    told = []
    for number in range(3, 6):
        trial.sample(frame(number), DETECTOR.form)
        told.append(trial.take(frame(number), seen(trial.shown), DETECTOR, 0.05))
    assert trial.left == 0
    assert [len(item.tracks) for item in told] == [1, 1, 1]
    assert (told[0].worker_epoch, told[0].vitals.frame_age_s, told[0].camera_id) == (4, 0.05, "cam")


def test_when_no_spot_is_sure_the_best_is_taken():
    trial = new_trial()
    for number, _ in enumerate(spots(ZONES, SIZE)):
        trial.sample(frame(number), DETECTOR.form)
        trial.take(frame(number), seen(trial.shown, 0.3 if number == 4 else 0.1), DETECTOR, 0.0)
    assert trial.best[1] == spots(ZONES, SIZE)[4]


def test_everybody_else_in_the_picture_is_left_out():
    spot = Spot(320.0, 300.0, 90.0)
    everybody = detections(
        (*box_at(spot), 0.8, 0), (*(side + 60.0 for side in box_at(spot)), 0.9, 0), (*box_at(spot), 0.7, 1)
    )
    kept = matching(everybody, DETECTOR, spot)
    assert kept.confidence.tolist() == [pytest.approx(0.8)]


def test_the_real_frame_is_not_touched():
    real = frame(0)
    before = real.picture.bgr().copy()
    sample = new_trial().sample(real, DETECTOR.form)
    assert np.array_equal(real.picture.bgr(), before)
    assert not np.array_equal(sample.tensor, real.picture.sample(None, DETECTOR.form).tensor)


def test_a_spot_is_kept_while_the_person_is_seen_there():
    trials = Trials()
    first = new_trial()
    trials.begin(first, "cam", ZONES)
    assert trials.look({"other": frame(0)}, DETECTOR.form) == {}
    assert set(trials.look({"cam": frame(0)}, DETECTOR.form)) == {"cam"}
    first.take(frame(0), seen(first.shown), DETECTOR, 0.0)
    trials.end("cam", ZONES, seen=True)
    second = new_trial()
    trials.begin(second, "cam", ZONES)
    assert (second.untried, second.best[1]) == ([], first.best[1])
    trials.end("cam", ZONES, seen=False)
    third = new_trial()
    trials.begin(third, "cam", ZONES)
    assert third.untried == spots(ZONES, SIZE)
    trials.end("cam", ZONES, seen=True)
    other = new_trial()
    trials.begin(other, "cam", ZONES[:1])
    assert other.untried, "other zones: the spot is looked for anew"
    trials.forget("cam")
    assert not trials.running
