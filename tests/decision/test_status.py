from __future__ import annotations

from dataclasses import replace

import pytest

from railwatch.core.alerts import AlertKind, CameraState, SectionState, Severity
from railwatch.core.settings import CameraSettings, MessagingSettings
from railwatch.decision.status import status_of
from tests.scenario import EPOCH, ON_TRACK, Hub, site, track


def test_status_before_the_first_input_knows_nothing():
    status = status_of(Hub(site()).state)
    assert status.sections == {"main": SectionState.UNKNOWN}
    assert status.cameras["cam"].state is CameraState.BLIND
    assert status.cameras["cam"].frame_age_s is None
    assert (status.seq_last, status.open_incidents, status.nonces, status.trains) == (0, (), (), ())
    assert status.site_id == "site"
    assert status.cameras["cam"].reason == "not observed yet"
    assert status.lease_s == 2.5


def test_status_tells_open_incidents_ages_and_nonces():
    hub = Hub(site())
    hub.watch(0.0, 1.0, ON_TRACK)
    hub.tick(1.9)
    status = status_of(hub.state, ("n1", "n2"))
    assert status.epoch == EPOCH
    assert status.seq_last == 1
    assert status.sections == {"main": SectionState.OCCUPIED}
    assert status.cameras["cam"].state is CameraState.NOMINAL
    assert status.cameras["cam"].frame_age_s == pytest.approx(1.0)
    (incident,) = status.open_incidents
    assert (incident.kind, incident.severity) == (AlertKind.INTRUSION, Severity.WARNING)
    assert incident.incident_id == hub.alerts[0].incident_id
    assert incident.section_id == "main"
    assert incident.opened_at == hub.alerts[0].published_at
    assert status.nonces == ("n1", "n2")
    assert status.config_rev == hub.alerts[0].config_rev


def test_open_incidents_come_in_an_order_of_their_own():
    """By kind, section and camera: not by when they opened."""
    cameras = (CameraSettings("b", "b.mp4"), CameraSettings("a", "a.mp4"))
    hub = Hub(replace(site(cameras), messaging=MessagingSettings(lease_s=1.5)))
    for number in range(10):
        hub.see(number / 10, track(ON_TRACK), camera_id="b")
    hub.lose(1.0, "b")
    hub.lose(1.1, "a")
    status = status_of(hub.state)
    told = {
        incident.incident_id: alert
        for incident in status.open_incidents
        for alert in hub.alerts
        if alert.incident_id == incident.incident_id
    }
    order = [told[incident.incident_id] for incident in status.open_incidents]
    assert [(alert.kind, alert.camera_id) for alert in order] == [
        (AlertKind.BLINDNESS, "a"),
        (AlertKind.BLINDNESS, "b"),
        (AlertKind.INTRUSION, "b"),
    ]
    assert status.lease_s == 1.5
    assert status.cameras["a"].reason == "worker died"
