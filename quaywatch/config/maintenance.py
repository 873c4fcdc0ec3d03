"""The tables of maintenance windows."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Final, Literal, get_args
from zoneinfo import ZoneInfo

from pydantic import Field, PlainSerializer, PlainValidator, WithJsonSchema, model_validator

from .sentences import refusal
from .tables import Table
from .values import Pattern, Text

Day = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
DAYS: Final[tuple[Day, ...]] = get_args(Day)
"""The days of the week in their order."""
DAY_MINUTES: Final = 1440
_HOUR: Final = 60
_CLOCK: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|24:00")


def _moment(value: Any) -> datetime:
    """A date and time with its offset from UTC; YAML reads one that is not in quotes by itself."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        raise refusal("moment") from None
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise refusal("moment")
    return moment


def _minutes(value: Any) -> int:
    """Minutes since midnight; YAML reads 22:30 without quotes as a number to the base of 60, which are the same."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= DAY_MINUTES:
        return value
    if not isinstance(value, str) or not _CLOCK.fullmatch(value):
        raise refusal("clock")
    hours, minutes = value.split(":")
    return int(hours) * _HOUR + int(minutes)


def _clock(minutes: int) -> str:
    return f"{minutes // _HOUR:02}:{minutes % _HOUR:02}"


def _zone(value: Any) -> ZoneInfo:
    if isinstance(value, ZoneInfo):
        return value
    try:
        return ZoneInfo(value)
    except (KeyError, ValueError, OSError, TypeError):
        raise refusal("zone") from None


Moment = Annotated[datetime, PlainValidator(_moment), WithJsonSchema({"type": "string", "format": "date-time"})]
"""RFC 3339."""
Clock = Annotated[
    int,
    PlainValidator(_minutes),
    PlainSerializer(_clock),
    WithJsonSchema({"type": "string", "pattern": f"^({_CLOCK.pattern})$"}),
]
"""``HH:MM``, as minutes since midnight."""
Zone = Annotated[ZoneInfo, PlainValidator(_zone), PlainSerializer(str), WithJsonSchema({"type": "string"})]
"""The name of a time zone."""


class WeeklyTable(Table):
    """The same hours on some days of each week, by the wall clock."""

    days: Annotated[tuple[Day, ...], Field(min_length=1)] = Field(
        description="the days on which it begins", examples=[["sunday"]]
    )
    begins: Clock = Field(alias="from", description="HH:MM", examples=["02:00"])
    ends: Clock = Field(
        alias="until", description="HH:MM, up to 24:00; before `from`: on the next day", examples=["04:00"]
    )
    timezone: Zone = Field(description="name of the time zone", examples=["Europe/Berlin"])

    @model_validator(mode="after")
    def _lasts(self) -> WeeklyTable:
        if self.begins == self.ends:
            raise refusal("empty_window", "until")
        return self


class WindowTable(Table):
    """One maintenance window."""

    name: Text = Field(description="what people call it", examples=["move of the database"])
    mode: Literal["skip", "mute"] = Field(
        default="skip", description="skip: probes are not run; mute: they are run, and nobody is to be alarmed"
    )
    targets: Annotated[tuple[Pattern, ...], Field(min_length=1)] = Field(
        default=("*",), description="shell patterns of targets"
    )
    probes: Annotated[tuple[Pattern, ...], Field(min_length=1)] = Field(
        default=("*",), description="shell patterns of probes"
    )
    begins: Moment | None = Field(
        default=None, alias="from", description="RFC 3339", examples=["2026-12-01T22:00:00+01:00"]
    )
    ends: Moment | None = Field(
        default=None, alias="until", description="RFC 3339", examples=["2026-12-02T02:00:00+01:00"]
    )
    weekly: WeeklyTable | None = Field(
        default=None, description="hours of the week; `from` and `until` then bound the weeks"
    )

    @model_validator(mode="after")
    def _is_bounded(self) -> WindowTable:
        if self.weekly is None and (self.begins is None or self.ends is None):
            raise refusal("unbounded_window")
        if self.begins is not None and self.ends is not None and self.begins >= self.ends:
            raise refusal("empty_window", "until")
        return self
