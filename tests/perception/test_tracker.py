"""The tracker: identities through crossings, occlusions, gaps, changing names and wild input."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from railwatch.core.settings import DEFAULT_GROUPS, TrackerSettings
from railwatch.core.types import Detections, TrackState
from railwatch.perception import tracker as tracker_module
from railwatch.perception.tracker import Tracker, grown_iou
from railwatch.testing import detections as boxes

NAMES = ("person", "horse", "elephant", "train", "car", "bus", "kite")
PERSON, HORSE, ELEPHANT, TRAIN, CAR, BUS, KITE = range(7)
LOST_S = 2.0


def make(**settings):
    return Tracker(TrackerSettings(**{"lost_s": LOST_S, **settings}), NAMES, DEFAULT_GROUPS)


def walker(x, y=100.0, confidence=0.9, class_id=PERSON, width=20.0, height=50.0):
    return (x, y, x + width, y + height, confidence, class_id)


def by_state(tracks, state):
    return [track for track in tracks if track.state is state]


def confirmed_ids(tracks):
    return {track.track_id for track in by_state(tracks, TrackState.CONFIRMED)}


@st.composite
def frames(draw, max_frames=8, max_boxes=6):
    """Boxes of a few frames with growing times; all classes, weak and strong, some without area."""
    corner = st.integers(-40, 400)
    side = st.integers(0, 120)
    row = st.tuples(corner, corner, side, side, st.integers(0, 1000), st.sampled_from(range(len(NAMES))))
    result, t_s = [], float(draw(st.integers(-100, 100)))
    for _ in range(draw(st.integers(1, max_frames))):
        rows = draw(st.lists(row, max_size=max_boxes))
        result.append((t_s, boxes(*[(x, y, x + w, y + h, c / 1000, k) for x, y, w, h, c, k in rows])))
        t_s += draw(st.sampled_from([0, 2, 4, 6, 13, 32, 122, 160])) / 64  # exact in binary: sums do not round
    return result


def run(tracker, sequence):
    return [tracker.update(detections, t_s) for t_s, detections in sequence]


@given(frames())
def test_ids_count_from_one_are_unique_sorted_and_never_come_back(sequence):
    born, gone, highest = set(), set(), 0
    for tracks in run(make(), sequence):
        ids = [track.track_id for track in tracks]
        assert ids == sorted(set(ids))
        assert not gone & set(ids)
        new = sorted(set(ids) - born)
        assert new == list(range(highest + 1, highest + 1 + len(new)))
        highest += len(new)
        gone |= born - set(ids)
        born |= set(ids)


@given(frames())
def test_same_input_twice_gives_the_same_tracks(sequence):
    assert run(make(), sequence) == run(make(), sequence)


@given(frames(), st.randoms(use_true_random=False))
def test_order_of_the_detections_does_not_matter(sequence, random):
    shuffled = []
    for t_s, detections in sequence:
        order = random.sample(range(len(detections)), len(detections))
        shuffled.append(
            (
                t_s,
                Detections(detections.xyxy[order], detections.confidence[order], detections.class_id[order]),
            )
        )
    assert run(make(), shuffled) == run(make(), sequence)


@given(frames())
def test_a_seen_track_shows_a_box_of_this_frame_and_no_box_belongs_to_two(sequence):
    follower, before = make(), {}
    for t_s, detections in sequence:
        tracks = follower.update(detections, t_s)
        rows = [tuple(row) for row in detections.xyxy.astype(float).tolist()]
        shown = [track.xyxy for track in tracks if track.hits > before.get(track.track_id, 0)]
        for place in shown:
            assert shown.count(place) <= rows.count(place)
        for track in by_state(tracks, TrackState.CONFIRMED):
            assert track.xyxy in shown
        before = {track.track_id: track.hits for track in tracks}


@given(frames())
def test_tracks_are_bounded_in_time_and_their_counts_agree(sequence):
    settings = TrackerSettings(lost_s=LOST_S)
    for (t_s, _), tracks in zip(sequence, run(make(), sequence), strict=True):
        for track in tracks:
            assert t_s - track.last_seen_s <= LOST_S
            assert (track.state is TrackState.TENTATIVE) == (track.hits < settings.confirm_hits)
            assert track.class_name in DEFAULT_GROUPS[track.group]


@given(frames())
def test_weak_boxes_alone_never_begin_a_track(sequence):
    weak = [(t_s, boxes(*[(*row, 0.39, PERSON) for row in found.xyxy.tolist()])) for t_s, found in sequence]
    assert all(tracks == () for tracks in run(make(high_confidence=0.4), weak))


@given(frames(), st.sampled_from([-4096.0, -512.0, 1024.0, 8192.0]), st.sampled_from([-2048.0, 256.0]))
def test_moving_the_picture_moves_the_tracks(sequence, dx, dy):
    by = np.array([dx, dy, dx, dy], np.float32)
    moved = [(t, Detections(found.xyxy + by, found.confidence, found.class_id)) for t, found in sequence]
    for here, there in zip(run(make(), sequence), run(make(), moved), strict=True):
        assert [(t.track_id, t.state, t.hits, t.class_name) for t in here] == [
            (t.track_id, t.state, t.hits, t.class_name) for t in there
        ]
        for one, other in zip(here, there, strict=True):
            np.testing.assert_allclose(np.array(other.xyxy) - by, one.xyxy, atol=1e-2)


@given(frames(), st.integers(-(10**6), 10**6))
def test_only_differences_of_time_count(sequence, shift_s):
    later = [(t_s + shift_s, found) for t_s, found in sequence]
    for here, there in zip(run(make(), sequence), run(make(), later), strict=True):
        assert [(t.track_id, t.state, t.xyxy) for t in here] == [(t.track_id, t.state, t.xyxy) for t in there]


@given(st.lists(st.floats(0.0, float(np.finfo(np.float32).max)), min_size=1, max_size=5), st.floats(1e-3, 1e300))
def test_boxes_of_any_size_never_give_nan(sides, lost_s):
    follower = make(lost_s=lost_s, confirm_hits=1)
    for step, side in enumerate(sides):
        follower.update(boxes((0.0, 0.0, side, side / 2, 0.9, PERSON)), float(step))
    for later in (10.0, 1e6):
        for track in follower.update(Detections.empty(), later):
            assert all(map(math.isfinite, track.xyxy))


@given(frames())
def test_two_trackers_share_nothing(sequence):
    alone = run(make(), sequence)
    one, other = make(), make()
    together = []
    for t_s, detections in sequence:
        other.update(boxes(walker(7.0), walker(300.0)), t_s)
        together.append(one.update(detections, t_s))
    assert together == alone


@pytest.mark.parametrize(("gap_s", "ids"), [(LOST_S, {1}), (LOST_S + 0.01, {2})])
def test_a_gap_longer_than_lost_s_gives_a_new_id(gap_s, ids):
    follower = make(confirm_hits=1)
    for t_s in (0.0, 0.25, 0.5):
        follower.update(boxes(walker(50.0)), t_s)
    assert {track.track_id for track in follower.update(boxes(walker(50.0)), 0.5 + gap_s)} == ids


@pytest.mark.parametrize("t_s", [0.99, math.nan, math.inf, -math.inf])
def test_time_must_be_finite_and_not_go_backwards(t_s):
    follower = make()
    follower.update(boxes(walker(50.0)), 1.0)
    with pytest.raises(ValueError, match="t_s must be finite and not before"):
        follower.update(Detections.empty(), t_s)


def test_a_refused_frame_leaves_the_tracker_as_it_was():
    follower, other = make(), make()
    for one in (follower, other):
        one.update(boxes(walker(50.0)), 1.0)
    with pytest.raises(ValueError, match="class_id"):
        follower.update(boxes((0, 0, 5, 5, 0.9, len(NAMES))), 5.0)
    with pytest.raises(ValueError, match="t_s"):
        follower.update(Detections.empty(), 0.5)
    assert follower.update(boxes(walker(52.0)), 1.1) == other.update(boxes(walker(52.0)), 1.1)


def test_two_frames_of_the_same_time_are_two_frames():
    follower = make(confirm_hits=1)
    follower.update(boxes(walker(50.0)), 1.0)
    (track,) = follower.update(Detections.empty(), 1.0)
    assert track.state is TrackState.LOST


def test_a_lost_track_is_reported_where_it_must_be_by_now():
    follower = make()
    for step in range(10):
        follower.update(boxes(walker(50.0 + 6.0 * step)), 0.1 * step)
    (track,) = follower.update(Detections.empty(), 0.9 + 0.5)
    assert track.state is TrackState.LOST
    assert track.last_seen_s == pytest.approx(0.9)
    assert track.xyxy[0] == pytest.approx(50.0 + 6.0 * 14, abs=6.0)


@pytest.mark.parametrize("fps", [5, 10, 25])
def test_a_walker_keeps_his_id_at_any_rate_and_with_every_second_frame_dropped(fps):
    follower = make()
    ids = set()
    for step in range(3 * fps):
        if step % 2 or step < fps:
            ids |= {track.track_id for track in follower.update(boxes(walker(40.0 * step / fps)), step / fps)}
    assert ids == {1}


def follow(fps, seconds, place, hidden=lambda number, t_s: False):
    """Run walkers given by `place(number, t_s)`; per frame the confirmed id of each walker that was seen."""
    follower, rows = make(), []
    for step in range(int(seconds * fps)):
        t_s = step / fps
        shown = [number for number in (0, 1) if not hidden(number, t_s)]
        detections = boxes(*[walker(*place(number, t_s), confidence=0.9 - 0.1 * number) for number in shown])
        tracks = by_state(follower.update(detections, t_s), TrackState.CONFIRMED)
        id_at = {t.xyxy: t.track_id for t in tracks}
        places = [tuple(place) for place in detections.xyxy.astype(float).tolist()]
        rows.append({n: id_at[place] for n, place in zip(shown, places, strict=True) if place in id_at})
    return rows


@pytest.mark.parametrize("fps", [5, 10])
@pytest.mark.parametrize("offset_y", [4.0, 12.0])
def test_two_people_who_cross_keep_their_ids(fps, offset_y):
    def place(number, t_s):
        return (40.0 + 35.0 * t_s, 100.0) if number == 0 else (260.0 - 30.0 * t_s, 100.0 + offset_y)

    rows = follow(fps, 6.0, place)
    assert rows[3] == {0: 1, 1: 2}
    assert rows[-1] == rows[3]


@pytest.mark.parametrize("fps", [5, 10])
@pytest.mark.parametrize("hidden_s", [1.0, 1.5])
def test_a_person_behind_a_pillar_keeps_his_id(fps, hidden_s):
    def place(number, t_s):
        return (20.0 + 40.0 * t_s, 100.0) if number == 0 else (400.0, 100.0)

    rows = follow(fps, 6.0, place, lambda number, t_s: number == 0 and 2.0 < t_s < 2.0 + hidden_s)
    assert rows[-1] == rows[5]
    assert {row[0] for row in rows[2:] if 0 in row} == {rows[5][0]}


def test_the_one_behind_is_hidden_while_two_cross():
    def place(number, t_s):
        return (40.0 + 35.0 * t_s, 100.0) if number == 0 else (260.0 - 30.0 * t_s, 106.0)

    rows = follow(10, 6.0, place, lambda number, t_s: number == 1 and abs(40 + 35 * t_s - 260 + 30 * t_s) < 16.0)
    assert rows[-1] == rows[5] == {0: 1, 1: 2}


@given(st.integers(0, 2**32 - 1))
def test_objects_far_apart_never_swap(seed):
    rng = np.random.default_rng(seed)
    follower, places = make(), np.stack([150.0 * np.arange(6), rng.uniform(0, 400, 6)], axis=1)
    owner = {}
    for step in range(12):
        places = places + rng.normal(0, 3, places.shape)
        shown = rng.random(6) < 0.85
        found = boxes(*[walker(x, y) for x, y in places[shown]])
        tracks = follower.update(found, 0.1 * step)
        if not tracks:
            continue
        away = np.abs(np.array([t.xyxy[:2] for t in tracks])[:, None] - places[None]).sum(axis=2)
        for row, column in zip(*linear_sum_assignment(away), strict=True):
            if away[row, column] < 60.0 and tracks[row].last_seen_s == 0.1 * step:
                assert owner.setdefault(tracks[row].track_id, column) == column


def test_a_weak_box_continues_a_track_but_only_an_existing_one():
    follower = make()
    for step in range(3):
        follower.update(boxes(walker(50.0)), 0.1 * step)
    tracks = follower.update(boxes(walker(51.0, confidence=0.15), walker(300.0, confidence=0.15)), 0.3)
    assert [(t.track_id, t.state, round(t.confidence, 2)) for t in tracks] == [(1, TrackState.CONFIRMED, 0.15)]


def test_a_strong_box_has_precedence_over_a_weak_one():
    follower = make(confirm_hits=1)
    follower.update(boxes(walker(50.0)), 0.0)
    (track,) = follower.update(boxes(walker(50.0, confidence=0.3), walker(54.0, confidence=0.6)), 0.1)
    assert track.xyxy[0] == 54.0


def test_the_threshold_itself_is_strong_though_it_is_no_float32():
    assert len(make(high_confidence=0.7).update(boxes(walker(0.0, confidence=0.7)), 0.0)) == 1


def test_a_track_is_tentative_until_seen_often_enough():
    follower = make(confirm_hits=3)
    states = [follower.update(boxes(walker(50.0)), 0.1 * step)[0].state for step in range(4)]
    assert states == [TrackState.TENTATIVE] * 2 + [TrackState.CONFIRMED] * 2


def test_someone_found_in_every_third_frame_is_confirmed_but_a_single_flash_is_soon_forgotten():
    follower = make()
    assert follower.update(boxes(walker(50.0)), 0.0)[0].state is TrackState.TENTATIVE
    assert follower.update(Detections.empty(), 0.4)[0].state is TrackState.TENTATIVE
    assert confirmed_ids(follower.update(boxes(walker(50.0)), 0.6)) == {1}
    flash = make()
    flash.update(boxes(walker(50.0)), 0.0)
    assert flash.update(Detections.empty(), 1.01) == ()


def test_memory_is_bounded_and_the_longest_unseen_go_first(monkeypatch):
    monkeypatch.setattr(tracker_module, "MAX_UNSEEN", 3)
    follower = make(confirm_hits=1)
    for step in range(6):
        follower.update(boxes(walker(200.0 * step)), 0.1 * step)
    assert [track.track_id for track in follower.update(Detections.empty(), 0.6)] == [4, 5, 6]


def test_an_animal_called_by_changing_names_stays_one_track_and_keeps_the_prevailing_name():
    follower = make()
    named = [ELEPHANT, ELEPHANT, HORSE, ELEPHANT, PERSON, ELEPHANT, HORSE, ELEPHANT, PERSON, ELEPHANT]
    for step, class_id in enumerate(named):
        tracks = follower.update(boxes(walker(50.0, class_id=class_id, confidence=0.6)), 0.1 * step)
        assert [(t.track_id, t.class_name, t.group) for t in tracks] == [(1, "elephant", "animal")]


def test_a_name_changes_when_the_evidence_clearly_leads():
    follower = make()
    names = [
        follower.update(boxes(walker(50.0, class_id=class_id)), 0.1 * step)[0].class_name
        for step, class_id in enumerate([HORSE] * 3 + [PERSON] * 12)
    ]
    assert names[:5] == ["horse"] * 5
    assert names[-1] == "person"
    assert sum(a != b for a, b in pairwise(names)) == 1


def test_one_animal_under_three_names_in_one_frame_is_one_track():
    follower = make()
    for step in range(4):
        rows = [
            walker(50.0, class_id=ELEPHANT, confidence=0.5),
            walker(51.0, class_id=HORSE, confidence=0.6),
            walker(50.5, class_id=PERSON, confidence=0.45),
        ]
        assert len(follower.update(boxes(*rows), 0.1 * step)) == 1


@pytest.mark.parametrize(("before", "after"), [(PERSON, TRAIN), (TRAIN, PERSON), (CAR, HORSE), (TRAIN, BUS)])
def test_a_train_or_vehicle_never_takes_over_another_groups_track(before, after):
    follower = make()
    for step in range(3):
        follower.update(boxes(walker(50.0, class_id=before)), 0.1 * step)
    tracks = follower.update(boxes(walker(50.0, class_id=after)), 0.3)
    assert [(t.track_id, t.class_name, t.state) for t in tracks] == [
        (1, NAMES[before], TrackState.LOST),
        (2, NAMES[after], TrackState.TENTATIVE),
    ]


def test_a_person_in_front_of_a_train_is_not_merged_into_it():
    follower = make()
    tracks = follower.update(boxes(walker(50.0, class_id=PERSON), walker(50.0, class_id=TRAIN, confidence=0.8)), 0.0)
    assert [t.group for t in tracks] == ["person", "train"]


def test_classes_in_no_group_are_left_out():
    assert make().update(boxes(walker(50.0, class_id=KITE)), 0.0) == ()


def test_groups_that_share_tracks_are_the_callers_choice():
    follower = Tracker(TrackerSettings(), NAMES, DEFAULT_GROUPS, separate_groups=frozenset({"person"}))
    for step, class_id in enumerate([PERSON, HORSE, CAR]):
        tracks = follower.update(boxes(walker(50.0, class_id=class_id)), 0.1 * step)
    assert [t.track_id for t in tracks] == [1, 2]


@given(st.lists(st.tuples(*[st.floats(-1e3, 1e3)] * 2, *[st.floats(0, 1e3)] * 2), min_size=1, max_size=4))
def test_overlap_is_a_fraction_and_one_only_for_the_box_itself(rows):
    table = np.array(rows)
    table[:, 2:] += table[:, :2]
    overlap = grown_iou(table, table, np.zeros((len(table), 2)))
    assert ((overlap >= 0.0) & (overlap <= 1.0 + 1e-9)).all()
    area = (table[:, 2:] - table[:, :2]).prod(axis=1)
    np.testing.assert_allclose(np.diag(overlap)[area > 1e-6], 1.0)
    assert (np.diag(overlap)[area == 0.0] == 0.0).all()
