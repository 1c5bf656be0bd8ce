"""The life of incidents and sections, told through inputs."""

from __future__ import annotations

import pytest

from railwatch.core.alerts import Action, AlertKind, AlertObject, CameraState, SectionState, Severity
from railwatch.core.settings import CameraSettings
from railwatch.core.types import TrackState, ZoneKind
from railwatch.decision.inputs import Stamped, Tick
from railwatch.decision.presence import FrameMemory, SectionView
from tests.scenario import EPOCH, IN_APPROACH, ON_TRACK, OUTSIDE, Hub, actions, band, site, track

CLEAR, OCCUPIED, UNKNOWN = SectionState.CLEAR, SectionState.OCCUPIED, SectionState.UNKNOWN
TWO = (CameraSettings("a", "a.mp4"), CameraSettings("b", "b.mp4"))
DEGRADED, BLIND = CameraState.DEGRADED, CameraState.BLIND


def test_starts_unknown_and_is_clear_only_after_a_full_window_of_good_frames():
    hub = Hub(site())
    assert hub.section() is UNKNOWN
    hub.watch(0.0, 0.4)
    assert hub.section() is UNKNOWN
    hub.see(0.4)
    assert hub.section() is CLEAR
    assert hub.alerts == []


def test_person_on_track_is_one_incident_with_on_delay_and_off_delay():
    hub = Hub(site())
    hub.watch(0.0, 1.0)
    alerts = hub.watch(1.0, 3.0, ON_TRACK)
    assert actions(alerts) == ["INTRUSION OPENED WARNING"]
    opened = alerts[0]
    assert opened.captured_at == "captured 1.200"  # the third frame of five
    assert opened.published_at == "received 1.200"
    assert (opened.camera_id, opened.zone_id, opened.section_id) == ("cam", "track-cam", "main")
    assert opened.why == "1 person on the track t1"
    assert (opened.site_id, opened.epoch, opened.alert_id) == ("site", EPOCH, "test.1-a1")
    assert (opened.incident_id, opened.model_sha256, opened.config_rev) == ("test.1-i1", "f" * 64, site().config_rev)
    assert opened.objects == (AlertObject(1, "person", "person", 0.9),)
    assert [o.track_id for o in opened.objects] == [1]
    assert hub.section() is OCCUPIED
    closing = hub.watch(3.0, 5.0)
    assert actions(closing) == ["INTRUSION CLOSED WARNING"]
    assert closing[0].captured_at == "captured 3.900"  # quiet since 2.9
    assert closing[0].incident_id == opened.incident_id
    assert hub.section() is CLEAR


def test_two_frames_of_five_are_no_alarm():
    hub = Hub(site())
    for number in range(40):
        hub.see(number / 10, *([track(ON_TRACK)] if number % 5 < 2 else []))
    assert hub.alerts == []


@pytest.mark.parametrize("state", [TrackState.TENTATIVE, TrackState.LOST])
def test_only_objects_seen_in_the_frame_count(state):
    hub = Hub(site())
    for number in range(20):
        hub.see(number / 10, track(ON_TRACK, state=state))
    assert hub.alerts == []
    assert hub.section() is CLEAR


def test_groups_that_raise_no_alarm_do_not_count():
    hub = Hub(site())
    for number in range(20):
        hub.see(number / 10, track(ON_TRACK, group="vehicle"))
    assert hub.alerts == []


def test_approach_is_a_notice_escalates_on_the_track_and_falls_back():
    hub = Hub(site())
    hub.watch(0.0, 1.0, IN_APPROACH)
    assert hub.section() is CLEAR  # somebody near the track is not on it
    hub.watch(1.0, 2.0, ON_TRACK)
    assert hub.section() is OCCUPIED
    hub.watch(2.0, 4.0, IN_APPROACH)
    assert hub.section() is CLEAR
    hub.watch(4.0, 6.0)
    assert actions(hub.alerts) == [
        "INTRUSION OPENED NOTICE",
        "INTRUSION ESCALATED WARNING",
        "INTRUSION DEESCALATED NOTICE",
        "INTRUSION CLOSED NOTICE",
    ]
    assert len({alert.incident_id for alert in hub.alerts}) == 1
    assert [alert.seq for alert in hub.alerts] == [1, 2, 3, 4]


def test_time_near_the_track_is_not_time_on_it():
    hub = Hub(site())
    hub.watch(0.0, 5.0, IN_APPROACH)
    (alert,) = hub.watch(5.0, 6.0, ON_TRACK)
    assert alert.why == "1 person on the track t1"
    assert hub.state.cameras["cam"].views["main"].longest_dwell_s == pytest.approx(0.9)


def test_severity_on_the_track_is_the_one_configured():
    hub = Hub(site(severity=Severity.EMERGENCY))
    assert actions(hub.watch(0.0, 1.0, ON_TRACK)) == ["INTRUSION OPENED EMERGENCY"]
    assert actions(hub.watch(1.0, 2.5, IN_APPROACH)) == ["INTRUSION DEESCALATED NOTICE"]


def test_a_short_gap_in_the_detections_neither_closes_nor_clears():
    hub = Hub(site())
    hub.watch(0.0, 1.0, ON_TRACK)
    for begin in range(1, 10):
        hub.watch(begin, begin + 0.8)
        assert hub.section() is OCCUPIED
        hub.watch(begin + 0.8, begin + 1.0, ON_TRACK)
    assert actions(hub.alerts) == ["INTRUSION OPENED WARNING"]


def test_an_elephant_that_joins_a_man_is_told_at_once():
    hub = Hub(site())
    hub.watch(0.0, 1.0, ON_TRACK)
    for number in range(10, 20):
        hub.see(number / 10, track(ON_TRACK), track(0.55, 2, "animal", "elephant"))
    assert actions(hub.alerts) == ["INTRUSION OPENED WARNING", "INTRUSION UPDATED WARNING"]
    assert hub.alerts[1].captured_at == "captured 1.200"
    assert hub.alerts[1].why == "1 elephant and 1 person on the track t1, for 1 s"


def test_one_frame_of_another_class_is_not_told():
    hub = Hub(site())
    hub.watch(0.0, 1.0, ON_TRACK)
    for number in range(10, 30):
        group = "animal" if number % 5 == 0 else "person"
        hub.see(number / 10, track(ON_TRACK, group=group))
    assert actions(hub.alerts) == ["INTRUSION OPENED WARNING"]


def test_a_growing_count_is_told_at_most_once_an_interval():
    hub = Hub(site(update_interval_s=2.0))
    hub.watch(0.0, 1.0, ON_TRACK)
    hub.watch(1.0, 1.5, ON_TRACK, 0.45)
    hub.watch(1.5, 4.0, ON_TRACK, 0.45, 0.55)
    updates = [alert for alert in hub.alerts if alert.action is Action.UPDATED]
    assert [(alert.captured_at, len(alert.objects)) for alert in updates] == [("captured 2.200", 3)]
    hub.watch(4.0, 8.0, ON_TRACK)
    assert len(hub.alerts) == 2  # fewer people are not told


def test_time_of_an_old_frame_moves_nothing_back():
    hub = Hub(site())
    hub.watch(0.0, 1.0, ON_TRACK)
    hub.see(0.2)
    assert hub.state.cameras["cam"].t_s == 0.9
    hub.tick(0.1)
    assert hub.state.now_s == 0.9


def test_sections_are_decided_apart():
    zones = [
        band("left", ZoneKind.TRACK, 0.0, 0.3, section_id="west"),
        band("right", ZoneKind.TRACK, 0.7, 1.0, section_id="east"),
    ]
    hub = Hub(site(zones=zones))
    hub.watch(0.0, 1.0, 0.1)
    assert hub.section("west") is OCCUPIED
    assert hub.section("east") is CLEAR
    assert [alert.section_id for alert in hub.alerts] == ["west"]


def test_ignored_and_outside_objects_raise_nothing():
    zones = [band("rails", ZoneKind.TRACK, 0.4, 0.6), band("bush", ZoneKind.IGNORE, 0.45, 0.55)]
    hub = Hub(site(zones=zones))
    hub.watch(0.0, 1.0, ON_TRACK, OUTSIDE)
    assert hub.alerts == []
    assert hub.section() is CLEAR


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_clocks_must_be_finite(bad):
    with pytest.raises(ValueError, match="now_s must be finite"):
        Tick(bad)
    with pytest.raises(ValueError, match="received_s must be finite"):
        Stamped(bad, "", Tick(0.0))


def test_an_incident_that_nobody_sees_any_more_escalates_with_an_honest_sentence():
    """Two cameras: one raised the notice, the other raises the warning in a frame of the first."""
    hub = Hub(site(on_delay_hits=1, on_delay_window=1))
    hub.see(0.0, track(ON_TRACK))
    hub.see(0.1)
    assert hub.section() is OCCUPIED
    closed = hub.watch(0.2, 2.0)
    assert closed[-1].why == "nobody was seen for the whole off-delay by cameras that see"
    assert closed[-1].objects == ()
    assert closed[-1].zone_id is None


def test_the_surest_object_of_the_most_dangerous_place_names_the_alert():
    hub = Hub(site())
    for number in range(3):
        hub.see(
            number / 10,
            track(IN_APPROACH, 1, confidence=0.99),
            track(ON_TRACK, 2, "animal", "cow", confidence=0.5),
            track(ON_TRACK, 3, confidence=0.7),
        )
    (opened,) = hub.alerts
    assert opened.zone_id == "track-cam"
    assert [(o.track_id, o.class_name, o.group) for o in opened.objects] == [
        (1, "person", "person"),
        (3, "person", "person"),
        (2, "cow", "animal"),
    ]


def test_a_count_is_steady_only_when_so_many_frames_reach_it():
    hub = Hub(site(update_interval_s=0.0, on_delay_hits=3, on_delay_window=5))
    hub.watch(0.0, 1.0, ON_TRACK)
    for number in range(10, 40):
        extra = [track(0.45, 2)] if number % 5 < 2 else []  # a second person in two frames of five
        hub.see(number / 10, track(ON_TRACK), *extra)
    assert actions(hub.alerts) == ["INTRUSION OPENED WARNING"]
    assert hub.state.incidents[(AlertKind.INTRUSION, "main", "")].count == 1


def test_the_first_count_is_told_with_the_opening():
    hub = Hub(site(update_interval_s=0.0))
    hub.watch(0.0, 2.0, ON_TRACK, 0.45)
    assert actions(hub.alerts) == ["INTRUSION OPENED WARNING"]


def test_dwell_is_kept_while_the_tracker_predicts_and_is_nothing_without_objects():
    hub = Hub(site())
    hub.watch(0.0, 1.0, ON_TRACK)
    hub.see(1.0, track(ON_TRACK, state=TrackState.LOST))
    hub.see(1.5, track(ON_TRACK))
    view = hub.state.cameras["cam"].views["main"]
    assert view.longest_dwell_s == 1.5
    hub.see(2.0)
    assert hub.state.cameras["cam"].views["main"].longest_dwell_s == 0.0


def test_a_fall_in_severity_without_anybody_in_the_picture_says_so():
    hub = Hub(site(off_delay_s=1.0))
    hub.watch(0.0, 1.0, ON_TRACK)
    hub.watch(1.0, 1.5, IN_APPROACH)
    alerts = hub.watch(1.5, 2.1)
    assert actions(alerts) == ["INTRUSION DEESCALATED NOTICE"]
    assert alerts[0].why == "nobody is seen now"


def test_a_count_that_stays_is_told_once():
    hub = Hub(site(update_interval_s=2.0))
    hub.watch(0.0, 1.0, ON_TRACK)
    hub.watch(1.0, 12.0, ON_TRACK, 0.45, 0.55)
    assert [alert.action for alert in hub.alerts] == [Action.OPENED, Action.UPDATED]


def test_a_count_that_grows_again_within_the_interval_waits_for_it():
    hub = Hub(site(update_interval_s=2.0))
    hub.watch(0.0, 3.0, ON_TRACK)
    hub.watch(3.0, 4.0, ON_TRACK, 0.45)
    hub.watch(4.0, 8.0, ON_TRACK, 0.45, 0.55)
    assert [(alert.action.value, alert.captured_at) for alert in hub.alerts[1:]] == [
        ("UPDATED", "captured 3.200"),
        ("UPDATED", "captured 5.200"),
    ]


def test_the_steady_count_is_what_enough_frames_reach():
    frames = tuple(FrameMemory(frozenset(), count) for count in (1, 1, 3, 1, 2))
    view = SectionView(window=frames)
    assert [view.steady_count(needed) for needed in (1, 2, 3, 5)] == [3, 2, 1, 1]
    assert SectionView(window=frames[:2]).steady_count(3) == 0
