"""The self-test in the decision: it raises and clears nothing but itself, and blinds a camera that fails it twice."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from railwatch.core.alerts import AckLevel, Action, AlertKind, CameraState, SectionState, Severity
from railwatch.core.escalation import EscalationGroup, EscalationRule, EscalationSettings
from railwatch.core.settings import CameraSettings
from railwatch.core.types import ZoneKind
from railwatch.decision.inputs import ConfigChange, Probe, ProbeEnded, ProbeHeard, ProbeSight
from railwatch.decision.probing import KEPT, UNHEARD, UNSEEN, percentile, tried_cameras
from railwatch.decision.status import status_of
from railwatch.decision.step import section_state
from tests.scenario import ON_TRACK, OUTSIDE, Hub, band, observation, site, track

TEST = AlertKind.TEST


class ProbedHub(Hub):
    """A hub whose camera is watched and tried at the same time, ten frames a second."""

    now_s = 0.0

    def frames(self, count, *seen, put_in=None, probe_id="t1", **kwargs):
        """So many frames; `put_in` are the tracks of the self-test's pictures, None without one."""
        for _ in range(count):
            self.now_s += 0.1
            self.see(self.now_s, *seen, **kwargs)
            if put_in is not None:
                self.feed(ProbeSight(probe_id, observation(self.now_s, *put_in, **kwargs)), self.now_s)

    def begin(self, probe_id="t1", camera_id="cam", within_s=2.0):
        self.feed(Probe(camera_id, probe_id, within_s), self.now_s)

    def fail(self, probe_id="t1"):
        """A self-test in whose pictures nobody is seen."""
        self.begin(probe_id)
        self.frames(25, put_in=(), probe_id=probe_id)

    def told(self, kind=TEST):
        return [alert for alert in self.alerts if alert.kind is kind]

    @property
    def camera(self):
        return status_of(self.state).cameras["cam"]


def probed(settings=None):
    hub = ProbedHub(settings or site())
    hub.frames(10)
    return hub


def test_a_self_test_is_told_when_seen_and_again_when_heard():
    hub = probed()
    hub.begin()
    hub.frames(3, put_in=(track(ON_TRACK),))
    (opened,) = hub.told()
    assert (opened.action, opened.severity, opened.section_id) == (Action.OPENED, Severity.NOTICE, "main")
    assert (opened.camera_id, opened.zone_id) == ("cam", "track-cam")
    assert [item.class_name for item in opened.objects] == ["person"]
    assert opened.captured_at == "captured 1.300"
    assert "a person was put into a copy of its pictures" in opened.why
    hub.feed(ProbeHeard("cam", "t1"), hub.now_s + 0.05)
    _, closed = hub.told()
    assert (closed.action, closed.incident_id) == (Action.CLOSED, opened.incident_id)
    assert "heard by a subscriber 0.05 s after" in closed.why
    assert not hub.state.incidents
    test = hub.camera.self_test
    assert (test.runs, test.misses, test.passed_age_s) == (1, 0, 0.0)
    assert test.p50_s == test.p95_s == pytest.approx(0.05)


def test_the_age_of_the_deciding_frame_counts():
    hub = probed()
    hub.begin()
    aged = observation(1.1, track(ON_TRACK))
    aged = replace(aged, vitals=replace(aged.vitals, frame_age_s=0.2))
    for _ in range(3):
        hub.feed(ProbeSight("t1", aged), 1.1)
    hub.feed(ProbeHeard("cam", "t1"), 1.4)
    assert hub.camera.self_test.p50_s == pytest.approx(0.5)


def test_what_is_put_in_changes_nothing_of_what_is_there():
    hub, without = probed(), probed()
    hub.begin()
    for number in range(40):
        seen = (track(ON_TRACK),) if 10 < number < 20 else ()
        hub.frames(1, *seen, put_in=(track(ON_TRACK, track_id=9),))
        without.frames(1, *seen)
        assert section_state(hub.state, "main") is section_state(without.state, "main")
    real = [(alert.action, alert.severity, alert.objects) for alert in hub.told(AlertKind.INTRUSION)]
    assert real == [(alert.action, alert.severity, alert.objects) for alert in without.alerts]
    assert len(real) == 2


@given(st.lists(st.tuples(st.sampled_from([ON_TRACK, OUTSIDE, None]), st.booleans(), st.booleans()), max_size=40))
def test_no_self_test_hides_delays_or_lowers_an_alarm(frames):
    """Passed, missed or never heard: what is told of people is the same, or more (a camera that fails is BLIND)."""
    hub, without = probed(), probed()
    for place, seen, heard in frames:
        people = () if place is None else (track(place),)
        hub.begin(within_s=0.5)
        hub.frames(1, *people, put_in=(track(ON_TRACK),) if seen else ())
        if heard:
            hub.feed(ProbeHeard("cam", "t1"), hub.now_s)
        without.frames(1, *people)
    wanted = [alert for alert in without.alerts if alert.action is not Action.CLOSED]
    found = [alert for alert in hub.told(AlertKind.INTRUSION) if alert.action is not Action.CLOSED]
    assert [(a.action, a.severity, a.captured_at) for a in found] == [
        (a.action, a.severity, a.captured_at) for a in wanted
    ]


def test_two_misses_make_the_camera_blind_until_a_self_test_is_passed():
    hub = probed()
    assert section_state(hub.state, "main") is SectionState.CLEAR
    hub.fail("t1")
    assert section_state(hub.state, "main") is SectionState.CLEAR
    assert (hub.camera.self_test.runs, hub.camera.self_test.misses) == (1, 1)
    hub.fail("t2")
    assert section_state(hub.state, "main") is SectionState.UNKNOWN
    assert hub.camera.state is CameraState.BLIND
    assert hub.camera.reason == f"self-test failed 2 times: {UNSEEN}"
    (blind,) = hub.told(AlertKind.BLINDNESS)
    assert (blind.action, blind.severity) == (Action.OPENED, Severity.WARNING)
    assert not hub.told(), "nobody was seen: there is no alert of a test"
    hub.frames(30)
    assert hub.camera.state is CameraState.BLIND
    hub.begin("t3")
    hub.frames(3, put_in=(track(ON_TRACK),), probe_id="t3")
    hub.feed(ProbeHeard("cam", "t3"), hub.now_s)
    hub.frames(10)
    assert section_state(hub.state, "main") is SectionState.CLEAR
    assert [alert.action for alert in hub.told(AlertKind.BLINDNESS)] == [Action.OPENED, Action.CLOSED]


def test_a_camera_that_fails_still_tells_of_people():
    hub = probed()
    hub.fail("t1")
    hub.fail("t2")
    hub.frames(5, track(ON_TRACK))
    assert [alert.action for alert in hub.told(AlertKind.INTRUSION)] == [Action.OPENED]
    assert section_state(hub.state, "main") is SectionState.OCCUPIED


def test_an_alert_that_nobody_hears_is_a_miss():
    hub = probed()
    hub.begin()
    hub.frames(25, put_in=(track(ON_TRACK),))
    opened, closed = hub.told()
    assert (opened.action, closed.action) == (Action.OPENED, Action.CLOSED)
    assert closed.why == f"self-test of camera cam: {UNHEARD}"
    assert hub.camera.self_test.misses == 1


def test_a_self_test_that_could_not_be_carried_out_is_a_miss_with_its_reason():
    hub = probed()
    for name in ("t1", "t2"):
        hub.begin(name)
        hub.feed(ProbeEnded("cam", "other", "not this one"), hub.now_s)
        hub.feed(ProbeEnded("cam", name, "no worker"), hub.now_s)
    hub.feed(ProbeEnded("cam", "t2", "it is over already"), hub.now_s)
    assert hub.camera.reason == "self-test failed 2 times: no worker"


def test_of_a_camera_that_is_blind_already_no_verdict_is_given():
    hub = probed()
    hub.begin()
    hub.lose(hub.now_s, "cam")
    hub.now_s += 5.0
    hub.tick(hub.now_s)
    assert hub.camera.self_test.runs == 0
    assert hub.state.probing("cam").running is None


def test_sights_and_hearings_of_another_self_test_do_not_count():
    hub = probed()
    hub.begin("t2")
    hub.frames(5, put_in=(track(ON_TRACK),), probe_id="t1")
    hub.feed(ProbeHeard("cam", "t2"), hub.now_s)
    hub.feed(ProbeHeard("cam", "t1"), hub.now_s)
    assert hub.camera.self_test.runs == 0
    assert not hub.told()


def test_a_person_put_in_beside_the_track_does_not_pass():
    hub = probed()
    hub.begin()
    hub.frames(25, put_in=(track(OUTSIDE),))
    assert hub.camera.self_test.misses == 1


def test_a_test_is_nobodys_duty():
    escalation = EscalationSettings(
        (EscalationGroup("desk", required=False),), (EscalationRule(Severity.NOTICE, AckLevel.RECEIVED, 1.0),)
    )
    hub = probed(site(escalation=escalation))
    hub.begin(within_s=30.0)
    hub.frames(5, put_in=(track(ON_TRACK),))
    hub.frames(200)
    assert [alert.kind for alert in hub.alerts] == [TEST]
    assert hub.alerts[0].addressed_to == ()


def test_a_test_that_was_open_when_the_hub_ended_is_closed():
    from railwatch.core.alerts import RestoredIncident

    hub = probed()
    hub.begin()
    hub.frames(3, put_in=(track(ON_TRACK),))
    again = ProbedHub(site(), restored=(RestoredIncident(hub.told()[0], "then"),))
    again.tick(0.1)
    (closed,) = again.alerts
    assert (closed.action, closed.why) == (Action.CLOSED, "self-test of camera cam: the hub was started anew")


def test_self_tests_of_cameras_that_stay_survive_another_configuration():
    two = (CameraSettings("cam", "x.mp4"), CameraSettings("other", "y.mp4"))
    hub = probed(site(two))
    hub.fail()
    hub.feed(ConfigChange(site()), hub.now_s)
    assert hub.camera.self_test.runs == 1
    hub.begin("t9")
    hub.feed(ConfigChange(site((two[1],))), hub.now_s)
    assert not hub.state.probes


def test_a_camera_must_be_known():
    with pytest.raises(ValueError, match="camera_id must be one of"):
        probed().begin(camera_id="nobody")


def test_only_the_newest_latencies_are_kept():
    hub = probed()
    for number in range(KEPT + 3):
        hub.begin(f"t{number}")
        hub.frames(3, put_in=(track(ON_TRACK),), probe_id=f"t{number}")
        hub.feed(ProbeHeard("cam", f"t{number}"), hub.now_s + 0.01)
    assert len(hub.state.probing("cam").latencies_s) == KEPT
    assert hub.camera.self_test.runs == KEPT + 3


@given(st.lists(st.floats(0.0, 10.0), max_size=50), st.floats(0.01, 1.0))
def test_percentile_is_a_value_that_the_share_does_not_exceed(values, share):
    found = percentile(sorted(values), share)
    assert (found is None) == (not values)
    if found is not None:
        assert sum(value <= found for value in values) >= share * len(values) - 1e-9


@pytest.mark.parametrize("within_s", [0.0, -1.0, float("nan"), float("inf")])
def test_time_must_be_given(within_s):
    with pytest.raises(ValueError, match="within_s"):
        Probe("cam", "t1", within_s)


def test_only_cameras_with_a_track_zone_are_tried_and_only_for_people():
    two = (CameraSettings("a", "a.mp4"), CameraSettings("b", "b.mp4"))
    zones = [band("t", ZoneKind.TRACK, 0.4, 0.6, "a"), band("n", ZoneKind.APPROACH, 0.4, 0.6, "b")]
    assert tried_cameras(site(two, zones)) == ("a",)
    assert tried_cameras(replace(site(two, zones), alarm_groups=("animal",))) == ()
    told = status_of(Hub(site(two, zones)).state).cameras
    assert (told["a"].self_test.runs, told["b"].self_test) == (0, None)
