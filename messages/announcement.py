"""What an edge says of one of its devices: retained, so that whoever comes later knows it too."""

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from messages.ids import Identifier
from messages.reading import Value


class Place(BaseModel):
    """Where a device is: a site's grid, building and unit, and the words a person would use."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    grid: Identifier
    building: str = Field(default="", max_length=40)
    unit: str = Field(default="", max_length=40)
    text: str = Field(max_length=200)
    """As a neighbour would say it: "3号楼2单元101厨房"."""


class Announcement(BaseModel):
    """Kind, model, place and settings of one device. Settings are names that its rules may use, e.g. `depth`."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, allow_inf_nan=False)

    kind: Identifier
    model: str = Field(max_length=80)
    place: Place
    settings: dict[Identifier, Value] = {}


class AnnouncementError(ValueError):
    """The bytes are not an announcement; the message says why."""


def encode(announcement: Announcement) -> bytes:
    return announcement.model_dump_json().encode()


def decode(payload: bytes) -> Announcement:
    """Raises AnnouncementError."""
    try:
        return Announcement.model_validate_json(payload)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise AnnouncementError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
