from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest

from railwatch.core.alerts import (
    AckLevel,
    Action,
    Alert,
    AlertKind,
    AlertObject,
    CameraState,
    CameraStatus,
    Epoch,
    SectionState,
    Severity,
    Status,
)

EPOCH = Epoch("j", 3)
ALERT = Alert(
    site_id="s",
    epoch=EPOCH,
    seq=1,
    alert_id="j.3-a1",
    kind=AlertKind.INTRUSION,
    action=Action.OPENED,
    severity=Severity.WARNING,
    incident_id="j.3-i1",
    section_id="main",
    camera_id="cam",
    zone_id="z",
    objects=(AlertObject(1, "person", "person", 0.9),),
    why="1 person on the track",
    margin_s=None,
    captured_at="2026-01-01T00:00:00Z",
    published_at="2026-01-01T00:00:00Z",
    config_rev="c",
    model_sha256="0" * 64,
)
STATUS = Status("s", EPOCH, 0, (), {"main": SectionState.CLEAR}, {}, (), (), "c")


def test_severities_are_ordered_by_urgency_not_by_letters():
    assert sorted(Severity, reverse=True) == [Severity.EMERGENCY, Severity.WARNING, Severity.NOTICE]
    assert Severity.WARNING >= Severity.WARNING
    with pytest.raises(TypeError):
        assert Severity.WARNING < "WARNING"


def test_levels_are_ordered_by_how_far_an_alert_has_come():
    assert sorted(AckLevel) == [AckLevel.RECEIVED, AckLevel.DISPLAYED, AckLevel.ACKNOWLEDGED]
    assert sorted(AckLevel, reverse=True) == [AckLevel.ACKNOWLEDGED, AckLevel.DISPLAYED, AckLevel.RECEIVED]
    assert AckLevel.DISPLAYED >= AckLevel.DISPLAYED
    with pytest.raises(TypeError):
        assert AckLevel.RECEIVED < "RECEIVED"


@pytest.mark.parametrize("text", ["", "j", "j.", ".1", "j.0", "j.-1", "j.1.2", "j.x", "j.²"])
def test_an_epoch_must_name_journal_and_boot(text):
    with pytest.raises(ValueError, match="must be"):
        Epoch.parse(text)


def test_epoch_survives_its_text():
    assert Epoch.parse(str(EPOCH)) == EPOCH


def test_alerts_are_frozen():
    with pytest.raises(FrozenInstanceError):
        ALERT.seq = 2


@pytest.mark.parametrize(
    ("change", "words"),
    [({"seq": 0}, "seq must be 1 or more"), ({"margin_s": float("nan")}, "margin_s must be finite")],
)
def test_an_alert_checks_itself(change, words):
    with pytest.raises(ValueError, match=words):
        replace(ALERT, **change)


def test_margin_may_be_known():
    assert replace(ALERT, margin_s=-3.5).margin_s == -3.5


@pytest.mark.parametrize("confidence", [-0.1, 1.1, float("nan")])
def test_confidence_is_a_fraction(confidence):
    with pytest.raises(ValueError, match="confidence must be in"):
        AlertObject(1, "person", "person", confidence)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seq_last": -1}, "seq_last must be 0 or more"),
        ({"lease_s": 0.0}, "lease_s must be positive"),
        ({"lease_s": float("inf")}, "lease_s must be positive"),
    ],
)
def test_a_status_checks_itself(change, words):
    with pytest.raises(ValueError, match=words):
        replace(STATUS, **change)


def test_a_status_cannot_be_changed_from_outside():
    sections = {"main": SectionState.CLEAR}
    cameras = {"cam": CameraStatus(CameraState.NOMINAL, "", 0.1)}
    status = replace(STATUS, sections=sections, cameras=cameras)
    sections["main"] = SectionState.OCCUPIED
    assert status.sections["main"] is SectionState.CLEAR
    with pytest.raises(TypeError):
        status.cameras["cam"] = cameras["cam"]
