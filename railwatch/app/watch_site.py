"""What `railwatch watch` is asked for, and the site that follows from it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from railwatch.config import load_site, parse_zone_option
from railwatch.core.alerts import Severity
from railwatch.core.errors import ConfigError
from railwatch.core.evidence import EvidenceSettings
from railwatch.core.geometry import Point
from railwatch.core.model_names import model_path
from railwatch.core.provider import Provider
from railwatch.core.risk_settings import RiskSettings
from railwatch.core.settings import CameraSettings, MessagingSettings, ModelSettings, SiteSettings
from railwatch.core.types import Zone, ZoneKind
from railwatch.core.vital_checks import VitalCheck
from railwatch.perception.manifest import default_model

CAMERA_ID: Final = "camera"
SECTION_ID: Final = "section"
"""Names of camera and section where no site file gives them."""

WHOLE_FRAME: Final = (Point(0.0, 0.0), Point(1.0, 0.0), Point(1.0, 1.0), Point(0.0, 1.0))


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """What to watch, how to judge it, and where the results go; names are those of the command line."""

    source: str
    model: str | Path | None = None
    zones: tuple[str, ...] = ()
    config: Path | None = None
    camera: str | None = None
    bind: str | None = None
    wait_subscribers: int = 0
    jsonl: Path | None = None
    record: Path | None = None
    save: Path | None = None
    realtime: bool = False
    provider: Provider | None = None
    credentials: str | None = None


def site_for(options: WatchOptions) -> tuple[SiteSettings, str]:
    """The site that `options` describe, narrowed to one camera, and the name of that camera. Raises ConfigError."""
    if options.config is None:
        return _site_of_options(options), CAMERA_ID
    site = load_site(options.config)
    names = [camera.camera_id for camera in site.cameras]
    camera_id = options.camera or (names[0] if len(names) == 1 else None)
    if camera_id not in names:
        raise ConfigError(f"--camera must name one of the cameras {', '.join(names)}, but is {options.camera}")
    zones = tuple(zone for zone in site.zones if zone.camera_id == camera_id)
    if options.zones:
        raise ConfigError("--zone must not be given together with --config: zones are written in the site file")
    tracked = {zone.section_id for zone in zones if zone.kind is ZoneKind.TRACK}
    return (
        replace(
            site,
            cameras=tuple(_camera(camera, options) for camera in site.cameras if camera.camera_id == camera_id),
            sections=tuple(name for name in site.sections if name in tracked),
            zones=tuple(zone for zone in zones if zone.section_id in tracked),
            model=_model(site.model, options),
            evidence=EvidenceSettings(),  # only a hub keeps some: an alert must not name what is not there
            messaging=site.messaging
            if options.bind is None
            else replace(site.messaging, bind=options.bind, request_bind=None),
        ),
        str(camera_id),
    )


def _camera(settings: CameraSettings, options: WatchOptions) -> CameraSettings:
    return settings if options.credentials is None else replace(settings, credentials=options.credentials)


def _model(settings: ModelSettings, options: WatchOptions) -> ModelSettings:
    """The detector with what the command line says of it; another file has another hash."""
    if options.model is not None:
        settings = replace(settings, file=str(model_path(str(options.model))), sha256=None)
    return settings if options.provider is None else replace(settings, provider=options.provider)


def _site_of_options(options: WatchOptions) -> SiteSettings:
    zones = tuple(
        parse_zone_option(text, number, CAMERA_ID, SECTION_ID) for number, text in enumerate(options.zones, start=1)
    )
    risk = RiskSettings()
    if not zones:
        # Nothing is known of a track: whoever is not seen any more may have left through any door in the picture.
        risk = replace(risk, stay_hold_s=0.0)
        zones = (Zone("whole-frame", CAMERA_ID, SECTION_ID, None, ZoneKind.TRACK, WHOLE_FRAME),)
    messaging = MessagingSettings() if options.bind is None else MessagingSettings(options.bind)
    try:
        return SiteSettings(
            site_id="watch",
            severity_without_trains=Severity.WARNING,
            cameras=(
                # Nobody says that the camera is fixed: many a clip is taken by hand.
                CameraSettings(
                    CAMERA_ID, options.source, credentials=options.credentials, vitals_off=(VitalCheck.MOVED.value,)
                ),
            ),
            sections=(SECTION_ID,),
            zones=zones,
            model=_model(ModelSettings("" if options.model else str(default_model())), options),
            messaging=messaging,
            risk=risk,
        )
    except ValueError as error:
        raise ConfigError(f"the zones must let the site arm, but {error}") from error
