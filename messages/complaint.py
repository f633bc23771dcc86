"""What is wrong with a message from the wire, in one line of bounded length: it may quote a hostile sender."""

from pydantic import ValidationError

LIMIT = 200
"""Characters of a complaint."""


def complaint(error: ValidationError) -> str:
    """The first thing that pydantic found, with the field where it is."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return shortened(f"{where}: {first['msg']}" if where else first["msg"])


def shortened(text: str) -> str:
    return text if len(text) <= LIMIT else f"{text[: LIMIT - 1]}…"
