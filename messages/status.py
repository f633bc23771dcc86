"""How an edge is: retained, and the broker says "offline" in its name when it is gone (last will)."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from messages.complaint import complaint
from messages.ids import IDENTIFIER, StreamId


class OutboxFigures(BaseModel):
    """The ledger of one outbox, in readings: produced = receipted + pending + dropped."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    produced: int = Field(ge=0)
    receipted: int = Field(ge=0)
    pending: int = Field(ge=0)
    dropped: int = Field(ge=0)
    bytes: int = Field(ge=0)


class EdgeStatus(BaseModel):
    """Online or offline. The last will holds nothing but `online = false`: a broker can't know more."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    online: bool
    at_ms: int | None = None
    software: str | None = None
    stream: Annotated[StreamId, StringConstraints(pattern=IDENTIFIER)] | None = None
    packs: int | None = Field(default=None, ge=0)
    """The highest pack number of the stream so far: whoever knows fewer has missed some."""
    outbox: OutboxFigures | None = None


class StatusError(ValueError):
    """The bytes are not a status."""


def encode(status: EdgeStatus) -> bytes:
    return status.model_dump_json(exclude_none=True).encode()


def decode(payload: bytes) -> EdgeStatus:
    """Raises StatusError."""
    try:
        return EdgeStatus.model_validate_json(payload, strict=True)
    except ValidationError as error:
        raise StatusError(f"not a status: {complaint(error)}") from error
