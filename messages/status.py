"""How an edge is: retained, and the broker says "offline" in its name when it is gone (last will)."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from messages.complaint import complaint
from messages.ids import IDENTIFIER, StreamId
from messages.reading import LATEST_MS

Reason = Annotated[str, StringConstraints(max_length=60)]
Count = Annotated[int, Field(ge=0, le=2**53)]


class OutboxFigures(BaseModel):
    """The ledger of one outbox, in readings: produced = receipted + pending + dropped."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    produced: Count
    receipted: Count
    pending: Count
    dropped: Count
    bytes: Count
    dropped_for: dict[Reason, Count] = {}
    """What was dropped, by reason."""
    rejected_for: dict[Reason, Count] = {}
    """What the collector keeps in quarantine, by reason; receipted all the same."""


FileName = Annotated[str, StringConstraints(max_length=255)]


class EdgeStatus(BaseModel):
    """Online or offline. The last will holds nothing but `online = false`: a broker can't know more."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    online: bool
    at_ms: int | None = Field(default=None, ge=0, le=LATEST_MS)
    software: str | None = None
    stream: Annotated[StreamId, StringConstraints(pattern=IDENTIFIER)] | None = None
    packs: int | None = Field(default=None, ge=0)
    """The highest pack number of the stream so far: whoever knows fewer has missed some."""
    outbox: OutboxFigures | None = None
    clock_trusted: bool | None = None
    """False while the edge guesses the time: a Pi without a battery clock that no time server has answered yet."""
    set_aside: list[FileName] | None = Field(default=None, max_length=16)
    """Outbox files on the edge that are damaged: what they hold is lost to the ledger until somebody looks into them."""


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
