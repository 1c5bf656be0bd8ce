"""The keys of site.yaml on timetables, as pydantic models, and what becomes of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, model_validator

from railwatch.base_keys import Id, Keys
from railwatch.core.timetables import TimetableSettings, TimetableStop

_TABLE: Final = TimetableSettings("source", "file", "UTC")


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        text = "must be a time zone that this machine knows, as Europe/Berlin (Debian: tzdata)"
        raise ValueError(text) from None
    return name


TimeZone = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_known_zone)]


class TimetableStopKeys(Keys):
    """A stop of a GTFS feed, and which rail track its trains run on at the place."""

    stop_id: Annotated[str, Field(min_length=1, max_length=200, description="stop_id in stop_times.txt.")]
    rail_track_id: Annotated[Id, Field(description="The rail track that its trains run on at the place.")]
    direction: Annotated[Id, Field(description="Which way they run.")]


class TimetableKeys(Keys):
    """The timetable that speaks for a source."""

    file: Annotated[
        str,
        Field(min_length=1, max_length=1000, description="A .csv, or a GTFS feed: a folder or a .zip. See risk.md."),
    ]
    time_zone: Annotated[TimeZone, Field(description="Time zone of its times, as Europe/Berlin.")]
    early_s: Annotated[
        float, Field(ge=0.0, le=7200.0, description="A train counts from so many seconds before its time ...")
    ] = _TABLE.early_s
    late_s: Annotated[float, Field(ge=0.0, le=21_600.0, description="... until so many seconds after it.")] = (
        _TABLE.late_s
    )
    max_file_days: Annotated[
        float, Field(gt=0.0, le=3650.0, description="A file that was changed longer ago counts as none, days.")
    ] = _TABLE.max_file_days
    stops: Annotated[
        list[TimetableStopKeys],
        Field(max_length=100, default_factory=list, description="For GTFS: the stops whose trains pass the place."),
    ]

    @model_validator(mode="after")
    def _stops_for_gtfs(self) -> TimetableKeys:
        if self.file.lower().endswith(".csv") == bool(self.stops):
            raise ValueError("stops must be given for a GTFS feed, and only for one")
        return self


def timetable_of(source_id: str, keys: TimetableKeys, folder: Path) -> TimetableSettings:
    """The settings that the keys of one source describe; a relative path starts at `folder`."""
    stops: Sequence[TimetableStopKeys] = keys.stops
    return TimetableSettings(
        source_id,
        str(folder / keys.file),
        keys.time_zone,
        keys.early_s,
        keys.late_s,
        keys.max_file_days,
        tuple(TimetableStop(stop.stop_id, stop.rail_track_id, stop.direction) for stop in stops),
    )
