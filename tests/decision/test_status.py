from __future__ import annotations

import pytest

from railwatch.core.alerts import AlertKind, CameraState, SectionState, Severity
from railwatch.decision.status import status_of
from tests.scenario import EPOCH, ON_TRACK, Hub, site


def test_status_before_the_first_input_knows_nothing():
    status = status_of(Hub(site()).state)
    assert status.sections == {"main": SectionState.UNKNOWN}
    assert status.cameras["cam"].state is CameraState.BLIND
    assert status.cameras["cam"].frame_age_s is None
    assert (status.seq_last, status.open_incidents, status.nonces) == (0, (), ())


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
    assert incident.opened_at == hub.alerts[0].published_at
    assert status.nonces == ("n1", "n2")
    assert status.config_rev == hub.alerts[0].config_rev
