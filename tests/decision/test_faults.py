"""Faults of the system itself become SYSTEM incidents: opened, told anew, closed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from railwatch.core.alerts import Action, AlertKind, SectionState
from railwatch.decision.inputs import MAX_REASON_LENGTH, SystemFault
from railwatch.decision.status import status_of
from tests.scenario import Hub, actions, site


def test_a_fault_opens_is_told_anew_and_closes():
    hub = Hub(replace(site(), camera_timeout_s=60.0))
    (opened,) = hub.fault(1.0, "journal", "the disk is full")
    assert actions([opened]) == ["SYSTEM OPENED WARNING"]
    assert (opened.fault, opened.section_id, opened.why) == ("journal", "", "journal: the disk is full")
    assert (opened.incident_id, opened.camera_ids, opened.addressed_to) == ("test.1-i1", (), ())
    assert hub.fault(2.0, "journal", "the disk is full") == ()
    assert hub.fault(7.0, "journal", "the disk is full") == ()
    (other,) = hub.fault(8.0, "journal", "the disk hangs")
    assert (other.action, other.why, other.incident_id) == (Action.UPDATED, "journal: the disk hangs", "test.1-i1")
    (incident,) = status_of(hub.state).open_incidents
    assert (incident.kind, incident.fault, incident.section_id) == (AlertKind.SYSTEM, "journal", "")
    assert incident.opened_at == "received 1.000"
    (closed,) = hub.fault(9.0, "journal", None)
    assert (closed.action, closed.why, closed.fault) == (Action.CLOSED, "journal: over", "journal")
    assert hub.fault(9.1, "journal", None) == ()


def test_other_words_are_told_when_the_interval_has_passed():
    hub = Hub(site(update_interval_s=5.0))
    hub.watch(0.0, 1.0)
    hub.fault(1.0, "journal", "a")
    hub.watch(1.0, 2.0)
    assert hub.fault(2.0, "journal", "b") == ()
    assert hub.fault(2.5, "journal", "c") == ()
    told = hub.watch(2.5, 7.0, step_s=0.5)
    assert [(alert.why, alert.published_at) for alert in told] == [("journal: c", "received 6.000")]


def test_each_fault_is_an_incident_of_its_own_and_says_nothing_about_sections():
    hub = Hub(site())
    hub.watch(0.0, 1.0)
    hub.fault(1.0, "worker-2", "it dies again and again")
    hub.fault(1.1, "journal", "the disk is full")
    assert [incident.fault for incident in status_of(hub.state).open_incidents] == ["journal", "worker-2"]
    assert actions(hub.fault(1.2, "worker-2", None)) == ["SYSTEM CLOSED WARNING"]
    assert [incident.fault for incident in status_of(hub.state).open_incidents] == ["journal"]
    assert hub.section() is SectionState.CLEAR


def test_reported_faults_are_told_in_the_order_of_their_names():
    hub = Hub(site(update_interval_s=1.0))
    for name in ("b", "a"):
        hub.fault(0.0, name, "1")
    for name in ("b", "a"):
        hub.fault(0.5, name, "2")
    assert [alert.fault for alert in hub.watch(1.0, 1.1)] == ["a", "b"]


@pytest.mark.parametrize("name", ["", "a b", "consumer:x", "ä", "-", "a" * 201])
def test_names_of_faults_are_plain(name):
    with pytest.raises(ValueError, match="name must be letters"):
        SystemFault(name, "x")
    assert SystemFault("a" * 200, "").name == "a" * 200
    assert SystemFault("worker-1_b", "").name == "worker-1_b"


def test_a_long_reason_is_cut():
    assert SystemFault("a", "x" * (MAX_REASON_LENGTH + 1)).reason == "x" * MAX_REASON_LENGTH
    assert SystemFault("a", None).reason is None
