"""The life of incidents and sections, told through inputs."""

from __future__ import annotations

import pytest

from railwatch.core.alerts import Action, AlertKind, AlertObject, CameraState, SectionState, Severity
from railwatch.core.settings import CameraSettings
from railwatch.core.types import TrackState, ZoneKind
from railwatch.decision.inputs import Stamped, Tick
from railwatch.decision.step import start, step
from tests.scenario import EPOCH, IN_APPROACH, ON_TRACK, OUTSIDE, Hub, actions, band, observation, site, track

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
    assert opened.why == "1 person on the track"
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


def test_blind_time_never_counts_as_clear_time():
    hub = Hub(site())
    hub.watch(0.0, 1.0, ON_TRACK)
    hub.watch(1.0, 1.6)  # 0.7 s of quiet
    hub.watch(1.6, 60.0, state=BLIND, reason="cover")
    assert hub.section() is OCCUPIED
    hub.watch(60.0, 60.3)  # the blind minute and the step out of it count nothing
    assert AlertKind.INTRUSION not in {alert.kind for alert in hub.alerts if alert.action is Action.CLOSED}
    hub.watch(60.3, 62.0)
    kinds = {alert.kind for alert in hub.alerts if alert.action is Action.CLOSED}
    assert kinds == {AlertKind.INTRUSION, AlertKind.BLINDNESS}
    assert hub.section() is CLEAR


def test_frames_too_far_apart_leave_time_that_nobody_observed():
    hub = Hub(site())
    hub.watch(0.0, 1.0, ON_TRACK)
    for number in range(1, 20):
        hub.see(number * 1.5)
    assert hub.section() is OCCUPIED


def test_a_degraded_frame_may_say_somebody_but_never_nobody():
    hub = Hub(site())
    hub.watch(0.0, 1.0)
    hub.watch(1.0, 2.0, state=DEGRADED, reason="dark")
    assert hub.section() is UNKNOWN
    hub.watch(2.0, 3.0, ON_TRACK, state=DEGRADED, reason="dark")
    assert hub.section() is OCCUPIED
    assert actions(hub.alerts) == ["BLINDNESS OPENED NOTICE", "INTRUSION OPENED WARNING"]


def test_blindness_opens_rises_falls_and_closes_after_settling():
    hub = Hub(site())
    hub.watch(0.0, 1.0)
    hub.watch(1.0, 1.2, state=DEGRADED, reason="dark")
    hub.watch(1.2, 1.4, state=BLIND, reason="covered")
    hub.watch(1.4, 1.6, state=DEGRADED, reason="dark")
    hub.watch(1.6, 2.0)
    assert hub.section() is UNKNOWN  # four good frames are not yet a window
    hub.see(2.0)
    assert actions(hub.alerts) == [
        "BLINDNESS OPENED NOTICE",
        "BLINDNESS ESCALATED WARNING",
        "BLINDNESS DEESCALATED NOTICE",
        "BLINDNESS CLOSED NOTICE",
    ]
    assert [alert.why for alert in hub.alerts] == [
        "camera cam: dark",
        "camera cam: covered",
        "camera cam: dark",
        "camera cam sees again",
    ]
    assert hub.section() is CLEAR


def test_silence_of_a_camera_is_blindness():
    hub = Hub(site())
    hub.watch(0.0, 1.0)
    hub.tick(2.0)
    assert hub.section() is CLEAR
    assert actions(hub.tick(3.0)) == ["BLINDNESS OPENED WARNING"]
    assert hub.section() is UNKNOWN
    assert hub.tick(4.0) == ()


def test_a_camera_that_never_speaks_is_blind_after_its_timeout_not_before():
    hub = Hub(site())
    assert hub.tick(2.0) == ()
    alerts = hub.tick(2.1)
    assert actions(alerts) == ["BLINDNESS OPENED WARNING"]
    assert alerts[0].why == "camera cam: nothing was heard of the camera for 2 s"
    assert alerts[0].captured_at == "received 2.100"


def test_a_lost_worker_makes_its_cameras_blind_and_keeps_incidents_open():
    hub = Hub(site(TWO))
    for number in range(20):
        hub.see(number / 10, track(ON_TRACK), camera_id="a")
        hub.see(number / 10, camera_id="b")
    alerts = hub.lose(2.0, "a", "stranger")
    assert actions(alerts) == ["BLINDNESS OPENED WARNING"]
    assert (alerts[0].camera_id, alerts[0].why) == ("a", "camera a: worker died")
    for number in range(20, 40):
        hub.see(number / 10, camera_id="b")
    assert hub.section() is OCCUPIED
    for number in range(40, 60):
        hub.see(number / 10 - 4.0, camera_id="a", worker_epoch=2)  # a new worker has a clock of its own
        hub.see(number / 10, camera_id="b")
    assert hub.section() is CLEAR
    assert actions(hub.alerts)[-2:] == ["BLINDNESS CLOSED WARNING", "INTRUSION CLOSED WARNING"]


def test_one_incident_a_section_however_many_cameras_see_it():
    hub = Hub(site(TWO))
    for number in range(20):
        hub.see(number / 10, track(ON_TRACK), camera_id="a")
        hub.see(number / 10, track(IN_APPROACH), track(ON_TRACK, 7), camera_id="b")
    assert [a.action for a in hub.alerts if a.severity is Severity.WARNING] in ([Action.OPENED], [Action.ESCALATED])
    assert len({a.incident_id for a in hub.alerts}) == 1


def test_any_required_camera_that_cannot_be_trusted_makes_the_section_unknown():
    hub = Hub(site(TWO))
    for number in range(10):
        hub.see(number / 10, camera_id="a")
        hub.see(number / 10, camera_id="b")
    assert hub.section() is CLEAR
    hub.see(1.0, camera_id="b", state=DEGRADED, reason="dark")
    assert hub.section() is UNKNOWN


def test_a_camera_that_is_not_required_is_missed_only_by_the_incident_it_saw():
    cameras = (CameraSettings("a", "a.mp4"), CameraSettings("b", "b.mp4", required=False))
    hub = Hub(site(cameras))
    for number in range(10):
        hub.see(number / 10, camera_id="a")
    assert hub.section() is CLEAR
    for number in range(10, 20):
        hub.see(number / 10, camera_id="a")
        hub.see(number / 10, track(ON_TRACK), camera_id="b")
    assert hub.section() is OCCUPIED
    for number in range(20, 60):
        hub.see(number / 10, camera_id="a")
    assert hub.section() is OCCUPIED  # b saw the person, and has not seen her leave
    for number in range(60, 80):
        hub.see(number / 10, camera_id="a")
        hub.see(number / 10, camera_id="b")
    assert hub.section() is CLEAR


def test_where_no_camera_is_required_all_are():
    cameras = (CameraSettings("a", "a.mp4", required=False), CameraSettings("b", "b.mp4", required=False))
    hub = Hub(site(cameras))
    for number in range(10):
        hub.see(number / 10, camera_id="a")
    assert hub.section() is UNKNOWN


def test_an_elephant_that_joins_a_man_is_told_at_once():
    hub = Hub(site())
    hub.watch(0.0, 1.0, ON_TRACK)
    for number in range(10, 20):
        hub.see(number / 10, track(ON_TRACK), track(0.55, 2, "animal", "elephant"))
    assert actions(hub.alerts) == ["INTRUSION OPENED WARNING", "INTRUSION UPDATED WARNING"]
    assert hub.alerts[1].captured_at == "captured 1.200"
    assert hub.alerts[1].why == "1 elephant and 1 person on the track, for 1 s"


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


def test_worker_restart_begins_dwell_anew():
    hub = Hub(site())
    hub.watch(0.0, 3.0, ON_TRACK)
    hub.see(100.0, track(ON_TRACK), worker_epoch=2)
    assert hub.state.cameras["cam"].views["main"].longest_dwell_s == 0.0


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


def test_an_unknown_camera_is_refused():
    state = start(site(), Hub(site()).state.head.epoch, "f" * 64, 0.0)
    with pytest.raises(ValueError, match="camera_id must be one of"):
        step(state, Stamped(0.0, "", observation(0.0, camera_id="nobody")))


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


def test_of_two_cameras_the_surer_one_is_named():
    hub = Hub(site(TWO))
    for number in range(3):
        hub.see(number / 10, track(ON_TRACK, confidence=0.5), camera_id="a")
        hub.see(number / 10, track(ON_TRACK, confidence=0.8), camera_id="b")
    assert [alert.camera_id for alert in hub.alerts] == ["b"]  # told in a frame of a, which is less sure


def test_a_camera_that_saw_somebody_leave_is_asked_until_its_own_off_delay():
    """b saw the person and then half a second of nothing before it fell silent: a alone may not close the incident."""
    cameras = (CameraSettings("a", "a.mp4"), CameraSettings("b", "b.mp4", required=False))
    hub = Hub(site(cameras))
    for number in range(10):
        hub.see(number / 10, camera_id="a")
        hub.see(number / 10, track(ON_TRACK), camera_id="b")
    for number in range(10, 15):
        hub.see(number / 10, camera_id="a")
        hub.see(number / 10, camera_id="b")
    for number in range(15, 60):
        hub.see(number / 10, camera_id="a")
    assert hub.section() is OCCUPIED
    assert Action.CLOSED not in {alert.action for alert in hub.alerts if alert.kind is AlertKind.INTRUSION}


def test_a_camera_that_joined_later_is_asked_too():
    """The incident was opened by a; b, not required, saw the person later. Both must see her gone."""
    cameras = (CameraSettings("a", "a.mp4"), CameraSettings("b", "b.mp4", required=False))
    hub = Hub(site(cameras))
    hub.watch(0.0, 1.0, ON_TRACK, camera_id="a")
    for number in range(10, 20):
        hub.see(number / 10, camera_id="a")
        hub.see(number / 10, track(ON_TRACK), camera_id="b")
    for number in range(20, 25):
        hub.see(number / 10, camera_id="a")
        hub.see(number / 10, camera_id="b")
    hub.watch(2.5, 6.0, camera_id="a")
    assert hub.section() is OCCUPIED


def test_a_camera_just_started_must_observe_the_off_delay_before_it_agrees_to_clear():
    hub = Hub(site(TWO, off_delay_s=3.0))
    hub.watch(0.0, 1.0, ON_TRACK, camera_id="a")
    hub.watch(1.0, 4.1, camera_id="a")
    hub.watch(4.1, 5.0, camera_id="b")
    hub.watch(5.0, 5.1, camera_id="a")
    assert hub.section() is OCCUPIED  # b has seen 0.9 s of nothing: not enough to speak for its part


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


def test_gaps_up_to_a_second_and_a_quarter_are_observed_time():
    hub = Hub(site(off_delay_s=2.5, on_delay_hits=1, on_delay_window=1))
    hub.see(0.0, track(ON_TRACK))
    hub.see(1.25)
    assert hub.section() is OCCUPIED
    hub.see(2.5)
    assert hub.section() is CLEAR


def test_quiet_counts_only_from_the_second_good_frame_after_a_blind_one():
    hub = Hub(site(off_delay_s=1.0, on_delay_hits=1, on_delay_window=1))
    hub.see(0.0, track(ON_TRACK))
    hub.see(0.5, state=BLIND)
    hub.see(1.0)
    assert hub.state.cameras["cam"].views["main"].quiet_for("on-track") == 0.0
    hub.see(1.9)
    assert hub.section() is OCCUPIED
    hub.see(2.0)
    assert hub.section() is CLEAR


def test_a_timeout_also_forgets_the_good_frames():
    hub = Hub(site())
    hub.watch(0.0, 1.0)
    hub.tick(5.0)
    hub.watch(5.0, 5.4)
    assert hub.section() is UNKNOWN
    hub.see(5.4)
    assert hub.section() is CLEAR


def test_dwell_is_kept_while_the_tracker_predicts_and_is_nothing_without_objects():
    hub = Hub(site())
    hub.watch(0.0, 1.0, ON_TRACK)
    hub.see(1.0, track(ON_TRACK, state=TrackState.LOST))
    hub.see(1.5, track(ON_TRACK))
    view = hub.state.cameras["cam"].views["main"]
    assert view.longest_dwell_s == 1.5
    hub.see(2.0)
    assert hub.state.cameras["cam"].views["main"].longest_dwell_s == 0.0


def test_a_new_worker_keeps_what_the_old_one_saw():
    hub = Hub(site())
    hub.watch(0.0, 1.0, ON_TRACK)
    hub.see(0.0, worker_epoch=2)
    assert hub.state.cameras["cam"].views["main"].raised(3) >= {"on-track"}
    assert hub.section() is OCCUPIED


def test_blindness_tells_of_the_last_frame_that_was_taken():
    hub = Hub(site())
    hub.watch(0.0, 1.0)
    (alert,) = hub.tick(4.0)
    assert alert.captured_at == "captured 0.900"
    assert alert.objects == ()


def test_a_fall_in_severity_without_anybody_in_the_picture_says_so():
    hub = Hub(site(off_delay_s=1.0))
    hub.watch(0.0, 1.0, ON_TRACK)
    hub.watch(1.0, 1.5, IN_APPROACH)
    alerts = hub.watch(1.5, 2.1)
    assert actions(alerts) == ["INTRUSION DEESCALATED NOTICE"]
    assert alerts[0].why == "nobody is seen now"
