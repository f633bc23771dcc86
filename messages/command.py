"""What a device is told, and what became of it: a command goes down with an id, an actor and an expiry, results come up.

A broker may deliver a command twice, and a Pi may hear it late: the edge carries out each id once, and none after
its expiry. Whoever gave it learns so from the results: at most one `accepted`, then one word that is final.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from messages.complaint import complaint
from messages.ids import IDENTIFIER, ONE_LINE, Identifier
from messages.reading import LATEST_MS, Value

LIMIT_BYTES = 4096

Moment = Annotated[int, Field(ge=0, le=LATEST_MS)]


class Command(BaseModel):
    """One command. Its device stands in the topic."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, allow_inf_nan=False)

    id: Annotated[str, StringConstraints(pattern=IDENTIFIER)]
    """New for every command; the same for its repetitions."""
    actor: str = Field(min_length=1, max_length=80, pattern=ONE_LINE)
    """Who gave it: an account of the console, a rule."""
    command: Identifier
    """One of the kind's commands."""
    value: Value | None = None
    issued_at_ms: Moment
    expires_at_ms: Moment


class Outcome(StrEnum):
    """What became of a command."""

    ACCEPTED = "accepted"
    """It is on its way to the device; another word follows."""
    DONE = "done"
    """The device has confirmed it."""
    FAILED = "failed"
    """It was tried; the detail says what is known."""
    REFUSED = "refused"
    """It was not tried, and will not be."""

    @property
    def final(self) -> bool:
        return self is not Outcome.ACCEPTED


class Result(BaseModel):
    """One word on one command."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: Annotated[str, StringConstraints(pattern=IDENTIFIER)]
    outcome: Outcome
    at_ms: Moment
    detail: str = Field(default="", max_length=300)


class CommandError(ValueError):
    """The bytes are not a command, or not a result; the message says why."""


def encode(command: Command) -> bytes:
    return command.model_dump_json(exclude_none=True).encode()


def decode(payload: bytes) -> Command:
    """Raises CommandError."""
    if len(payload) > LIMIT_BYTES:
        raise CommandError(f"{len(payload)} bytes, more than {LIMIT_BYTES}")
    try:
        return Command.model_validate_json(payload)
    except ValidationError as error:
        raise CommandError(complaint(error)) from error


def encode_result(result: Result) -> bytes:
    return result.model_dump_json().encode()


def decode_result(payload: bytes) -> Result:
    """Raises CommandError."""
    if len(payload) > LIMIT_BYTES:
        raise CommandError(f"{len(payload)} bytes, more than {LIMIT_BYTES}")
    try:
        return Result.model_validate_json(payload)
    except ValidationError as error:
        raise CommandError(complaint(error)) from error
