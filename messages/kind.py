"""What a kind of device can say: its channels with unit, range, meaning and expected interval.

One TOML file per kind under `messages/kinds/`, the file's stem being the kind's name; a user's own folder
may add kinds or replace them. The folder is the registry.
"""

import math
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from messages.ids import IDENTIFIER, is_identifier
from messages.language import Unfit
from messages.reading import Value
from messages.settings import ConfigError, Seconds, Settings, Text, read
from messages.suggestion import suggest

SHIPPED = Path(str(files("messages"))) / "kinds"


def _ordered(span: list[float]) -> list[float]:
    if span[0] > span[1]:
        raise Unfit("the lowest, {low:g}, comes after the highest, {high:g}", low=span[0], high=span[1])
    return span


Span = Annotated[list[float], Field(min_length=2, max_length=2, strict=False), AfterValidator(_ordered)]
"""A lowest and a highest value."""


class Channel(Settings):
    """One quantity of a kind."""

    name: Text
    meaning: str
    type: Literal["number", "boolean", "text"]
    unit: str | None = None
    """SenML registry unit, or the field's own where the registry has none; None for boolean and text."""
    range: Span | None = None
    """Lowest and highest value that can be true, in `unit`; outside it a reading is refused."""
    alarm_class: bool = False
    """A change of it is on disk at once and travels first."""
    event: bool = False
    """Each reading is something that happened, such as a card that was read: none is the repetition of another."""
    hashed: bool = False
    """It tells who somebody is: what leaves the edge is a keyed hash of it, never itself. For a text."""
    interval_s: Seconds = Field(alias="interval", gt=0)
    """Seconds between two readings of a quiet channel."""
    deadband: float = Field(default=0.0, ge=0)
    """A periodic number is sent before its interval is over only when it moved by more than this, in `unit`; an alarm-class
    one at every change. For both it is what counts as a difference to people: digits shown, the least deviation."""
    when_true: Text | None = None
    when_false: Text | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.type != "number" and (self.range or self.unit):
            raise Unfit("only a number has a {what}", what="range" if self.range else "unit")
        if (self.when_true or self.when_false) and self.type != "boolean":
            raise Unfit("only a boolean has when_true and when_false")
        if self.hashed and self.type != "text":
            raise Unfit("only a text can be hashed")
        return self


class Command(Settings):
    """One thing that a kind may be told to do."""

    name: Text
    meaning: str
    type: Literal["none", "boolean", "number"] = "none"
    """What value goes with it."""
    unit: str | None = None
    range: Span | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.type != "number" and (self.range or self.unit):
            raise Unfit("only a number has a {what}", what="range" if self.range else "unit")
        return self


class Kind(Settings):
    """What it is, e.g. `manhole_cover`, what it can say, and what it may be told."""

    name: Text
    guards_lives: bool = False
    """Lives hang on it: its silence is graver than another's."""
    personal: bool = False
    """What it measures tells how somebody lives: its readings are shown to few, and each look is noted."""
    channels: dict[Annotated[str, Field(pattern=IDENTIFIER)], Channel] = Field(min_length=1)
    commands: dict[Annotated[str, Field(pattern=IDENTIFIER)], Command] = Field(default_factory=dict)


Kinds = Mapping[str, Kind]


def load_kinds(*folders: Path) -> dict[str, Kind]:
    """All kinds in the shipped folder and then in `folders`; a later file of the same name replaces an earlier.

    Raises ConfigError that names file, line and field.
    """
    kinds = {}
    for folder in (SHIPPED, *folders):
        if not folder.is_dir():
            raise ConfigError("{folder}: no such folder of {field}", folder=folder, field="kinds")
        for path in sorted(folder.glob("*.toml")):
            if not is_identifier(path.stem):
                raise ConfigError(
                    "{path}: a kind is named by its file: lower-case letters, digits, hyphen and underscore, 63 at most",
                    path=path,
                )
            kinds[path.stem] = read(path, Kind)
    return kinds


def kind_named(name: str, kinds: Kinds) -> Kind:
    """The kind `name`. Raises ValueError with a suggestion."""
    if (kind := kinds.get(name)) is None:
        raise Unfit("no kind `{kind}`{near}", kind=name, near=suggest(name, kinds))
    return kind


def mismatch(channel: Channel, value: Value, unit: str | None) -> str | None:
    """Why `value` in `unit` can't be a reading of `channel`: "type", "unit" or "range"; None if it can."""
    if channel.type == "boolean":
        return None if isinstance(value, bool) else "type"
    if channel.type == "text":
        return None if isinstance(value, str) else "type"
    if isinstance(value, bool | str):
        return "type"
    if unit is not None and unit != channel.unit:
        return "unit"
    if not math.isfinite(value) or (channel.range and not channel.range[0] <= value <= channel.range[1]):
        return "range"
    return None
