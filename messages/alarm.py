"""An alarm as any other system may read it: retained on its topic while it is open, empty when it is over."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from messages.announcement import Place
from messages.ids import DeviceId, SiteId
from messages.reading import Value
from messages.settings import Text

Level = Literal["red", "orange", "yellow", "blue"]
"""处置等级 红 橙 黄 蓝: ours, not the statutory public warning of the same colours."""


class PublishedAlarm(BaseModel):
    """State names are those of ISA-18.2 as field practice writes them: `unack`, `acked`, `latch_unack` …"""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    site: SiteId
    device: DeviceId
    kind: str
    rule: str
    level: Level
    state: str
    raised_at_ms: int
    changed_at_ms: int
    title: Text
    place: Place
    values: dict[str, Value] = Field(default_factory=dict)
    """The channels' values that raised it."""
    occurrences: int = 1
    """How often it has begun since it was opened."""
    shelved_until_ms: int | None = None
    """A person keeps it from calling people until then."""
    out_of_service_until_ms: int | None = None
    """Its device is being worked on until then."""
    suppressed_by: list[str] = Field(default_factory=list)
    """What keeps it quiet by design: "permit …", "edge …", or an alarm that it belongs to, "storm …"."""
    uncertain: list[str] = Field(default_factory=list)
    """Why it can't be known whether it still holds: "edge" or "silent" (nothing is heard of its device), "clock"."""
    chattering: bool = False
    """It comes and goes faster than people can look."""
    case: str | None = None
    case_state: str | None = None


def encode(alarm: PublishedAlarm) -> bytes:
    return alarm.model_dump_json(exclude_none=True).encode()
