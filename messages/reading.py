"""One value of one channel at one time."""

from enum import StrEnum
from typing import NamedTuple

from messages.ids import DeviceId

Value = float | bool | str

LATEST_MS = 253_402_300_799_999
"""9999-12-31: past it no store can follow, and it is no time that anybody means."""


class Quality(StrEnum):
    """How far a reading may be trusted."""

    GOOD = "good"
    UNCERTAIN = "uncertain"
    """Measured, but the clock or the sensor was doubtful."""
    BAD = "bad"
    """The device answered with a "not available" code or a value outside what it can measure."""


class Reading(NamedTuple):
    """One value of one channel. `at_ms`: UTC milliseconds since 1970, when the device measured it.

    By name, always: `Reading(device=…, channel=…, …)`. A tuple, since there are a hundred thousand of them a second.
    """

    device: DeviceId
    channel: str
    at_ms: int
    value: Value
    unit: str | None = None
    """Unit of the SenML registry or of the kind's file; None for a boolean or a text."""
    quality: Quality = Quality.GOOD
