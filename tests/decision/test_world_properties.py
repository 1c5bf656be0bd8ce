"""What must hold of the severity whatever walks and whatever trains are told, on a ground in metres."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from railwatch.core.alerts import AlertKind, Severity
from railwatch.core.geometry import Point
from railwatch.core.ground import GroundPlane
from railwatch.core.risk_settings import TrainSourceSettings
from railwatch.core.types import Size
from railwatch.decision.inputs import Tick
from tests.scenario import Hub, actions
from tests.world import PLANE, look, person, place, report, train

FEED = TrainSourceSettings("feed", ("t1", "t2"), authoritative=True, max_age_s=30.0)
SITE = place(train_sources=(FEED,))
FRAMES, FPS = 12, 8

# Halves and a bit: nobody walks exactly on an edge, where rounding would decide.
lanes = st.integers(-12, 12).map(lambda half: half / 2 + 0.13)
speeds = st.integers(-4, 4).map(lambda half: half / 2)


@st.composite
def walkers(draw, track_id=1):
    """Somebody who walks straight on, or a cow, or a child."""
    x, y, vx, vy = draw(lanes), 18.0 + draw(st.integers(0, 20)), draw(speeds), draw(speeds)
    name, tall_m = draw(st.sampled_from([("person", 1.7), ("person", 1.0), ("cow", 1.5)]))
    return person(lambda t: (x + vx * t, y + vy * t), track_id, tall_m=tall_m, name=name)


@st.composite
def crowds(draw, max_size=4):
    """Several of them."""
    return [draw(walkers(number + 1)) for number in range(draw(st.integers(1, max_size)))]


trains = st.tuples(st.none() | st.integers(0, 40).map(lambda n: n * 5.0 + 0.7), st.sampled_from([5.0, 15.0, 40.0]))
tolds = st.tuples(trains, trains)


def course(site, makers, told, *, offset_s=0.0, say=lambda item: item, speeds_told=True, silent=False):
    """The severity after every frame, and the hub."""
    hub, found = Hub(site, offset_s), []
    for name, (eta_s, speed) in zip(("t1", "t2"), told, strict=True):
        speed_mps = speed if eta_s is not None and speeds_told else None
        if not silent:
            hub.feed(report(eta_s, 1, name, speed_mps=speed_mps), offset_s)
    for index in range(FRAMES):
        t_s = index / FPS
        seen = look(t_s, makers)
        seen = say(replace(seen, t_s=t_s + offset_s, pts_s=None))
        hub.feed(Tick(t_s + offset_s), t_s + offset_s)
        hub.feed(seen, t_s + offset_s)
        incident = hub.state.incidents.get((AlertKind.INTRUSION, "main", ""))
        found.append(-1 if incident is None else incident.severity.rank)
    return found, hub


def never_lower(less, more):
    assert all(a <= b for a, b in zip(less, more, strict=True)), (less, more)


@given(crowds(), tolds)
def test_without_a_calibration_the_severity_is_never_lower(makers, told):
    blind = replace(SITE, cameras=tuple(replace(camera, ground=None) for camera in SITE.cameras))
    never_lower(course(SITE, makers, told)[0], course(blind, makers, told)[0])


@given(crowds(), tolds)
def test_a_source_that_never_speaks_is_never_better_than_one_that_does(makers, told):
    never_lower(course(SITE, makers, told)[0], course(SITE, makers, told, silent=True)[0])


@given(crowds(), tolds)
def test_a_train_whose_speed_is_not_told_is_never_better(makers, told):
    never_lower(course(SITE, makers, told)[0], course(SITE, makers, told, speeds_told=False)[0])


@given(crowds(), tolds)
def test_a_zone_that_names_no_track_is_never_better(makers, told):
    unnamed = replace(SITE, zones=tuple(replace(zone, rail_track_id=None) for zone in SITE.zones))
    never_lower(course(SITE, makers, told)[0], course(unnamed, makers, told)[0])


@given(crowds(), walkers(9), tolds)
def test_one_more_in_the_picture_never_makes_it_lower(makers, extra, told):
    never_lower(course(SITE, makers, told)[0], course(SITE, [*makers, extra], told)[0])


@given(crowds(), st.integers(20, 60), tolds)
def test_a_train_that_stands_never_makes_it_lower_but_for_the_first_moment(makers, at_m, told):
    without, beside = (course(SITE, them, told)[0] for them in (makers, [*makers, train(lambda _: float(at_m))]))
    never_lower(without[6:], beside[6:])


@given(crowds(), tolds, st.sampled_from([0.25, 0.5, 2.0]))
def test_the_size_of_the_frame_changes_nothing(makers, told, scale):
    def scaled(seen):
        tracks = tuple(replace(t, xyxy=tuple(value * scale for value in t.xyxy)) for t in seen.tracks)
        size = Size(round(seen.frame_size.width * scale), round(seen.frame_size.height * scale))
        return replace(seen, tracks=tracks, frame_size=size)

    plain, other = (course(SITE, makers, told, say=say)[1].alerts for say in (lambda seen: seen, scaled))
    assert [(a.severity, a.action, a.why) for a in plain] == [(a.severity, a.action, a.why) for a in other]


@given(crowds(), tolds)
def test_a_mirrored_picture_of_the_same_ground_changes_nothing(makers, told):
    def mirrored(seen):
        wide = seen.frame_size.width
        tracks = [replace(t, xyxy=(wide - t.xyxy[2], t.xyxy[1], wide - t.xyxy[0], t.xyxy[3])) for t in seen.tracks]
        return replace(seen, tracks=tuple(tracks))

    matrix = np.array(PLANE.matrix) @ np.array([[-1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    plane = GroundPlane(tuple(map(tuple, matrix.tolist())), "matrix")
    zones = [replace(z, polygon_norm=tuple(Point(1.0 - p.x, p.y) for p in z.polygon_norm)) for z in SITE.zones]
    site = replace(SITE, cameras=tuple(replace(c, ground=plane) for c in SITE.cameras), zones=tuple(zones))
    assert course(SITE, makers, told)[0] == course(site, makers, told, say=mirrored)[0]


@given(crowds(), tolds, st.randoms(use_true_random=False))
def test_the_order_in_the_frame_changes_nothing(makers, told, random):
    def shuffled(seen):
        tracks = list(seen.tracks)
        random.shuffle(tracks)
        return replace(seen, tracks=tuple(tracks))

    plain, mixed = course(SITE, makers, told), course(SITE, makers, told, say=shuffled)
    assert plain[0] == mixed[0]
    assert actions(plain[1].alerts) == actions(mixed[1].alerts)


@settings(max_examples=20)
@given(crowds(), tolds, st.integers(1, 2**20))
def test_the_time_of_the_day_changes_nothing(makers, told, offset_s):
    assert course(SITE, makers, told)[0] == course(SITE, makers, told, offset_s=float(offset_s))[0]


@given(crowds(), st.integers(0, 40).map(lambda n: n * 5.0 + 0.7), st.integers(0, 100))
def test_the_sooner_a_train_is_told_the_severity_is_never_lower(makers, eta_s, sooner_s):
    sooner = max(0.0, eta_s - sooner_s)
    later, earlier = (course(SITE, makers, ((eta, 20.0), (eta, 20.0)))[0] for eta in (eta_s, sooner))
    never_lower(later, earlier)


def test_the_world_reaches_every_severity():
    """The properties say nothing if nothing is ever raised."""
    stands = [person(lambda _: (0.13, 20.0))]
    told = {eta: course(SITE, stands, ((eta, 20.0), (eta, 20.0)))[0][-1] for eta in (None, 30.7, 230.7)}
    assert told == {None: Severity.WARNING.rank, 30.7: Severity.EMERGENCY.rank, 230.7: Severity.WARNING.rank}
    assert course(SITE, [person(lambda _: (-3.0, 20.0))], ((None, 1.0), (None, 1.0)))[0][-1] == Severity.NOTICE.rank
