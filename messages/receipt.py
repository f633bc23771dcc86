"""The collector's word that packs are durably stored or quarantined. An edge forgets a pack only on this."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from messages.ids import StreamId

PackNumber = Annotated[int, Field(ge=1)]


class Rejected(BaseModel):
    """A range of packs that are kept in quarantine, not in the store."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    first: PackNumber
    last: PackNumber
    reason: str


class Receipt(BaseModel):
    """The fate of some packs of one stream. Ranges hold first and last, both included."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    stream: StreamId
    stored: list[tuple[PackNumber, PackNumber]] = []
    rejected: list[Rejected] = []


class ReceiptError(ValueError):
    """The bytes are not a receipt."""


def encode(receipt: Receipt) -> bytes:
    return receipt.model_dump_json().encode()


def decode(payload: bytes) -> Receipt:
    """Raises ReceiptError."""
    try:
        return Receipt.model_validate_json(payload)
    except ValidationError as error:
        raise ReceiptError(f"not a receipt: {error.errors(include_url=False)[0]['msg']}") from error
