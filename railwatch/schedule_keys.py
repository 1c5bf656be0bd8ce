"""The keys of site.yaml on hours of the day, as pydantic models, and what becomes of them."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AfterValidator, Field, model_validator

from railwatch.base_keys import Id, Keys
from railwatch.core.alerts import Severity
from railwatch.core.schedules import EVERY_DAY, Day, ScheduleSettings, minute_of

MAX_ZONE_NAME: Final = 100


def _time_of_day(text: str) -> str:
    minute_of(text)
    return text


TimeOfDay = Annotated[str, AfterValidator(_time_of_day)]


class ScheduleKeys(Keys):
    """Hours of the day, and the severity that they keep."""

    schedule_id: Annotated[Id, Field(description="Name of the hours, as alerts give it.")]
    time_zone: Annotated[
        str, Field(min_length=1, max_length=MAX_ZONE_NAME, description="IANA name of the time zone: Asia/Kolkata.")
    ]
    begins: Annotated[TimeOfDay, Field(description='When they begin, "HH:MM".')]
    ends: Annotated[TimeOfDay, Field(description="When they end; at or before `begins`: on the next day.")]
    days: Annotated[
        list[Annotated[Day, Field(strict=False)]],
        Field(
            min_length=1,
            max_length=7,
            default_factory=lambda: list(EVERY_DAY),
            description="The days on which they begin.",
        ),
    ]
    zone_ids: Annotated[
        list[Id], Field(max_length=1000, default_factory=list, description="The zones that they are for; empty: all.")
    ]
    at_least: Annotated[
        Severity | None, Field(strict=False, description="Whoever is there has at least this severity.")
    ] = None
    at_most: Annotated[
        Severity | None,
        Field(strict=False, description="At most this severity, while no train comes; lowers no EMERGENCY."),
    ] = None

    @model_validator(mode="after")
    def _one_change(self) -> ScheduleKeys:
        if (self.at_least is None) is (self.at_most is None):
            raise ValueError("exactly one of at_least and at_most must be given")
        return self


def schedules_of(keys: list[ScheduleKeys]) -> tuple[ScheduleSettings, ...]:
    """The settings that the keys describe."""
    return tuple(
        ScheduleSettings(**{**dict(item), "days": tuple(item.days), "zone_ids": tuple(item.zone_ids)}) for item in keys
    )
