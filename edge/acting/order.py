"""Whether a command may be carried out, and what to say of one that came before. Pure.

Each id is carried out once. The book (book.py) remembers it before the device is told: a command that was under way
when the power went is not tried again, since nobody knows how far it came.
"""

from edge.models.base import Product
from messages.command import Command
from messages.kind import Command as Wanted
from messages.kind import Kind
from messages.language import Phrase, phrase
from messages.reading import Value
from messages.suggestion import suggest

LONGEST_MS = 24 * 3600 * 1000
"""A command that expires later than this is a mistake, and a book that kept such ids would grow."""
AHEAD_MS = 60_000
"""How far the clock of whoever gives a command may be ahead of ours."""


def refusal(command: Command, kind: Kind, model: Product, now_ms: int) -> str | None:
    """Why `command` must not be tried at `now_ms`; None if it may."""
    if now_ms >= command.expires_at_ms:
        return f"expired {(now_ms - command.expires_at_ms) / 1000:.0f} s ago"
    if command.expires_at_ms - now_ms > LONGEST_MS:
        return "expires more than a day from now"
    if command.issued_at_ms - now_ms > AHEAD_MS:
        return f"given {(command.issued_at_ms - now_ms) / 1000:.0f} s in the future; one of the clocks is wrong"
    why = unfit(command.command, command.value, kind, model)
    return str(why) if why else None


def unfit(command: str, value: Value | None, kind: Kind, model: Product) -> Phrase | None:
    """Why a device of this kind and model can't be told this; None if it can."""
    if (wanted := kind.commands.get(command)) is None:
        near = suggest(command, kind.commands)
        return phrase("a {kind} can't be told to {command}{near}", kind=model.kind, command=command, near=near)
    if command not in model.commands:
        near = suggest(command, model.commands)
        return phrase("this model can't be told to {command}{near}", command=command, near=near)
    return _unfit_value(value, wanted)


def _unfit_value(value: Value | None, wanted: Wanted) -> Phrase | None:
    if wanted.type == "none":
        return None if value is None else phrase("it takes no value")
    if wanted.type == "boolean":
        return None if isinstance(value, bool) else phrase("it takes true or false")
    if isinstance(value, bool | str) or value is None:
        return phrase("it takes a number")
    if wanted.range and not wanted.range[0] <= value <= wanted.range[1]:
        low, high = wanted.range
        return phrase("{value:g} is not in {low:g} to {high:g}", value=value, low=low, high=high)
    return None
