"""Another site file while the hub runs: what stays, what is seen anew, what is closed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from railwatch.core.alerts import AckLevel, Action, CameraState, SectionState, Severity
from railwatch.core.escalation import EscalationGroup, EscalationRule, EscalationSettings
from railwatch.core.ground import Lens, plane_of_horizon
from railwatch.core.settings import CameraSettings
from railwatch.core.types import ZoneKind
from railwatch.decision.inputs import ConfigChange, Consumers
from railwatch.decision.status import status_of
from tests.scenario import ON_TRACK, Hub, actions, band, site

CLEAR, OCCUPIED, UNKNOWN = SectionState.CLEAR, SectionState.OCCUPIED, SectionState.UNKNOWN
A, B = CameraSettings("a", "a.mp4"), CameraSettings("b", "b.mp4")
MAIN = band("t", ZoneKind.TRACK, 0.4, 0.6, "a")
SIDE = band("u", ZoneKind.TRACK, 0.4, 0.6, "b", "side")
BOTH = site((A, B), [MAIN, SIDE])


def running(the_site=BOTH, *names):
    hub = Hub(the_site)
    for number in range(10):
        for name in names or ("a", "b"):
            hub.see(number / 10, camera_id=name)
    return hub


def change(hub, the_site, now_s=1.0):
    return hub.feed(ConfigChange(the_site), now_s)


def test_an_unchanged_camera_keeps_its_memory_and_a_changed_one_is_seen_anew():
    hub = running()
    memory = hub.state.cameras["a"]
    moved = replace(BOTH, zones=(MAIN, band("u", ZoneKind.TRACK, 0.3, 0.6, "b", "side")))
    assert change(hub, moved) == ()
    assert hub.state.cameras["a"] == memory
    assert (hub.section("main"), hub.section("side")) == (CLEAR, UNKNOWN)
    status = status_of(hub.state)
    assert status.config_rev == moved.config_rev != BOTH.config_rev
    assert status.cameras["b"].reason == "not observed yet"
    for number in range(5):
        hub.see(1.1 + number / 10, camera_id="b")
    assert hub.section("side") is CLEAR


def test_the_order_of_zones_changes_nothing():
    hub = running()
    memories = dict(hub.state.cameras)
    change(hub, replace(BOTH, zones=(SIDE, MAIN)))
    assert hub.state.cameras == memories


def test_a_camera_on_other_ground_is_seen_anew():
    hub = running()
    memory = hub.state.cameras["b"]
    plane = plane_of_horizon(0.3, 0.3, 5.0, Lens(60.0, 16 / 9))
    change(hub, replace(BOTH, cameras=(replace(A, ground=plane), B)))
    assert hub.state.cameras["a"].reason == "not observed yet"
    assert hub.state.cameras["b"] == memory


def test_a_changed_camera_is_waited_for_as_at_the_start():
    hub = running()
    moved = replace(BOTH, zones=(MAIN, band("u", ZoneKind.TRACK, 0.3, 0.6, "b", "side")))
    change(hub, moved, 1.0)
    hub.see(2.9, camera_id="a")
    assert hub.tick(3.0) == ()
    (alert,) = hub.tick(3.1)
    assert (alert.camera_id, alert.config_rev) == ("b", moved.config_rev)


def test_an_open_incident_keeps_its_identity_and_acknowledgement():
    hub = running(site((A,), [MAIN]), "a")
    hub.watch(1.0, 2.0, ON_TRACK, camera_id="a")
    name = hub.alerts[0].incident_id
    hub.acknowledge(2.0, name)
    wider = site((A,), [band("t", ZoneKind.TRACK, 0.3, 0.7, "a")])
    assert change(hub, wider, 2.1) == ()
    assert hub.section() is OCCUPIED
    (incident,) = status_of(hub.state).open_incidents
    assert (incident.incident_id, incident.level, incident.by) == (name, AckLevel.ACKNOWLEDGED, "Anna")
    hub.watch(2.2, 3.2, camera_id="a")
    assert hub.section() is OCCUPIED
    (closed,) = hub.watch(3.2, 3.4, camera_id="a")
    assert (closed.action, closed.incident_id, closed.config_rev) == (Action.CLOSED, name, wider.config_rev)


def test_a_section_that_is_gone_takes_its_incidents_with_it():
    hub = running()
    for number in range(10, 20):
        hub.watch(number / 10, number / 10 + 0.1, camera_id="a")
        hub.watch(number / 10, number / 10 + 0.1, ON_TRACK, camera_id="b")
    hub.lose(2.0, "b")
    told = change(hub, site((A,), [MAIN]), 2.1)
    assert actions(told) == ["INTRUSION CLOSED WARNING", "BLINDNESS CLOSED WARNING"]
    assert told[0].why == "closed because the site does not watch it any more"
    status = status_of(hub.state)
    assert (set(status.sections), set(status.cameras), status.open_incidents) == ({"main"}, {"a"}, ())
    assert hub.state.occupied == frozenset()


def test_a_section_that_comes_back_is_unknown():
    hub = running()
    hub.watch(1.0, 2.0, ON_TRACK, camera_id="b")
    change(hub, site((A,), [MAIN]), 2.0)
    change(hub, BOTH, 2.1)
    assert hub.section("side") is UNKNOWN


def test_a_witness_that_is_gone_is_asked_no_more():
    both = site((A, replace(B, required=False)), [MAIN, band("u", ZoneKind.TRACK, 0.4, 0.6, "b")])
    hub = running(both)
    hub.watch(1.0, 2.0, ON_TRACK, camera_id="b")
    change(hub, site((A,), [MAIN]), 2.0)
    hub.watch(2.0, 4.0, camera_id="a")
    assert [alert.action for alert in hub.alerts if alert.kind.value == "INTRUSION"] == [Action.OPENED, Action.CLOSED]


def test_a_doubt_goes_with_its_section():
    hub = Hub(BOTH)
    hub.state = replace(hub.state, doubtful=frozenset({"main", "side"}))
    change(hub, site((A,), [MAIN]), 0.0)
    assert hub.state.doubtful == {"main"}


def test_another_model_is_named_and_an_unpinned_one_changes_nothing():
    hub = running()
    pinned = replace(BOTH, model=replace(BOTH.model, sha256="a" * 64))
    change(hub, pinned)
    assert hub.state.head.model_sha256 == "a" * 64
    change(hub, replace(BOTH, model=replace(BOTH.model, sha256=None)), 1.1)
    assert hub.state.head.model_sha256 == "a" * 64


def test_a_group_that_is_new_is_told_and_one_that_is_gone_is_not_missed():
    desk, boss = EscalationGroup("desk", ("k",)), EscalationGroup("boss", ("l",))
    rules = (EscalationRule(Severity.WARNING, AckLevel.RECEIVED, 4.0),)
    alone = replace(BOTH, escalation=EscalationSettings((desk,), rules))
    hub = running(alone)
    hub.feed(Consumers(("l",)), 1.0)
    hub.watch(1.0, 2.0, ON_TRACK, camera_id="a")
    change(hub, replace(alone, escalation=EscalationSettings((boss,), rules)), 2.0)
    assert hub.state.missing == {}
    told = [alert for alert in hub.watch(2.0, 6.0, ON_TRACK, camera_id="a") if alert.action is Action.ESCALATED]
    assert [alert.addressed_to for alert in told] == [("desk", "boss")]


def test_a_group_that_is_not_required_any_more_is_not_missed():
    desk = EscalationGroup("desk", ("k",))
    hub = running(replace(BOTH, escalation=EscalationSettings((desk,))))
    hub.feed(Consumers(()), 1.0)
    assert hub.state.missing == {"desk": 1.0}
    change(hub, replace(BOTH, escalation=EscalationSettings((replace(desk, required=False),))), 1.1)
    assert hub.state.missing == {}


def test_another_site_is_refused():
    hub = running()
    with pytest.raises(ValueError, match="site_id must stay 'site' while the hub runs, but is 'yard'"):
        change(hub, replace(BOTH, site_id="yard"))


def test_a_camera_that_is_lost_in_between_is_blind():
    hub = running()
    hub.lose(1.0, "a")
    change(hub, BOTH, 1.1)
    assert hub.state.cameras["a"].state is CameraState.BLIND
