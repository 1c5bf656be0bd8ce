"""A hub that was killed with incidents open, and started again on its journal."""

from __future__ import annotations

from dataclasses import replace

import pytest

from railwatch.core.alerts import (
    AckLevel,
    Action,
    AlertKind,
    CameraState,
    Epoch,
    RestoredIncident,
    SectionState,
    Severity,
)
from railwatch.core.escalation import EscalationGroup, EscalationRule, EscalationSettings
from railwatch.core.settings import CameraSettings
from railwatch.core.types import ZoneKind
from railwatch.decision.inputs import Consumers
from railwatch.decision.status import status_of
from tests.scenario import IN_APPROACH, ON_TRACK, Hub, actions, band, site

CLEAR, OCCUPIED, UNKNOWN = SectionState.CLEAR, SectionState.OCCUPIED, SectionState.UNKNOWN
LATER = Epoch("test", 2)
LADDER = EscalationSettings(
    (EscalationGroup("signaller"), EscalationGroup("supervisor")),
    (EscalationRule(Severity.WARNING, AckLevel.ACKNOWLEDGED, 10.0),),
)


def remembered(hub):
    """What a journal of every alert and acknowledgement has open, as `Journal.restored` gives it."""
    first, last = {}, {}
    for alert in hub.alerts:
        first.setdefault(alert.incident_id, alert)
        last[alert.incident_id] = alert
    state = {incident.incident_id: incident for incident in hub.state.incidents.values()}
    return tuple(
        RestoredIncident(alert, first[name].published_at, state[name].level, state[name].by, state[name].key_name)
        for name, alert in last.items()
        if alert.action is not Action.CLOSED
    )


def killed(the_site=None, *xs):
    """A hub that died with somebody on the track."""
    hub = Hub(the_site or site())
    hub.watch(0.0, 1.0)
    hub.watch(1.0, 2.0, *(xs or (ON_TRACK,)))
    return hub


def again(before, the_site=None, now_s=500.0):
    return Hub(the_site or before.state.site, now_s, LATER, remembered(before))


def test_the_incident_keeps_its_identity_is_not_opened_twice_and_is_closed_later():
    before = killed()
    hub = again(before)
    (incident,) = status_of(hub.state).open_incidents
    assert incident == status_of(before.state).open_incidents[0]
    assert hub.section() is UNKNOWN
    assert hub.watch(500.0, 501.0, ON_TRACK) == []
    assert hub.section() is OCCUPIED
    (closed,) = hub.watch(501.0, 503.0)
    assert (closed.action, closed.incident_id, closed.severity) == (
        Action.CLOSED,
        before.alerts[0].incident_id,
        Severity.WARNING,
    )
    assert (closed.epoch, closed.seq, closed.camera_ids) == (LATER, 1, ("cam",))
    assert hub.section() is CLEAR


def test_nobody_there_any_more_it_is_closed_after_the_off_delay_and_clear_only_then():
    hub = again(killed())
    for number in range(10):
        assert hub.see(500.0 + number / 10) == ()
        assert hub.section() is UNKNOWN
    (closed,) = hub.see(501.0)
    assert closed.action is Action.CLOSED
    assert hub.section() is CLEAR


def test_blind_time_after_the_restart_closes_nothing():
    hub = again(killed())
    told = hub.watch(500.0, 520.0, state=CameraState.BLIND)
    assert actions(told) == ["BLINDNESS OPENED WARNING"]
    assert hub.section() is UNKNOWN


def test_no_worker_comes_back_and_the_incident_stays_open():
    hub = again(killed())
    for number in range(30):
        hub.tick(500.0 + number)
    assert actions(hub.alerts) == ["BLINDNESS OPENED WARNING"]
    assert len(hub.state.incidents) == 2
    assert hub.section() is UNKNOWN


def test_it_may_worsen_and_fall_after_the_restart():
    hub = again(killed(None, IN_APPROACH))
    assert actions(hub.watch(500.0, 501.0, ON_TRACK)) == ["INTRUSION ESCALATED WARNING"]
    assert actions(hub.watch(501.0, 503.0, IN_APPROACH)) == ["INTRUSION DEESCALATED NOTICE"]


def test_what_was_told_before_is_not_told_again_but_more_is():
    hub = again(killed(None, ON_TRACK, ON_TRACK))
    assert hub.watch(500.0, 510.0, ON_TRACK, ON_TRACK) == []
    assert actions(hub.watch(510.0, 511.0, ON_TRACK, ON_TRACK, ON_TRACK)) == ["INTRUSION UPDATED WARNING"]


def test_an_incident_of_a_camera_that_went_away_waits_for_that_camera():
    cameras = (CameraSettings("a", "a.mp4"), CameraSettings("b", "b.mp4", required=False))
    before = Hub(site(cameras))
    for number in range(10):
        before.see(number / 10, *[], camera_id="a")
        before.watch(number / 10, number / 10 + 0.1, ON_TRACK, camera_id="b")
    (opened,) = before.alerts
    assert opened.camera_ids == ("b",)
    hub = again(before)
    hub.watch(500.0, 503.0, camera_id="a")
    assert not [alert for alert in hub.alerts if alert.action is Action.CLOSED]
    assert actions(hub.watch(503.0, 505.0, camera_id="b"))[-1] == "INTRUSION CLOSED WARNING"


def test_a_blind_camera_is_not_told_again_and_sees_again():
    before = Hub(site())
    before.lose(1.0, "cam")
    hub = again(before)
    assert actions(before.alerts) == ["BLINDNESS OPENED WARNING"]
    assert [hub.tick(500.0 + number) for number in range(10)] == [()] * 10
    (closed,) = hub.watch(510.0, 511.0)
    assert (closed.action, closed.incident_id) == (Action.CLOSED, "test.1-i1")
    assert hub.section() is CLEAR


def test_a_doubt_ends_only_by_watching_the_track_of_that_section():
    zones = [band("t", ZoneKind.TRACK, 0.4, 0.6), band("u", ZoneKind.TRACK, 0.7, 0.9, section_id="side")]
    before = killed(site(zones=zones))
    hub = again(before)
    hub.watch(500.0, 500.5)
    assert (hub.section("main"), hub.section("side")) == (UNKNOWN, CLEAR)


def test_an_acknowledgement_outlives_the_restart():
    before = killed(site(escalation=LADDER))
    before.acknowledge(2.0, before.alerts[0].incident_id, AckLevel.ACKNOWLEDGED, "Anna", "desk")
    hub = again(before)
    (incident,) = hub.state.incidents.values()
    assert (incident.level, incident.by, incident.key_name) == (AckLevel.ACKNOWLEDGED, "Anna", "desk")
    assert hub.watch(500.0, 530.0, ON_TRACK, step_s=0.5) == []
    (closed,) = hub.watch(530.0, 532.0)
    assert (closed.by, closed.key_name, closed.addressed_to) == ("Anna", "desk", ("signaller",))


def test_what_nobody_acknowledged_goes_to_the_next_group_at_once():
    hub = again(killed(site(escalation=LADDER)))
    (told,) = hub.tick(500.0)
    assert actions([told]) == ["INTRUSION ESCALATED WARNING"]
    assert (told.addressed_to, told.seq, told.epoch) == (("signaller", "supervisor"), 1, LATER)
    assert told.why == ("not ACKNOWLEDGED within 10 s, told to supervisor: no camera has been observed since the start")
    assert told.captured_at == told.published_at
    assert hub.watch(500.1, 504.9, ON_TRACK) == []
    assert [alert.fault for alert in hub.watch(504.9, 505.1, ON_TRACK)] == ["ack:unreceived"]


def test_a_fault_of_the_run_before_is_over_unless_it_is_reported_again():
    before = Hub(site())
    before.fault(0.0, "journal", "the disk is full")
    before.fault(0.0, "worker", "it died")
    hub = again(before)
    hub.watch(500.0, 501.0)
    assert hub.fault(501.0, "journal", "the disk is full") == ()
    assert hub.watch(501.0, 509.9) == []
    (closed,) = hub.watch(510.0, 530.0)
    assert (closed.action, closed.fault, closed.why, closed.incident_id) == (
        Action.CLOSED,
        "worker",
        "worker: over",
        "test.1-i2",
    )
    (still,) = status_of(hub.state).open_incidents
    assert (still.fault, still.incident_id) == ("journal", "test.1-i1")
    assert actions(hub.fault(530.0, "journal", None)) == ["SYSTEM CLOSED WARNING"]


def test_a_fault_reported_as_over_is_closed_at_once():
    before = Hub(site())
    before.fault(0.0, "journal", "the disk is full")
    hub = again(before)
    assert actions(hub.fault(500.0, "journal", None)) == ["SYSTEM CLOSED WARNING"]


def test_a_missing_consumer_is_doubted_and_found_missing_again():
    required = EscalationSettings((EscalationGroup("desk", ("k",)),))
    before = Hub(site(escalation=required))
    before.feed(Consumers(()), 0.0)
    before.watch(0.0, 11.0, step_s=0.5)
    assert [alert.fault for alert in before.alerts] == ["consumer:desk"]
    hub = again(before)
    hub.feed(Consumers(()), 500.0)
    assert hub.watch(500.0, 530.0, step_s=0.5) == []
    assert len(hub.state.incidents) == 1


def test_what_the_site_does_not_watch_any_more_is_closed_with_words():
    before = killed()
    before.lose(2.0, "cam")
    elsewhere = site((CameraSettings("other", "x"),), [band("t", ZoneKind.TRACK, 0.4, 0.6, "other", "elsewhere")])
    hub = again(before, elsewhere)
    told = hub.tick(500.0)
    assert actions(told) == ["INTRUSION CLOSED WARNING", "BLINDNESS CLOSED WARNING"]
    assert {alert.why for alert in told} == {"closed because the site does not watch it any more"}
    assert [alert.section_id for alert in told] == ["main", "main"]
    assert hub.state.incidents == {}
    hub.watch(500.0, 501.0, camera_id="other")
    assert hub.section("elsewhere") is CLEAR


def test_a_camera_that_is_gone_is_no_witness_any_more():
    cameras = (CameraSettings("a", "a.mp4"), CameraSettings("b", "b.mp4", required=False))
    before = Hub(site(cameras))
    before.watch(0.0, 1.0, ON_TRACK, camera_id="b")
    hub = again(before, site(cameras[:1]))
    assert actions(hub.watch(500.0, 502.0, camera_id="a")) == ["INTRUSION CLOSED WARNING"]


def test_two_incidents_of_one_section_in_a_damaged_journal_leave_one():
    before = killed()
    (found,) = remembered(before)
    twin = replace(found, last=replace(found.last, incident_id="test.1-i9"))
    hub = Hub(site(), 500.0, LATER, (found, twin))
    (closed,) = hub.tick(500.0)
    assert (closed.action, closed.incident_id) == (Action.CLOSED, "test.1-i9")
    assert [incident.incident_id for incident in hub.state.incidents.values()] == ["test.1-i1"]


@pytest.mark.parametrize("kind", [AlertKind.TEST, AlertKind.BLINDNESS, AlertKind.SYSTEM])
def test_an_incident_that_fits_nothing_is_closed(kind):
    (found,) = remembered(killed())
    odd = replace(found, last=replace(found.last, kind=kind, camera_id=None, fault=None))
    hub = Hub(site(), 500.0, LATER, (odd,))
    (closed,) = hub.tick(500.0)
    assert (closed.action, closed.kind, closed.incident_id) == (Action.CLOSED, kind, "test.1-i1")
