from __future__ import annotations

from dataclasses import replace

import pytest

from railwatch.core.alerts import AckLevel, Severity
from railwatch.core.escalation import EscalationGroup, EscalationRule, EscalationSettings
from railwatch.core.settings import (
    CameraSettings,
    IncidentSettings,
    MessagingSettings,
    ModelSettings,
    SiteFaultsError,
    TrackerSettings,
    canonical_json,
)
from railwatch.core.types import ZoneKind
from tests.scenario import band, site

SITE = site()
NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: ModelSettings("m", confidence=1.5), "confidence must be 0 to 1"),
        (lambda: ModelSettings("m", confidence=NAN), "confidence must be 0 to 1"),
        (lambda: ModelSettings("m", threads=-1), "threads must be 0 or more"),
        (lambda: TrackerSettings(high_confidence=-0.1), "high_confidence must be"),
        (lambda: TrackerSettings(match_iou=2.0), "match_iou must be"),
        (lambda: TrackerSettings(lost_s=0.0), "lost_s must be positive"),
        (lambda: TrackerSettings(confirm_hits=0), "confirm_hits must be 1 or more"),
        (lambda: IncidentSettings(on_delay_hits=0), "on_delay_hits must be 1 to"),
        (lambda: IncidentSettings(on_delay_hits=6, on_delay_window=5), "on_delay_hits must be 1 to"),
        (lambda: IncidentSettings(on_delay_window=1001), "at most 1000"),
        (lambda: IncidentSettings(off_delay_s=INF), "off_delay_s must be positive"),
        (lambda: IncidentSettings(min_overlap=-1.0), "min_overlap must be"),
        (lambda: IncidentSettings(update_interval_s=-1.0), "update_interval_s must be 0 or more"),
        (lambda: IncidentSettings(update_interval_s=NAN), "update_interval_s must be 0 or more"),
        (lambda: MessagingSettings(lease_s=NAN), "lease_s must be positive"),
        (lambda: EscalationRule(Severity.NOTICE, AckLevel.RECEIVED, 0.0), "within_s must be positive"),
    ],
)
def test_impossible_settings_are_refused(build, words):
    with pytest.raises(ValueError, match=words):
        build()


CAM = CameraSettings("cam", "x.mp4")
DESK = EscalationGroup("desk")
RULE = EscalationRule(Severity.EMERGENCY, AckLevel.ACKNOWLEDGED, 1.0)


@pytest.mark.parametrize(
    ("change", "path", "words"),
    [
        ({"cameras": (CAM, CAM)}, ("cameras", 1, "camera_id"), "'cam' is given twice"),
        ({"sections": ("main", "main")}, ("sections", 1), "'main' is given twice"),
        ({"zones": SITE.zones * 2}, ("zones", 2, "zone_id"), "'track-cam' is given twice"),
        ({"zones": ()}, ("zones",), "at least one zone_id"),
        ({"cameras": ()}, ("cameras",), "at least one camera_id"),
        ({"sections": ()}, ("sections",), "at least one section"),
        ({"camera_timeout_s": 0.0}, ("camera_timeout_s",), "must be positive"),
        ({"camera_timeout_s": INF}, ("camera_timeout_s",), "must be positive"),
        ({"zones": (*SITE.zones, band("z", ZoneKind.TRACK, 0.0, 0.1, "nobody"))}, ("zones", 2, "camera_id"), "nobody"),
        (
            {"zones": (*SITE.zones, band("z", ZoneKind.TRACK, 0.0, 0.1, "cam", "far"))},
            ("zones", 2, "section_id"),
            "far",
        ),
        ({"sections": ("main", "other")}, ("sections", 1), "'other' must have a zone of kind track"),
        ({"cameras": (CAM, CameraSettings("idle", "y.mp4"))}, ("cameras", 1), "'idle' must have a zone"),
        ({"alarm_groups": ("ghost",)}, ("alarm_groups", 0), "'ghost'"),
        ({"alarm_groups": ()}, ("alarm_groups",), "at least one class group"),
        (
            {"escalation": EscalationSettings((DESK, EscalationGroup("boss"), DESK))},
            ("escalation", "groups", 2, "group_id"),
            "'desk' is given twice",
        ),
        (
            {"escalation": EscalationSettings((DESK,), (RULE, replace(RULE, within_s=2.0)))},
            ("escalation", "rules", 1, "severity"),
            "EMERGENCY has two",
        ),
        ({"escalation": EscalationSettings((), (RULE,))}, ("escalation", "groups"), "nobody could be told"),
        ({"groups": {"person": ("person",), "animal": ("person",)}}, ("groups", "animal", 0), "given twice"),
    ],
)
def test_every_reason_not_to_arm_names_its_key(change, path, words):
    with pytest.raises(SiteFaultsError, match=words) as caught:
        replace(SITE, **change)
    assert any(fault.path[: len(path)] == path and words in fault.text for fault in caught.value.faults), (
        caught.value.faults
    )


def test_all_faults_are_told_at_once():
    with pytest.raises(SiteFaultsError) as caught:
        replace(SITE, cameras=(), zones=(), alarm_groups=())
    assert len(caught.value.faults) >= 4


def test_revision_follows_what_decides_and_nothing_else():
    moved = replace(
        SITE, messaging=MessagingSettings("tcp://127.0.0.1:9"), cameras=(CameraSettings("cam", "other.mp4"),)
    )
    assert moved.config_rev == SITE.config_rev
    changes = [
        {"severity_without_trains": Severity.NOTICE},
        {"zones": SITE.zones[:1]},
        {"alarm_groups": ("person",)},
        {"camera_timeout_s": 3.0},
        {"tracker": TrackerSettings(lost_s=3.0)},
        {"incidents": IncidentSettings(off_delay_s=9.0)},
        {"model": ModelSettings("m", sha256="1" * 64)},
        {"cameras": (CameraSettings("cam", "x.mp4", required=False),)},
        {"escalation": EscalationSettings((DESK,))},
        {"escalation": EscalationSettings((EscalationGroup("desk", ("k",)),))},
        {"escalation": EscalationSettings((DESK,), (RULE,))},
        {"escalation": EscalationSettings((DESK,), (replace(RULE, level=AckLevel.RECEIVED),))},
    ]
    revisions = {replace(SITE, **change).config_rev for change in changes}
    assert len(revisions | {SITE.config_rev}) == len(changes) + 1


def test_canonical_text_has_sorted_keys_and_plain_values():
    text = canonical_json(SITE)
    assert text.startswith('{"alarm_groups":["person","animal"],"camera_timeout_s":2.0,"cameras":[{"camera_id":"cam"')
    assert '"kind":"track"' in text


def test_a_camera_is_opened_anew_when_anything_of_its_stream_changes():
    from dataclasses import replace

    camera = CameraSettings("east", "rtsp://cam/1")
    assert replace(camera, required=False, worker_group="other").stream == camera.stream
    for change in (
        {"source": "rtsp://cam/2"},
        {"credentials": "env:CAM"},
        {"transport": "udp"},
        {"evidence_source": "rtsp://cam/0"},
        {"ca_file": "ca.pem"},
        {"allowed_hosts": ("10.0.0.0/8",)},
    ):
        assert replace(camera, **change).stream != camera.stream
