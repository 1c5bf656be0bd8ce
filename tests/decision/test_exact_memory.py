"""What is remembered of a camera, to the frame: places, holds, self-tests; and what a journal had open."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from types import MappingProxyType

import pytest

from railwatch.core.alerts import (
    AckLevel,
    Action,
    Alert,
    AlertKind,
    AlertObject,
    CameraState,
    RestoredIncident,
    SectionState,
    Severity,
)
from railwatch.core.geometry import Point
from railwatch.core.ground import GroundPlane, GroundPoint
from railwatch.core.risk_settings import RiskSettings
from railwatch.core.types import Zone, ZoneKind
from railwatch.decision.assessing import Outlook, Standing
from railwatch.decision.clearing import Behaviour, Clearing
from railwatch.decision.following import Following
from railwatch.decision.incidents import Incident
from railwatch.decision.motion import MOST_STEPS, Pace, followed, ground_motion
from railwatch.decision.presence import CameraMemory, SectionView, blinded, observe
from railwatch.decision.probing import Probing, Running, ended, overdue
from railwatch.decision.restore import restored_faults, restored_incidents
from railwatch.decision.sightings import Engine, in_a_train, sightings_of
from railwatch.decision.trains import NO_REPORTS
from railwatch.decision.zones import Hit
from tests.scenario import EPOCH, ON_TRACK, Hub, observation, site, track

BOX = (0.4, 0.4, 0.5, 0.5)

# Places


def times_of(before, t_s):
    return [pace.t_s for pace in followed([Pace(t, BOX) for t in before], t_s, BOX)]


@pytest.mark.parametrize(
    ("before", "t_s", "kept"),
    [
        ([0.0, 1.0], 2.0, [0.0, 1.0, 2.0]),  # just two seconds old
        ([0.0, 1.0], 2.0625, [1.0, 2.0625]),
        ([0.0, 0.05], 0.1, [0.0, 0.1]),  # one too many for sixteen in two seconds
        ([0.0, 0.0625], 0.125, [0.0, 0.0625, 0.125]),
        ([0.0], 0.01, [0.0, 0.01]),
        ([0.0, 1.0], 1.0, [0.0, 1.0]),  # a clock that stands adds nothing
    ],
)
def test_which_places_are_kept(before, t_s, kept):
    assert times_of(before, t_s) == kept


def test_at_most_sixteen_places_are_kept():
    assert times_of([n / 8 for n in range(16)], 2.0) == [n / 8 for n in range(1, 17)]
    assert MOST_STEPS == 16


def places(*ys, times=(0.0, 1.0, 2.0)):
    return tuple(Pace(t, BOX, GroundPoint(4.0, y, 0.01, 0.01, 0.0)) for t, y in zip(times, ys, strict=True))


def test_a_motion_over_just_three_tenths_of_a_second_is_one():
    assert ground_motion(places(1.0, 1.0, 1.0, times=(0.0, 0.1, 0.3))) is not None


# Who is there


OUTLOOK = Outlook(site(), NO_REPORTS, [], {}, 0.0)


@pytest.mark.parametrize(("dwell_s", "settled"), [(0.99, False), (1.0, True)])
@pytest.mark.parametrize(("worker_epoch", "known"), [(1, True), (2, False)])
def test_who_was_on_the_track_for_a_second_is_no_passenger_of_a_train_that_covers_him(
    dwell_s, settled, worker_epoch, known
):
    there = Standing(Hit(track(ON_TRACK), site().zones[0]), Clearing(None, Behaviour.STANDING), dwell_s)
    engine = Engine((Pace(1.0, (0.2, 0.2, 0.8, 0.9)),), moving=True, ever_moved=True, nearing=False)
    memory = CameraMemory(
        0.0,
        CameraState.NOMINAL,
        worker_epoch=1,
        views=MappingProxyType({"main": SectionView(standings=(there,))}),
        following=Following(engines=MappingProxyType({6: engine})),
    )
    after = observe(memory, observation(1.0, track(ON_TRACK), worker_epoch=worker_epoch), site(), 1.0, OUTLOOK)
    assert bool(after.view("main").hits) is (settled and known)


def test_a_camera_that_can_no_longer_be_trusted_keeps_what_it_saw():
    memory = CameraMemory(3.0, CameraState.NOMINAL, "", 1, 2.5, "then", 0.1, 7, waiting=True)
    assert blinded(memory, "gone") == replace(
        memory, state=CameraState.BLIND, reason="gone", good_frames=0, waiting=False
    )


def test_who_was_seen_in_one_frame_only_is_not_held():
    hub = Hub(site(risk=RiskSettings(stay_hold_s=5.0)))
    hub.watch(0.0, 1.0)
    assert hub.watch(1.0, 1.1, ON_TRACK) == []
    assert hub.watch(1.1, 3.0) == []
    assert hub.section() is SectionState.CLEAR
    assert hub.state.cameras["cam"].view("main").stayers == ()


@pytest.mark.parametrize("gap_s", [0.1, 1.0])
def test_a_hold_is_counted_from_the_frame_that_did_not_show_him(gap_s):
    hub = Hub(site(risk=RiskSettings(stay_hold_s=2.0)))
    hub.watch(0.0, 2.0, ON_TRACK)
    lost_s = 1.9 + gap_s
    hub.watch(lost_s, lost_s + 1.95)
    assert len(hub.state.cameras["cam"].view("main").stayers) == 1
    hub.watch(lost_s + 2.0, lost_s + 2.15)
    assert hub.state.cameras["cam"].view("main").stayers == ()


# Self-tests


def test_a_self_test_of_a_camera_that_cannot_be_trusted_has_no_verdict():
    before = Probing(Running("t1", 0.0, 2.0, CameraMemory(0.0)), runs=3, misses=1, words="as before")
    after = ended(before, "no worker", trusted=False)
    assert after == replace(before, running=None, words="the camera could not be trusted: no verdict")


@pytest.mark.parametrize(("now_s", "late"), [(6.9, False), (7.0, False), (7.1, True)])
def test_a_self_test_is_overdue_after_its_time(now_s, late):
    assert overdue(Running("t1", 5.0, 2.0, CameraMemory(0.0)), now_s) is late


# What a journal had open


ALERT = Alert(
    site_id="site",
    epoch=EPOCH,
    seq=3,
    alert_id="a3",
    kind=AlertKind.SYSTEM,
    action=Action.UPDATED,
    severity=Severity.WARNING,
    incident_id="i1",
    section_id="",
    camera_id=None,
    zone_id=None,
    objects=(AlertObject(1, "man", "person", 0.9), AlertObject(2, "cow", "animal", 0.8)),
    why="journal: the disk is full",
    margin_s=None,
    captured_at="then",
    published_at="then",
    config_rev="r",
    model_sha256="f" * 64,
    camera_ids=("a", "b"),
    addressed_to=("desk",),
    fault="journal",
)


def test_an_incident_comes_back_whole():
    found = restored_incidents([RestoredIncident(ALERT, "at first", AckLevel.DISPLAYED, "Anna", "key")], 50.0)
    assert found == {
        (AlertKind.SYSTEM, "", "journal"): Incident(
            AlertKind.SYSTEM,
            Severity.WARNING,
            "i1",
            "",
            "at first",
            frozenset({"person", "animal"}),
            2,
            50.0,
            frozenset({"a", "b"}),
            AckLevel.DISPLAYED,
            "Anna",
            "key",
            ("desk",),
            50.0,
            -inf,
            "journal",
            "the disk is full",
        )
    }
    assert dict(restored_faults(found, 50.0).reasons) == {"journal": "the disk is full"}


def test_a_system_incident_without_a_fault_brings_no_fault_back():
    nameless = {(AlertKind.SYSTEM, "", ""): Incident(AlertKind.SYSTEM, Severity.WARNING)}
    assert dict(restored_faults(nameless, 0.0).reasons) == {}


# Trains


def strip(name, left, right, top=0.2, bottom=0.9):
    points = (Point(left, top), Point(right, top), Point(right, bottom), Point(left, bottom))
    return Zone(name, "cam", "main", name, ZoneKind.TRACK, points)


def track_of(box, *zones):
    engine = Engine((Pace(0.0, box),), moving=True, ever_moved=True, nearing=True)
    (found,) = sightings_of("cam", {1: engine}, zones, None)
    assert (found.camera_id, found.eta_s) == ("cam", 0.0)
    return found.rail_track_id


def test_the_track_below_the_middle_of_the_foot_comes_before_the_one_that_is_covered_most():
    box = (0.2, 0.3, 0.8, 0.7)
    assert track_of(box, strip("wide", 0.2, 0.45), strip("narrow", 0.48, 0.52)) == "narrow"
    assert track_of(box, strip("narrow", 0.48, 0.52), strip("wide", 0.2, 0.45)) == "narrow"


def test_only_the_lowest_tenth_of_a_train_is_its_foot():
    assert track_of((0.4, 0.3, 0.8, 0.7), strip("upper", 0.3, 0.55, 0.2, 0.6)) is None


@pytest.mark.parametrize("names", ["ab", "ba"])
def test_of_tracks_that_are_covered_alike_the_first_counts(names):
    one, other = names
    assert track_of((0.25, 0.25, 0.75, 0.75), strip(one, 0.0, 0.375), strip(other, 0.625, 1.0)) == one


@pytest.mark.parametrize(("speed", "measured"), [(0.5, True), (0.49, False)])
def test_a_train_slower_than_half_a_metre_a_second_is_there_now(speed, measured):
    flat = GroundPlane(((10.0, 0.0, 0.0), (0.0, -10.0, 10.0), (0.0, 0.0, 1.0)), "matrix")
    paces = places(30.0, 30.0 - speed, 30.0 - 2 * speed)
    engine = Engine(paces, moving=True, ever_moved=True, nearing=True)
    (found,) = sightings_of("cam", {1: engine}, [strip("t", 0.3, 0.5)], flat)
    assert (found.speed_mps is not None) is measured


@pytest.mark.parametrize(
    ("box", "train", "sits"),
    [
        ((0.0, 0.25, 0.625, 0.75), (0.125, 0.0, 1.0, 1.0), True),  # four fifths of it are in
        ((0.0, 0.25, 0.626, 0.75), (0.126, 0.0, 1.0, 1.0), False),
        ((0.4, 0.5, 0.5, 0.979), (0.0, 0.0, 1.0, 1.0), True),
        ((0.4, 0.5, 0.5, 0.98), (0.0, 0.0, 1.0, 1.0), False),  # its feet are a fiftieth above the train's
    ],
)
def test_who_just_sits_in_a_train(box, train, sits):
    assert in_a_train(box, [train]) is sits


def test_a_track_that_ends_above_the_foot_of_a_train_is_not_under_it():
    assert track_of((0.4, 0.3, 0.8, 0.7), strip("upper", 0.3, 0.599, 0.2, 0.65)) is None
    assert track_of((0.4, 0.3, 0.8, 0.7), strip("lower", 0.3, 0.599, 0.2, 0.7)) == "lower"


def test_a_track_that_is_covered_to_just_a_fifth_is_not_under_it():
    assert track_of((0.0, 0.0, 0.625, 0.625), strip("t", 0.0, 0.125, 0.0, 1.0)) is None
    assert track_of((0.0, 0.0, 0.625, 0.625), strip("t", 0.0, 0.126, 0.0, 1.0)) == "t"
    assert track_of((0.0, 0.0, 0.625, 0.625)) is None


def test_a_second_incident_of_one_key_gets_a_key_that_nothing_belongs_to():
    twice = [RestoredIncident(replace(ALERT, incident_id=name), "then") for name in ("i1", "i2")]
    assert list(restored_incidents(twice, 0.0)) == [
        (AlertKind.SYSTEM, "", "journal"),
        (AlertKind.SYSTEM, "also i2", "journal"),
    ]
