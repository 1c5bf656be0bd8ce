"""The keys of site.yaml on how small a person must still be found, as pydantic models, and what becomes of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Protocol

from pydantic import AfterValidator, Field

from railwatch.base_keys import Keys
from railwatch.core.coverage import CameraView, CoverageSettings, PersonSize, heights_of
from railwatch.core.geometry import Point
from railwatch.risk_keys import DEFAULT_ASPECT, Fraction, GroundKeys, Place

_COVERAGE: Final = CoverageSettings()


class PersonKeys(Keys):
    """How tall a person of 1.7 m is at one place of the picture."""

    foot: Annotated[Place, Field(description="[x, y] of the feet in fractions of the frame; (0, 0) is its top left.")]
    height: Annotated[float, Field(gt=0.0, le=2.0, description="Height of a person of 1.7 m there, of the frame's.")]


def _people(keys: list[PersonKeys] | None) -> list[PersonKeys] | None:
    if keys is not None:
        heights_of(_sizes(keys))
    return keys


People = Annotated[list[PersonKeys], Field(min_length=2, max_length=100), AfterValidator(_people)]
Aspect = Annotated[float, Field(ge=0.2, le=5.0)]
SmallestPerson = Annotated[float, Field(ge=0.3, le=3.0)]


class CoverageKeys(Keys):
    """From when on a person counts as found."""

    least_recall: Annotated[
        Fraction, Field(description="Part of people of a size that the model must have found, by its measured recall.")
    ] = _COVERAGE.least_recall
    smallest_px: Annotated[
        float | None,
        Field(ge=1.0, le=4096.0, description="Height in the model's input from which on people count as found."),
    ] = None


class _Camera(Protocol):
    camera_id: str
    aspect: float | None
    people: list[PersonKeys] | None
    ground: GroundKeys | None


class _Zone(Protocol):
    zone_id: str
    smallest_person_m: float | None


def coverage_of(keys: CoverageKeys, cameras: Sequence[_Camera], zones: Sequence[_Zone]) -> CoverageSettings:
    """The settings that the keys of a site describe."""
    return CoverageSettings(
        keys.least_recall,
        keys.smallest_px,
        tuple(CameraView(c.camera_id, _aspect(c), tuple(_sizes(c.people or []))) for c in cameras),
        tuple((zone.zone_id, zone.smallest_person_m) for zone in zones if zone.smallest_person_m is not None),
    )


def _sizes(people: list[PersonKeys]) -> list[PersonSize]:
    return [PersonSize(Point(person.foot[0], person.foot[1]), person.height) for person in people]


def _aspect(camera: _Camera) -> float:
    """What is said of the camera itself, else with its ground, else the usual."""
    lens = None if camera.ground is None else camera.ground.rails or camera.ground.horizon
    return camera.aspect or (DEFAULT_ASPECT if lens is None else lens.aspect)
