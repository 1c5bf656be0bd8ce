"""The scenario file: what a clip shows. Read strictly; every fault is told with its key and what is allowed.

World frame of every scene, in metres: x to the right across the tracks, y along them away from the camera, z up;
z = 0 is the top of the ballast, the plane of the ground homography.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
Metres = Annotated[float, Field(ge=-1000, le=1000, allow_inf_nan=False)]
Point = tuple[Metres, Metres]
Point3 = tuple[Metres, Metres, Metres]
Seconds = Annotated[float, Field(gt=0, le=600, allow_inf_nan=False)]

Figure = Literal["man", "woman", "stout_man", "slim_man", "stout_woman", "child"]
Colour = Literal[
    "white", "cream", "grey", "charcoal", "black", "red", "maroon", "orange", "mustard", "olive",
    "green", "teal", "sky", "blue", "navy", "indigo", "violet", "brown", "khaki", "ballast",
]  # fmt: skip


class ScenarioError(ValueError):
    """A scenario file that cannot be rendered; the message has a line for every fault."""


class Strict(BaseModel):
    """Unknown keys are refused: a misspelt key would silently change the truth."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Camera(Strict):
    """Where the camera hangs, and where it looks; `shake_deg` is the standard deviation of its swaying."""

    position_m: Point3 = (-4.8, 0.0, 4.6)
    look_at_m: Point3 = (0.2, 34.0, 1.5)
    hfov_deg: float = Field(30.0, ge=2, le=100)
    size_px: tuple[Annotated[int, Field(ge=64, le=1920)], Annotated[int, Field(ge=64, le=1080)]] = (640, 360)
    shake_deg: float = Field(0.0, ge=0, le=1)
    noise: float = Field(1.6, ge=0, le=20, description="standard deviation of the sensor noise, of 255")

    @model_validator(mode="after")
    def _looks_along_the_track(self) -> Camera:
        if self.look_at_m[1] - self.position_m[1] < 1:
            raise ValueError("look_at_m must lie at least 1 m beyond position_m along y")
        if any(side % 2 for side in self.size_px):
            raise ValueError(f"size_px must be even (H.264 needs it), but is {self.size_px}")
        return self


class Light(Strict):
    """The sun, or the lamps of the night; azimuth 0 shines along +y, 90 from the left to the right."""

    kind: Literal["sun", "overcast", "night"] = "sun"
    sun_elevation_deg: float = Field(38.0, ge=3, le=90)
    sun_azimuth_deg: float = Field(35.0, ge=-360, le=360)
    strength: float = Field(1.0, gt=0, le=5)


class Weather(Strict):
    """What lies between the camera and the scene; visibility is the distance at which 5 % of the contrast is left."""

    fog_visibility_m: float | None = Field(None, ge=20, le=10000)
    rain: bool = False


class RailTrack(Strict):
    """A railway track, straight along y; `centre_m` is its place across."""

    id: Identifier
    centre_m: Metres
    gauge_mm: int = Field(1676, ge=600, le=1700)


class Platform(Strict):
    """A platform with its station building on the right of the tracks."""

    edge_m: Metres = 6.65
    height_m: float = Field(0.85, ge=0.2, le=1.3)
    from_m: Metres = 24.0
    to_m: Metres = 190.0


class Clothing(Strict):
    """What a person wears; keys left out are drawn by the scenario's seed."""

    shirt: Colour | None = None
    trousers: Colour | None = None
    skirt: bool | None = None
    vest: Literal["orange", "yellow"] | None = None
    helmet: Literal["white", "yellow", "orange"] | None = None


class Walk(Strict):
    """Walk through the given ground points, in steps that leave no foot sliding."""

    do: Literal["walk"]
    through_m: tuple[Point, ...] = Field(min_length=1)
    speed_mps: float = Field(1.3, ge=0.3, le=2.2)


class Stand(Strict):
    """Stand, facing where the last action ended unless told."""

    do: Literal["stand"]
    for_s: Seconds
    facing_deg: float | None = None


class Fall(Strict):
    """Fall forwards; what follows can only be lying."""

    do: Literal["fall"]


class Lie(Strict):
    """Lie on the ground."""

    do: Literal["lie"]
    for_s: Seconds
    facing_deg: float | None = None


Action = Annotated[Walk | Stand | Fall | Lie, Field(discriminator="do")]


class Person(Strict):
    """A person: where at the start, what in turn (the last action goes on), and how the person looks."""

    id: Identifier
    at_m: Point
    facing_deg: float = 0.0
    actions: tuple[Action, ...] = ()
    figure: Figure | None = None
    height_m: float | None = Field(None, ge=0.9, le=2.1)
    clothing: Clothing = Clothing()

    @model_validator(mode="after")
    def _stays_down(self) -> Person:
        kinds = [action.do for action in self.actions]
        for now, then in pairwise(kinds):
            if now in ("fall", "lie") and then != "lie":
                raise ValueError(f"actions: after {now!r} only 'lie' may follow, but {then!r} does")
        return self


class Train(Strict):
    """A train; `front_m` is the y of its front at the start, a speed of 0 parks it."""

    id: Identifier
    track: Identifier
    front_m: Metres
    speed_mps: float = Field(13.0, ge=0, le=90)
    heading: Literal["towards", "away"] = "towards"
    livery: Literal["red", "blue", "green", "yellow"] = "red"
    coaches: int = Field(9, ge=0, le=24)
    headlights: bool = True


class Animal(Strict):
    """A cow that stands or walks straight ahead."""

    id: Identifier
    kind: Literal["cow"] = "cow"
    at_m: Point
    facing_deg: float = 0.0
    speed_mps: float = Field(0.0, ge=0, le=1.5)
    colour: Literal["brown", "white", "black"] = "brown"


class Zones(Strict):
    """How the zones of the truth are drawn on the ground."""

    track_half_width_m: float = Field(1.6, ge=0.5, le=4)
    approach_margin_m: float = Field(1.8, ge=0.2, le=6)
    from_m: Metres = 5.0
    to_m: Metres = 120.0


class Scenario(Strict):
    """One clip."""

    name: Identifier
    title: str = Field(min_length=5, max_length=120)
    negative: bool = Field(description="whether nobody comes onto a track")
    duration_s: Seconds = 10.0
    fps: int = Field(10, ge=1, le=60)
    seed: int = Field(1, ge=0, le=2**31 - 1)
    camera: Camera = Camera()
    light: Light = Light()
    weather: Weather = Weather()
    tracks: tuple[RailTrack, ...] = (RailTrack(id="main", centre_m=0.0), RailTrack(id="loop", centre_m=4.9))
    platform: Platform | None = Platform()
    zones: Zones = Zones()
    reference_m: Metres = Field(27.0, description="y of the point at which distance and ETA of trains are told")
    people: tuple[Person, ...] = Field((), max_length=20)
    trains: tuple[Train, ...] = Field((), max_length=4)
    animals: tuple[Animal, ...] = Field((), max_length=4)

    @model_validator(mode="after")
    def _fits_together(self) -> Scenario:
        for key in ("tracks", "people", "trains", "animals"):
            identifiers = [item.id for item in getattr(self, key)]
            if len(set(identifiers)) != len(identifiers):
                raise ValueError(f"{key}: every id must be given once, but they are {identifiers}")
        known = [track.id for track in self.tracks]
        for train in self.trains:
            if train.track not in known:
                raise ValueError(f"trains.{train.id}.track must be among {known}, but is {train.track!r}")
        if not known:
            raise ValueError("tracks must hold at least one track")
        return self

    @property
    def frames(self) -> int:
        """How many frames the clip has."""
        return round(self.duration_s * self.fps)


class _UniqueKeys(yaml.SafeLoader):
    """Refuses a key given twice, of which YAML would keep the last without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A mapping whose keys are all different."""
        keys = [self.construct_object(key, deep=deep) for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise ScenarioError(f"line {node.start_mark.line + 1}: {sorted(twice)} must be given once")
        return super().construct_mapping(node, deep)


def parse(text: str) -> Scenario:
    """The scenario written in `text`; raises ScenarioError with a line for every fault."""
    try:
        data = yaml.load(text, Loader=_UniqueKeys)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise ScenarioError(f"must be YAML: {error}") from error
    if not isinstance(data, dict):
        raise ScenarioError(f"must be a mapping of keys, but is {type(data).__name__}")
    try:
        return Scenario.model_validate(data)
    except ValidationError as error:
        lines = [
            f"{'.'.join(map(str, fault['loc'])) or 'scenario'}: {fault['msg']}, given {fault['input']!r:.80}"
            for fault in error.errors(include_url=False)
        ]
        raise ScenarioError("\n".join(lines)) from error


def load(path: Path) -> Scenario:
    """The scenario of a file; its name must be the file's, so that clip, truth and scenario stay together."""
    try:
        scenario = parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ScenarioError(f"{path}: must be a readable file: {error.strerror}") from error
    except ScenarioError as error:
        raise ScenarioError("\n".join(f"{path}: {line}" for line in str(error).splitlines())) from error
    if scenario.name != path.stem:
        raise ScenarioError(f"{path}: name must be {path.stem!r} like the file, but is {scenario.name!r}")
    return scenario
