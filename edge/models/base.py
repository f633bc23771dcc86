"""What every product file says, whatever its protocol."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field

from messages.announcement import SettingValue
from messages.ids import IDENTIFIER
from messages.kind import Kind
from messages.language import Phrase, phrase
from messages.settings import Settings
from messages.suggestion import suggest

ChannelName = Annotated[str, Field(pattern=IDENTIFIER)]

Mistake = tuple[tuple[str, ...], Phrase]
"""Where in the product file, and what is wrong there."""

ITS_OWN = phrase("`value` is its own: leave it out")
HAS_NONE = phrase("`value` is missing: the command has none")
"""Of how a command is carried out, where its kind says that a value goes with it, or none."""


class Product(Settings):
    """One product of a kind. A protocol's class adds `protocol`, `channels` and whatever else it needs."""

    reached_by: ClassVar[tuple[str, ...]]
    """The fields of a `[[devices]]` table that say where a device of it is; no other may stand there."""
    may_have: ClassVar[tuple[str, ...]] = ()
    """Further fields that may stand there."""
    line_is: ClassVar[tuple[str, ...]] = ("port", "host")
    """What a line that it is on can be: WAYS of edge/configuration/tables.py."""
    units: ClassVar[range] = range(1, 248)
    """The unit numbers that a line of its protocol has."""
    hashes: ClassVar[bool] = False
    """Whether what tells who somebody is leaves as a keyed hash: a channel that has to be hashed may stand in no other product."""
    way: ClassVar[Phrase]
    """The same in words: "is a unit on a line"."""

    name: str
    source: str
    """Where the map comes from: maker, document, revision."""
    kind: str
    settings: dict[ChannelName, SettingValue] = Field(default_factory=dict)
    """What the rules should know of every device of this product; a device's own settings come after."""
    channels: Mapping[ChannelName, Any]
    commands: Mapping[ChannelName, Any] = {}
    """How the commands of the kind are carried out; one that is missing can't be given to this product."""

    def located(self, folder: Path) -> Self:
        """With what lies beside the file in `folder`. Raises ConfigError."""
        return self

    def mistakes(self, kind: Kind) -> Iterator[Mistake]:
        """What this file says that its kind doesn't know, or can't be true of it."""
        for what, said, known in (
            ("channels", self.channels, kind.channels),
            ("commands", self.commands, kind.commands),
        ):
            for name in said:
                if name not in known:
                    yield (what, name), phrase("a {kind} has none{near}", kind=self.kind, near=suggest(name, known))
        for name in self.channels:
            if name in kind.channels and kind.channels[name].hashed and not self.hashes:
                yield (
                    ("channels", name),
                    phrase("may leave the edge as a keyed hash only, which is made of OSDP readers' events alone"),
                )
