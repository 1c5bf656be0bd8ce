"""What is told, and when to the frame: evidence, margins, self-tests, the order of a Status, hours that run out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from railwatch.core.alerts import Action, AlertKind, AlertObject, CameraState, Severity
from railwatch.core.evidence import evidence_id_of
from railwatch.core.risk_settings import TrainSourceSettings
from railwatch.core.schedules import ScheduleSettings
from railwatch.core.settings import CameraSettings, EvidenceSettings
from railwatch.core.types import Track, TrackState, TrainReport, ZoneKind
from railwatch.decision.inputs import ConfigChange, Hours, Possession, Probe, ProbeSight
from railwatch.decision.presence import CameraMemory
from railwatch.decision.probing import Probing, Running
from railwatch.decision.state import Held
from railwatch.decision.status import status_of
from railwatch.decision.telling import Account, Transition, account_of_probe, account_of_the_unwatched
from railwatch.decision.transitions import told_of
from tests.scenario import ON_TRACK, Hub, band, observation, site, track

KEPT = replace(site(), evidence=EvidenceSettings(record=True))
NOT_KEPT = replace(site(), evidence=EvidenceSettings(record=False))


def test_evidence_is_named_while_it_is_recorded():
    hub = Hub(KEPT)
    opened, closed = hub.watch(0.0, 1.0, ON_TRACK) + hub.watch(1.0, 3.0)
    assert (opened.evidence, closed.evidence) == (evidence_id_of(opened.alert_id), evidence_id_of(closed.alert_id))
    (blind,) = hub.see(3.0, state=CameraState.BLIND)
    assert (blind.kind, blind.action, blind.evidence) == (AlertKind.BLINDNESS, Action.OPENED, None)
    hub.watch(3.0, 4.0)
    hub.feed(ConfigChange(NOT_KEPT), 4.0)
    opened, closed = hub.watch(4.0, 5.0, ON_TRACK) + hub.watch(5.0, 7.0)
    assert (opened.evidence, closed.evidence, opened.config_rev) == (None, None, NOT_KEPT.config_rev)
    hub.feed(ConfigChange(KEPT), 7.0)
    (opened,) = hub.watch(7.0, 8.0, ON_TRACK)
    assert opened.evidence is not None
    (joined,) = [hub.see(t, track(ON_TRACK), track(0.55, 2, "animal")) for t in (8.0, 8.1, 8.2)][-1]
    assert (joined.action, joined.evidence) == (Action.UPDATED, None)


def test_a_margin_is_told_to_the_millisecond():
    hub = Hub(site(train_sources=[TrainSourceSettings("feed", max_age_s=600.0)]))
    hub.feed(TrainReport("t1", "east", 60.123456, None, None, "feed", 1, 0.0, authoritative=False), 0.25)
    for number in range(3):
        hub.see(0.25, track(ON_TRACK), index=number)
    (opened,) = hub.alerts
    assert opened.margin_s == -119.877
    assert f"{opened.margin_s:g}" == "-119.877"


def growing(t_s):
    """A train whose box covers the whole track and grows."""
    size = 100.0 + 100.0 * t_s
    box = (500.0 - size, 500.0 - size, 500.0 + size, 500.0 + size)
    return Track(9, "train", "train", box, 0.9, TrackState.CONFIRMED, t_s, t_s, 3)


def test_a_train_counts_in_the_very_frame_that_shows_it_move():
    hub = Hub(site())
    for number in range(16):
        hub.see(number / 8, track(ON_TRACK))
    for number in range(16, 24):
        hub.see(number / 8, track(ON_TRACK), growing(number / 8))
    raised = hub.alerts[-1]
    assert (raised.action, raised.severity, raised.published_at) == (
        Action.ESCALATED,
        Severity.EMERGENCY,
        "received 2.500",  # an edge of its box has run by 6 % of it
    )


def test_a_train_that_a_camera_sees_stands_in_the_status_of_the_track_it_looks_at():
    zones = [replace(band("track-cam", ZoneKind.TRACK, 0.0, 0.1), rail_track_id="t1")]
    hub = Hub(site(zones=zones))
    for number in range(8):
        hub.see(number / 8, growing(number / 8))
    (train,) = status_of(hub.state).trains
    assert (train.rail_track_id, train.source, train.eta_s) == ("t1", "camera", 0.0)


def test_open_incidents_stand_in_a_status_by_kind_and_section():
    names = ("b", "a")
    zones = [band(f"z{name}", ZoneKind.TRACK, 0.4, 0.6, name, name) for name in names]
    hub = Hub(site([CameraSettings(name, "x.mp4") for name in names], zones))
    for number in range(4):
        for name in names:
            hub.feed(observation(number / 10, track(ON_TRACK), camera_id=name), number / 10)
    hub.lose(0.5, *names)
    told = [(item.kind, item.section_id) for item in status_of(hub.state).open_incidents]
    assert told == [(kind, name) for kind in (AlertKind.BLINDNESS, AlertKind.INTRUSION) for name in ("a", "b")]


def test_hours_and_possessions_end_just_when_their_time_is_up():
    night = ScheduleSettings("night", "UTC", "22:00", "05:00", at_least=Severity.EMERGENCY)
    hub = Hub(replace(site(), schedules=(night,)))
    hub.feed(Hours((), 2.0), 0.0)
    hub.feed(Possession("t1", "Anna", 2.0), 0.0)
    assert hub.state.possessions == {"t1": Held("Anna", 2.0)}
    (opened,) = hub.watch(0.0, 1.9, ON_TRACK)
    assert (opened.severity, "under a possession" in opened.why) == (Severity.NOTICE, True)
    (raised,) = hub.tick(2.0)
    assert (raised.severity, "under a possession" in raised.why) == (Severity.EMERGENCY, False)
    assert raised.why.endswith("by schedule night, as the time is not sure")


# Self-tests


def test_a_self_test_that_another_one_interrupts_ends_without_a_verdict():
    hub = Hub(site())
    hub.feed(Probe("cam", "t1", 2.0), 0.0)
    for number in range(3):
        people = (track(ON_TRACK, 3, class_name="man"), track(0.55, 4))
        hub.feed(ProbeSight("t1", observation(number / 10, *people)), number / 10)
    hub.feed(ProbeSight("t1", observation(0.4)), 0.4)
    hub.feed(Probe("cam", "t2", 2.0), 0.5)
    opened, closed = [alert for alert in hub.alerts if alert.kind is AlertKind.TEST]
    assert (opened.action, closed.action) == (Action.OPENED, Action.CLOSED)
    assert closed.incident_id == opened.incident_id == "test.1-i1"
    assert opened.objects == (AlertObject(3, "man", "person", 0.9),)
    assert (closed.camera_id, closed.zone_id, closed.objects) == ("cam", None, ())
    assert closed.why == "self-test of camera cam: another one was begun before it was over: no verdict"
    assert hub.state.probing("cam").runs == 0


@pytest.mark.parametrize("running", [None, Running("t1", 0.0, 2.0, CameraMemory(0.0, CameraState.NOMINAL))])
def test_a_self_test_is_told_of_even_where_nothing_is_left_of_it(running):
    told = account_of_probe("cam", Probing(running, words="as it was"), Action.OPENED)
    assert (told.camera_id, told.zone_id, told.objects, told.captured_at) == ("cam", None, (), None)
    assert told.why == (
        "self-test of camera cam: as it was"
        if running is None
        else "self-test of camera cam: a person was put into a copy of its pictures and is seen"
    )


def test_what_is_told_of_what_nobody_watches_any_more():
    words = "closed because the site does not watch it any more"
    assert account_of_the_unwatched(Action.CLOSED) == Account(words, None, None, (), None)


def test_nothing_is_told_of_an_incident_that_never_was():
    change = Transition((AlertKind.SYSTEM, "", "x"), None, None, Action.CLOSED, account_of_the_unwatched)
    with pytest.raises(AssertionError, match=r"^an action is told of an incident that is or was open$"):
        told_of(Hub(site()).state, change, None)
