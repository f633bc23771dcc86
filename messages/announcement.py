"""What an edge says of one of its devices: retained, so that whoever comes later knows it too."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from messages.complaint import complaint
from messages.ids import ONE_LINE, Identifier

OWN_MODEL = "gridcall"
"""The model of what is no sensor but a part of Gridcall itself: an edge, its lines, a reflex."""

SettingValue = float | bool | Annotated[str, Field(pattern=ONE_LINE)]
"""What the rules may be told of a device."""


class Place(BaseModel):
    """Where a device is: a site's grid, building and unit, and the words a person would use."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    grid: Identifier
    building: str = Field(default="", max_length=40, pattern=ONE_LINE)
    unit: str = Field(default="", max_length=40, pattern=ONE_LINE)
    text: str = Field(max_length=200, pattern=ONE_LINE)
    """As a neighbour would say it: "3号楼2单元101厨房"."""


class Announcement(BaseModel):
    """Kind, model, place and settings of one device. Settings are names that its rules may use, e.g. `depth`."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, allow_inf_nan=False)

    kind: Identifier
    model: str = Field(max_length=80, pattern=ONE_LINE)
    place: Place
    settings: dict[Identifier, SettingValue] = {}


class AnnouncementError(ValueError):
    """The bytes are not an announcement; the message says why."""


def encode(announcement: Announcement) -> bytes:
    return announcement.model_dump_json().encode()


def decode(payload: bytes) -> Announcement:
    """Raises AnnouncementError."""
    try:
        return Announcement.model_validate_json(payload)
    except ValidationError as error:
        raise AnnouncementError(complaint(error)) from error
