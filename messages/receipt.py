"""The collector's word that packs are durably stored or quarantined. An edge forgets a pack only on this."""

from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from messages.complaint import complaint
from messages.ids import IDENTIFIER, StreamId
from messages.pack import NUMBER_LIMIT
from messages.ranges import Range


def _ascending(part: Range) -> Range:
    if part[0] > part[1]:
        raise ValueError(f"the first of a range, {part[0]}, comes after its last, {part[1]}")
    return part


PackNumber = Annotated[int, Field(ge=1, le=NUMBER_LIMIT)]
PackRange = Annotated[tuple[PackNumber, PackNumber], AfterValidator(_ascending)]


class Rejected(BaseModel):
    """A range of packs that are kept in quarantine, not in the store."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    first: PackNumber
    last: PackNumber
    reason: str

    @model_validator(mode="after")
    def _whole(self) -> Self:
        _ascending((self.first, self.last))
        return self


class Receipt(BaseModel):
    """The fate of some packs of one stream. Ranges hold first and last, both included."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    stream: Annotated[StreamId, StringConstraints(pattern=IDENTIFIER)]
    stored: list[PackRange] = []
    rejected: list[Rejected] = []


class ReceiptError(ValueError):
    """The bytes are not a receipt."""


def encode(receipt: Receipt) -> bytes:
    return receipt.model_dump_json().encode()


def decode(payload: bytes) -> Receipt:
    """Raises ReceiptError."""
    try:
        return Receipt.model_validate_json(payload, strict=True)
    except ValidationError as error:
        raise ReceiptError(f"not a receipt: {complaint(error)}") from error
