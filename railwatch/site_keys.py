"""The keys of site.yaml as pydantic models: names, types, ranges, defaults and meanings; their JSON Schema follows.

Defaults are those of `railwatch.core.settings`; nothing is decided here a second time.
"""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from railwatch.base_keys import ID_PATTERN, SHA256_PATTERN, Id, Keys, Text
from railwatch.core.address import is_address, parse_address
from railwatch.core.alerts import Severity
from railwatch.core.errors import MessagingError
from railwatch.core.evidence import EvidenceSettings, MaskedClips
from railwatch.core.geometry import check_polygon
from railwatch.core.provider import Provider
from railwatch.core.self_test import SelfTestSettings
from railwatch.core.settings import (
    IncidentSettings,
    MessagingSettings,
    ModelSettings,
    SiteSettings,
    TrackerSettings,
)
from railwatch.core.types import ZoneKind
from railwatch.core.vital_checks import VitalCheck
from railwatch.coverage_keys import Aspect, CoverageKeys, People, SmallestPerson
from railwatch.escalation_keys import EscalationKeys
from railwatch.messaging.endpoints import bind_endpoint, next_port
from railwatch.risk_keys import Fraction, GroundKeys, RiskKeys, TrainSourceKeys
from railwatch.schedule_keys import ScheduleKeys
from railwatch.second_look_keys import SecondLookKeys

CREDENTIALS_PATTERN: Final = r"^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$"
PATTERNS: Final = {
    CREDENTIALS_PATTERN: "must be env:NAME or file:PATH, which names where USER:PASSWORD is kept",
    ID_PATTERN: "must be 1 to 64 letters A-Z a-z, digits, _ or -",
    SHA256_PATTERN: "must be the 64 hexadecimal digits, lower case, that sha256sum prints",
}
"""What the patterns of the schema say, in words."""


def _endpoint(value: str) -> str:
    try:
        bind_endpoint("an endpoint", value, keys=True)  # whether there are keys is asked where both are known
    except MessagingError as error:
        raise ValueError(str(error)) from None
    return value


def _polygon(value: list[list[float]]) -> list[list[float]]:
    check_polygon([(x, y) for x, y in value])
    return value


def _stream(value: str | None) -> str | None:
    if value is not None and is_address(value):
        parse_address(value)
    return value


def _only_stream(value: str | None) -> str | None:
    if value is not None:
        parse_address(value)
    return value


Seconds = Annotated[float, Field(gt=0.0, le=60.0)]
Endpoint = Annotated[str, Field(max_length=200), AfterValidator(_endpoint)]
Coordinates = Annotated[list[Fraction], Field(min_length=2, max_length=2)]
Polygon = Annotated[list[Coordinates], Field(min_length=3, max_length=1000), AfterValidator(_polygon)]


class CameraKeys(Keys):
    """One camera."""

    camera_id: Annotated[Id, Field(description="Name of the camera; a topic of the messages carries it.")]
    source: Annotated[
        Text,
        Field(description="Video file, folder of pictures, stream URL, or number of a USB camera."),
        AfterValidator(_stream),
    ]
    required: Annotated[bool, Field(description="Whether its sections are UNKNOWN while it is not NOMINAL.")] = True
    worker_group: Annotated[Id, Field(description="Cameras of one group share a perception worker.")] = "main"
    ground: Annotated[GroundKeys | None, Field(description="The ground that it sees, in metres; see risk.md.")] = None
    aspect: Annotated[
        Aspect | None, Field(description="Its frame's width over its height; without it that of `ground`, else 16/9.")
    ] = None
    people: Annotated[
        People | None, Field(description="Without `ground`: how tall a person of 1.7 m is at two places or more.")
    ] = None
    credentials: Annotated[
        str | None,
        Field(
            pattern=CREDENTIALS_PATTERN,
            max_length=1000,
            description="Where USER:PASSWORD of the camera is kept: env:NAME or file:PATH.",
        ),
    ] = None
    transport: Annotated[
        Literal["tcp", "udp"], Field(description="How an RTSP stream comes: tcp, or udp where nothing is lost.")
    ] = "tcp"
    evidence_source: Annotated[
        Text | None,
        Field(description="A second, finer stream of the camera that is recorded and not looked at."),
        AfterValidator(_only_stream),
    ] = None
    ca_file: Annotated[
        Text | None, Field(description="Certificates that are good for rtsps and https; else those of the machine.")
    ] = None
    vitals_off: Annotated[
        list[Annotated[VitalCheck, Field(strict=False)]],
        Field(
            max_length=len(VitalCheck),
            default_factory=list,
            description="Checks of its picture that are not made; see vitals.md.",
        ),
    ]


class ZoneKeys(Keys):
    """A polygon in the picture of one camera."""

    zone_id: Annotated[Id, Field(description="Name of the zone.")]
    camera_id: Annotated[Id, Field(description="The camera in whose picture it lies.")]
    section_id: Annotated[Id, Field(description="The section of railway it belongs to.")]
    rail_track_id: Annotated[Id | None, Field(description="The rail track it covers, for reports of trains.")] = None
    kind: Annotated[ZoneKind, Field(strict=False, description="What the polygon marks.")]
    polygon: Annotated[Polygon, Field(description="Corners [x, y] in fractions of the frame; (0, 0) is its top left.")]
    blur: Annotated[
        bool, Field(description="Whether it is blurred wherever people look; only in a zone of kind ignore.")
    ] = False
    smallest_person_m: Annotated[
        SmallestPerson | None,
        Field(description="The smallest person, in metres, that must be found in all of it, or the site does not arm."),
    ] = None

    @model_validator(mode="after")
    def _hides_nothing_watched(self) -> Self:
        if self.blur and self.kind is not ZoneKind.IGNORE:
            raise ValueError(
                f"blur must be false in a zone of kind {self.kind.value}: only one of kind ignore may hide"
            )
        if self.kind is ZoneKind.IGNORE and self.smallest_person_m is not None:
            raise ValueError(
                "smallest_person_m must not be given for a zone of kind ignore: nobody is looked for there"
            )
        return self


_MODEL: Final = ModelSettings(file="detector.onnx")


class ModelKeys(Keys):
    """The detector."""

    file: Annotated[
        Text, Field(description="Name of a model, or its ONNX file; a relative path starts at the site file's folder.")
    ]
    sha256: Annotated[str | None, Field(pattern=SHA256_PATTERN, description="SHA-256 that the file must have.")] = None
    confidence: Annotated[Fraction, Field(description="Boxes below this score are not looked at.")] = _MODEL.confidence
    provider: Annotated[
        Provider, Field(strict=False, description="Execution provider of ONNX Runtime that must run the model.")
    ] = _MODEL.provider
    threads: Annotated[int, Field(ge=0, le=256, description="Threads for inference; 0 means all cores.")] = 0


_TRACKER: Final = TrackerSettings()


class TrackerKeys(Keys):
    """Association of boxes over frames."""

    high_confidence: Annotated[Fraction, Field(description="Boxes from this score on may begin a track.")] = (
        _TRACKER.high_confidence
    )
    match_iou: Annotated[Fraction, Field(description="Least overlap (IoU) of a track's prediction and a box.")] = (
        _TRACKER.match_iou
    )
    confirm_hits: Annotated[int, Field(ge=1, le=1000, description="Frames with a box before a track counts.")] = (
        _TRACKER.confirm_hits
    )
    lost_s: Annotated[Seconds, Field(description="An unseen track is forgotten after so many seconds.")] = (
        _TRACKER.lost_s
    )


_INCIDENTS: Final = IncidentSettings()


class IncidentKeys(Keys):
    """When an incident opens, is updated, and closes."""

    on_delay_hits: Annotated[
        int, Field(ge=1, le=1000, description="Opens when an object was in a zone in so many frames ...")
    ] = _INCIDENTS.on_delay_hits
    on_delay_window: Annotated[int, Field(ge=1, le=1000, description="... of the last so many of a camera.")] = (
        _INCIDENTS.on_delay_window
    )
    off_delay_s: Annotated[
        float, Field(gt=0.0, le=3600.0, description="Closes after so many seconds of observed time without an object.")
    ] = _INCIDENTS.off_delay_s
    min_overlap: Annotated[
        Fraction,
        Field(description="Part of an object's footprint in the zone that counts when its ground point is out."),
    ] = _INCIDENTS.min_overlap
    update_interval_s: Annotated[
        float, Field(ge=0.0, le=3600.0, description="At most one UPDATED for a growing count in so many seconds.")
    ] = _INCIDENTS.update_interval_s

    @model_validator(mode="after")
    def _hits_fit_the_window(self) -> IncidentKeys:
        if self.on_delay_hits > self.on_delay_window:
            raise ValueError(f"on_delay_hits must be at most on_delay_window, {self.on_delay_window}")
        return self


_MESSAGING: Final = MessagingSettings()


class MessagingKeys(Keys):
    """Where alerts and status go out."""

    bind: Annotated[Endpoint, Field(description="Where alerts and status are published.")] = _MESSAGING.bind
    request_bind: Annotated[
        Endpoint | None, Field(description="Where clients' nonces come in; without it, the port after `bind`.")
    ] = None
    lease_s: Annotated[Seconds, Field(description="Seconds for which a client may believe CLEAR.")] = _MESSAGING.lease_s
    keys: Annotated[
        Text | None, Field(description="Folder of the keys that are let in; without it, everybody on this machine.")
    ] = None

    @model_validator(mode="after")
    def _others_need_keys(self) -> MessagingKeys:
        for name, endpoint in (("bind", self.bind), ("request_bind", self.request_bind)):
            try:
                bind_endpoint(name, endpoint or self.bind, keys=self.keys is not None)
            except MessagingError as error:
                raise ValueError(str(error)) from None
        return self

    @model_validator(mode="after")
    def _two_sockets(self) -> MessagingKeys:
        if self.request_bind == self.bind:
            raise ValueError("request_bind must be another endpoint than bind")
        if self.request_bind is None:
            try:
                next_port("bind", self.bind)
            except MessagingError as error:
                raise ValueError(str(error)) from None
        return self


class SelfTestKeys(Keys):
    """How the chain from each camera to a subscriber is tried."""

    interval_s: Annotated[
        float, Field(ge=0.0, le=86400.0, description="Seconds between two self-tests of a camera; 0: only on request.")
    ] = SelfTestSettings().interval_s
    within_s: Annotated[
        Seconds, Field(description="Seconds in which the alert of a self-test must have come to a subscriber.")
    ] = SelfTestSettings().within_s


_EVIDENCE: Final = EvidenceSettings()


class EvidenceKeys(Keys):
    """What is kept of an incident, and for how long."""

    record: Annotated[bool, Field(description="Whether video and pictures of incidents are kept.")] = _EVIDENCE.record
    pre_roll_s: Annotated[float, Field(ge=0.0, le=60.0, description="Seconds of video before the first detection.")] = (
        _EVIDENCE.pre_roll_s
    )
    post_roll_s: Annotated[float, Field(ge=0.0, le=60.0, description="Seconds of video after the alarm.")] = (
        _EVIDENCE.post_roll_s
    )
    ring_mib: Annotated[
        int, Field(ge=1, le=1024, description="Most memory of the recording of one camera, in MiB.")
    ] = _EVIDENCE.ring_mib
    masked_clips: Annotated[
        MaskedClips,
        Field(strict=False, description="The clip of a camera with privacy masks: encoded anew with them, or none."),
    ] = _EVIDENCE.masked_clips
    keep_days: Annotated[float, Field(gt=0.0, le=3650.0, description="Evidence is let go after so many days.")] = (
        _EVIDENCE.keep_days
    )
    max_gib: Annotated[
        float, Field(gt=0.0, le=100000.0, description="The oldest is let go when all of it exceeds so many GiB.")
    ] = _EVIDENCE.max_gib
    min_free_gib: Annotated[
        float, Field(ge=0.0, le=100000.0, description="The oldest is let go when less of the disk would be free, GiB.")
    ] = _EVIDENCE.min_free_gib


def _site_default(name: str) -> Any:  # noqa: ANN401 - as many types as there are keys
    """What `SiteSettings` takes where a key is not given."""
    field = next(field for field in fields(SiteSettings) if field.name == name)
    return field.default if field.default_factory is MISSING else field.default_factory()


def _default_groups() -> dict[str, list[str]]:
    return {name: list(classes) for name, classes in _site_default("groups").items()}


class SiteKeys(Keys):
    """A site file of railwatch."""

    schema_version: Annotated[int, Field(ge=1, le=1, description="Version of this format: 1.")]
    site_id: Annotated[Id, Field(description="Name of the site; every message carries it.")]
    severity_without_trains: Annotated[
        Severity,
        Field(strict=False, description="Severity of an object on the track where no source of trains exists."),
    ]
    camera_timeout_s: Annotated[Seconds, Field(description="A camera that is silent for so many seconds is BLIND.")] = (
        _site_default("camera_timeout_s")
    )
    cameras: Annotated[list[CameraKeys], Field(min_length=1, max_length=64, description="The cameras.")]
    camera_hosts: Annotated[
        list[Text],
        Field(
            max_length=100,
            default_factory=list,
            description="Hosts, addresses and networks that cameras may be on; without any, every camera's.",
        ),
    ]
    sections: Annotated[
        list[Id],
        Field(min_length=1, max_length=64, description="Pieces of railway that are CLEAR, OCCUPIED or UNKNOWN."),
    ]
    zones: Annotated[list[ZoneKeys], Field(min_length=1, max_length=1000, description="The zones.")]
    model: Annotated[ModelKeys, Field(description="The detector.")]
    groups: Annotated[
        dict[Id, Annotated[list[Text], Field(min_length=1, max_length=1000)]],
        Field(
            min_length=1,
            max_length=100,
            default_factory=_default_groups,
            description="Class groups: which of the model's classes each holds.",
        ),
    ]
    alarm_groups: Annotated[
        list[Id],
        Field(
            min_length=1,
            max_length=100,
            default_factory=lambda: list(_site_default("alarm_groups")),
            description="Class groups that raise alarms.",
        ),
    ]
    tracker: Annotated[TrackerKeys, Field(description="Association of boxes over frames.")] = TrackerKeys()
    incidents: Annotated[IncidentKeys, Field(description="When an incident opens and closes.")] = IncidentKeys()
    train_sources: Annotated[
        list[TrainSourceKeys],
        Field(max_length=64, default_factory=list, description="Who tells where trains are; see risk.md."),
    ]
    schedules: Annotated[
        list[ScheduleKeys],
        Field(max_length=64, default_factory=list, description="Hours of the day that change severities; see risk.md."),
    ]
    risk: Annotated[RiskKeys, Field(description="When a train makes it an EMERGENCY.")] = RiskKeys()
    self_test: Annotated[SelfTestKeys, Field(description="How the whole chain is tried; see self-test.md.")] = (
        SelfTestKeys()
    )
    evidence: Annotated[EvidenceKeys, Field(description="What is kept of an incident; see evidence.md.")] = (
        EvidenceKeys()
    )
    second_look: Annotated[
        SecondLookKeys | None, Field(description="A classifier that looks at animals again; see second-look.md.")
    ] = None
    coverage: Annotated[CoverageKeys, Field(description="From when on a person counts as found.")] = CoverageKeys()
    messaging: Annotated[MessagingKeys, Field(description="Where alerts and status go out.")] = MessagingKeys()
    escalation: Annotated[
        EscalationKeys, Field(description="Who is told, in which order, and what must come back.")
    ] = EscalationKeys(groups=[], rules=[])
