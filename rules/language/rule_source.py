"""The text of a rule file, and where in it something stands. A mistake in it is named with file, line, column and field."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError

from messages.language import Phrase, phrase
from messages.settings import ConfigError, text_of
from messages.spot import Spot, Where, letters, place, spots
from messages.wording import complaints, not_toml
from rules.language.rule_text import RuleFile

MOST_READ = 64
"""Sources that are remembered as they were read: whoever makes rules of a file needs its words and those of all others, and a start is to be short."""

_LINE_END = re.compile(r"\r\n?|\n")


class FileMistake(ConfigError):
    """One that has a place. `line` and `column` count from 1."""

    def __init__(self, source: "RuleSource", at: int, what: Phrase) -> None:
        self.path = source.path
        self.line, self.column = place(source.text, at)
        self.source_line = source.text.split("\n")[self.line - 1].removesuffix("\r")
        """All of it that stands there."""
        super().__init__(
            "{path}:{line}:{column}: {what}", path=self.path, line=self.line, column=self.column, what=what
        )


@dataclass(frozen=True)
class RuleSource:
    path: Path
    text: str

    @classmethod
    def of(cls, path: Path) -> Self:
        """Raises ConfigError."""
        return cls(path, text_of(path))

    @cached_property
    def _spots(self) -> Mapping[Where, Spot]:
        return spots(self.text)

    def mistake(
        self, where: Where, why: Phrase, sentence: str = "", line: int = 0, column: int = 0, *, of_key: bool = False
    ) -> FileMistake:
        """`line` and `column` count in the text that stands at `where` and reads `sentence`; without them the value as a whole is meant, or its name."""
        shown = ".".join(map(str, where))
        known = next((one for end in range(len(where), 0, -1) if (one := self._spots.get(where[:end]))), Spot(0))
        at = known.key if of_key or known.value is None or where not in self._spots else known.value
        if line and known.value is not None and (offsets := letters(self.text, known.value)):
            starts = [0, *(end.end() for end in _LINE_END.finditer(sentence))]
            index = starts[min(line, len(starts)) - 1] + column - 1
            at = offsets[min(index, len(offsets) - 1)]
        field = phrase("{field}", field=shown) if where else phrase("the file")
        return FileMistake(self, at, phrase("{field}: {what}", field=field, what=why))

    def read(self) -> tuple[RuleFile | None, list[ConfigError]]:
        """What can be read of it, and what is wrong with the rest."""
        content, mistakes = self._read()
        return content, [*mistakes]

    @lru_cache(maxsize=MOST_READ)  # noqa: B019 not more than these are kept
    def _read(self) -> tuple[RuleFile | None, Sequence[ConfigError]]:
        try:
            content = tomllib.loads(self.text)
        except (ValueError, RecursionError) as error:
            line, column, what = not_toml(error, self.text, column_said=False)
            begin = sum(len(one) + 1 for one in self.text.split("\n")[: line - 1])
            return None, [FileMistake(self, min(begin + column - 1, len(self.text)), what)]
        found, mistakes = self._fitting(content)
        if found is None and all(one[:1] == ("rules",) and len(one) > 1 for one, _ in mistakes):
            wrong = {one[1] for one, _ in mistakes}
            sound = {name: rule for name, rule in content["rules"].items() if name not in wrong}
            found = self._fitting({**content, "rules": sound})[0] if sound else None
        return found, [mistake for _, mistake in mistakes]

    def _fitting(self, content: Mapping[str, Any]) -> tuple[RuleFile | None, list[tuple[Where, ConfigError]]]:
        try:
            return RuleFile.model_validate(content), []
        except ValidationError as error:
            found = complaints(error, content, RuleFile)
            return None, [(one.where, self.mistake(one.where, one.what, of_key=one.of_key)) for one in found]
