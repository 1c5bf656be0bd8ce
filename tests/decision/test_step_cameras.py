"""Cameras that fail, fall silent, disagree: what becomes of sections and incidents."""

from __future__ import annotations

import pytest

from railwatch.core.alerts import Action, AlertKind, CameraState, SectionState, Severity
from railwatch.core.settings import CameraSettings
from railwatch.decision.inputs import Stamped
from railwatch.decision.step import start, step
from tests.scenario import IN_APPROACH, ON_TRACK, Hub, actions, observation, site, track

CLEAR, OCCUPIED, UNKNOWN = SectionState.CLEAR, SectionState.OCCUPIED, SectionState.UNKNOWN
TWO = (CameraSettings("a", "a.mp4"), CameraSettings("b", "b.mp4"))
DEGRADED, BLIND = CameraState.DEGRADED, CameraState.BLIND


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
    assert Action.CLOSED not in {alert.action for alert in hub.alerts}
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


def test_worker_restart_begins_dwell_anew():
    hub = Hub(site())
    hub.watch(0.0, 3.0, ON_TRACK)
    hub.see(100.0, track(ON_TRACK), worker_epoch=2)
    assert hub.state.cameras["cam"].views["main"].longest_dwell_s == 0.0


def test_an_unknown_camera_is_refused():
    state = start(site(), Hub(site()).state.head.epoch, "f" * 64, 0.0)
    with pytest.raises(ValueError, match="camera_id must be one of"):
        step(state, Stamped(0.0, "", observation(0.0, camera_id="nobody")))


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
