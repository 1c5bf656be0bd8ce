"""The keys of site.yaml on ground, trains and risk, as pydantic models, and what becomes of them."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field, model_validator

from railwatch.base_keys import Id, Keys
from railwatch.core.ground import (
    CalibrationError,
    GroundPlane,
    Lens,
    plane_of_horizon,
    plane_of_points,
    plane_of_rails,
)
from railwatch.core.risk_settings import BrakeSettings, RiskSettings, TrainSourceSettings
from railwatch.timetable_keys import TimetableKeys

DEFAULT_ASPECT: Final = 16 / 9

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Metres = Annotated[float, Field(ge=-10_000.0, le=10_000.0)]
Place = Annotated[list[Fraction], Field(min_length=2, max_length=2)]
Rail = Annotated[list[Place], Field(min_length=2, max_length=2)]


class GroundPointKeys(Keys):
    """A place that is known in the picture and on the ground."""

    image: Annotated[Place, Field(description="[x, y] in fractions of the frame; (0, 0) is its top left.")]
    ground_m: Annotated[
        list[Metres], Field(min_length=2, max_length=2, description="[x, y] in metres, x to the right, y away.")
    ]


class RailsKeys(Keys):
    """The two rails of one straight track, seen by a camera that is not rolled."""

    left: Annotated[Rail, Field(description="Two places [x, y] on the inner edge of the left rail.")]
    right: Annotated[Rail, Field(description="Two places [x, y] on the inner edge of the right rail.")]
    gauge_mm: Annotated[int, Field(ge=500, le=2000, description="Between the inner edges: 1435, 1676, 1000, 1067 ...")]
    hfov_deg: Annotated[float, Field(ge=1.0, le=170.0, description="The camera's horizontal field of view, degrees.")]
    aspect: Annotated[float, Field(ge=0.2, le=5.0, description="The frame's width over its height.")] = DEFAULT_ASPECT


class HorizonKeys(Keys):
    """The camera's height, and where the horizon meets the edges of the frame."""

    left_y: Annotated[float, Field(ge=-10.0, le=1.0, description="y of the horizon at the left edge; may be below 0.")]
    right_y: Annotated[float, Field(ge=-10.0, le=1.0, description="y of the horizon at the right edge.")]
    height_m: Annotated[float, Field(ge=0.3, le=100.0, description="Height of the camera above the rails, metres.")]
    hfov_deg: Annotated[float, Field(ge=1.0, le=170.0, description="The camera's horizontal field of view, degrees.")]
    aspect: Annotated[float, Field(ge=0.2, le=5.0, description="The frame's width over its height.")] = DEFAULT_ASPECT


class GroundKeys(Keys):
    """The ground in metres: by one of four ways."""

    points: Annotated[
        list[GroundPointKeys] | None,
        Field(
            min_length=4, max_length=100, description="Four or more known places; five or more tell how well they fit."
        ),
    ] = None
    rails: Annotated[RailsKeys | None, Field(description="The two rails of a straight track and their gauge.")] = None
    horizon: Annotated[HorizonKeys | None, Field(description="The camera's height and the horizon.")] = None
    matrix: Annotated[
        list[Annotated[list[float], Field(min_length=3, max_length=3)]] | None,
        Field(min_length=3, max_length=3, description="A 3 x 3 homography from fractions to metres that is known."),
    ] = None
    residual_m: Annotated[
        float | None, Field(ge=0.0, le=10.0, description="How well the matrix fits, metres; only with `matrix`.")
    ] = None

    @model_validator(mode="after")
    def _a_plane(self) -> GroundKeys:
        given = [name for name in ("points", "rails", "horizon", "matrix") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"exactly one of points, rails, horizon, matrix must be given, but there are {len(given)}")
        if self.residual_m is not None and self.matrix is None:
            raise ValueError("residual_m goes with matrix only")
        try:
            ground_of(self)
        except CalibrationError as error:
            raise ValueError(str(error)) from None
        return self


def ground_of(keys: GroundKeys) -> GroundPlane:
    """The plane that the keys describe; raises CalibrationError."""
    if keys.points is not None:
        return plane_of_points([((p.image[0], p.image[1]), (p.ground_m[0], p.ground_m[1])) for p in keys.points])
    if keys.rails is not None:
        rails = keys.rails
        left, right = ((tuple(rail[0]), tuple(rail[1])) for rail in (rails.left, rails.right))
        return plane_of_rails(left, right, rails.gauge_mm / 1000, Lens(rails.hfov_deg, rails.aspect))  # type: ignore[arg-type]
    if keys.horizon is not None:
        seen = keys.horizon
        return plane_of_horizon(seen.left_y, seen.right_y, seen.height_m, Lens(seen.hfov_deg, seen.aspect))
    first, second, third = ((row[0], row[1], row[2]) for row in keys.matrix or ())
    return GroundPlane((first, second, third), "matrix", keys.residual_m)


_SOURCE: Final = TrainSourceSettings("source")


class TrainSourceKeys(Keys):
    """A source of trains."""

    source_id: Annotated[Id, Field(description="Name of the source, as its reports and its key give it.")]
    rail_track_ids: Annotated[
        list[Id], Field(max_length=64, description="The rail tracks it speaks of; empty: of all.", default_factory=list)
    ]
    authoritative: Annotated[
        bool, Field(description="Whether it may be believed when it says that no train comes.")
    ] = _SOURCE.authoritative
    max_age_s: Annotated[
        float, Field(ge=0.1, le=86_400.0, description="An older report counts as a train now, seconds.")
    ] = _SOURCE.max_age_s
    timetable: Annotated[
        TimetableKeys | None, Field(description="The timetable that speaks for the source; without it, its key does.")
    ] = None


_BRAKES: Final = BrakeSettings()
_RISK: Final = RiskSettings()


class BrakeKeys(Keys):
    """How the trains of the site stop."""

    reaction_s: Annotated[float, Field(ge=0.0, le=300.0, description="From the alarm to the brake valve, seconds.")] = (
        _BRAKES.reaction_s
    )
    build_up_s: Annotated[float, Field(ge=0.0, le=60.0, description="Until the brakes grip, seconds.")] = (
        _BRAKES.build_up_s
    )
    deceleration_mps2: Annotated[
        float, Field(ge=0.05, le=3.0, description="What the emergency brake gives on the level, m/s2.")
    ] = _BRAKES.deceleration_mps2
    adhesion: Annotated[float, Field(ge=0.01, le=0.5, description="Friction that wet, dirty rails hold.")] = (
        _BRAKES.adhesion
    )
    gradient_permille: Annotated[
        float, Field(ge=-100.0, le=100.0, description="Of the line where trains come from; negative: downhill.")
    ] = _BRAKES.gradient_permille


class RiskKeys(Keys):
    """When a train makes somebody on the track an EMERGENCY."""

    least_margin_s: Annotated[
        float,
        Field(ge=0.0, le=600.0, description="Whoever is not off the track so long before the train is in danger."),
    ] = _RISK.least_margin_s
    assumed_stay_s: Annotated[
        float, Field(ge=1.0, le=3600.0, description="Who does not leave is taken to stay so long, seconds.")
    ] = _RISK.assumed_stay_s
    stay_hold_s: Annotated[
        float,
        Field(ge=0.0, le=3600.0, description="Who was lost on the track and was not leaving it is held so long."),
    ] = _RISK.stay_hold_s
    brakes: Annotated[BrakeKeys, Field(description="How the trains stop.")] = BrakeKeys()


def risk_of(keys: RiskKeys) -> RiskSettings:
    """The settings that the keys describe."""
    plain = dict(keys)
    return RiskSettings(**{**plain, "brakes": BrakeSettings(**dict(plain["brakes"]))})


def train_sources_of(keys: list[TrainSourceKeys]) -> tuple[TrainSourceSettings, ...]:
    """The settings that the keys describe."""
    return tuple(
        TrainSourceSettings(source.source_id, tuple(source.rail_track_ids), source.authoritative, source.max_age_s)
        for source in keys
    )
