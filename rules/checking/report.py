"""All rule files at once: what can be read, what can't, and what can't be meant so. Every remark points into its file."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from messages.kind import Kinds
from messages.settings import ConfigError
from rules.checking.faults import Fault, faults
from rules.language.calendar import Calendar
from rules.language.library import (
    COMMON,
    SHIPPED,
    mistake_at,
    read_common,
    read_file,
    rule_files,
    shared_names,
    vocabulary,
)
from rules.language.rule import Rule

_PLACE = re.compile(r"(.+?):(\d+):(\d+): ", re.DOTALL)
WIDEST = 120
"""Characters of a line that are shown."""


@dataclass(frozen=True, slots=True)
class Remark:
    file: str
    grade: Literal["error", "warning"]
    line: str
    """What is wrong and where."""

    @property
    def words(self) -> str:
        """With the line of the file beneath it."""
        return _with_line(self.line)


@dataclass(frozen=True, slots=True)
class Report:
    rules: Mapping[Path, list[Rule]]
    common: Mapping[Path, Mapping[str, list[Rule]]]
    """Of the files about a channel, by kind."""
    mistakes: list[str]
    """What can't be read."""
    remarks: list[Remark]


def examine(own: Iterable[Path], kinds: Kinds, *, calendar: Calendar, retention_s: float | None, year: int) -> Report:
    """The shipped rules and `own`, a file of which replaces the shipped one of its name."""
    every = (*rule_files(SHIPPED), *own)
    files = {file.stem: file for file in every if file.parent.name != COMMON}
    about = {file.stem: file for file in every if file.parent.name == COMMON}
    try:
        known = vocabulary(kinds, files.values())
    except ConfigError:
        known = None  # the file that can't be read is named below
    rules: dict[Path, list[Rule]] = {}
    common: dict[Path, dict[str, list[Rule]]] = {}
    mistakes: list[str] = []
    remarks: list[Remark] = []
    for file in files.values():
        found, wrong = read_file(file, kinds, known, calendar=calendar)
        rules[file] = found
        mistakes += [_with_line(str(one)) for one in wrong]
        remarks += _remarks(file, faults(found, retention_s=retention_s, calendar=calendar, year=year))
    for file in about.values():
        common[file], wrong = read_common(file, kinds, calendar=calendar)
        mistakes += dict.fromkeys(_with_line(str(one)) for one in wrong)
        for found in common[file].values():
            remarks += _remarks(file, faults(found, retention_s=retention_s, calendar=calendar, year=year))
    mistakes += [_with_line(str(one)) for one in shared_names(common, {file.stem: rules[file] for file in rules})]
    return Report(rules, common, mistakes, list(dict.fromkeys(remarks)))


def _remarks(file: Path, found: Iterable[Fault]) -> Iterator[Remark]:
    for fault in found:
        where = ("rules", fault.rule.id, *fault.field)
        line = str(mistake_at(file, where, fault.why, fault.sentence, 1, 1))
        yield Remark(str(file), fault.grade, line)


def _with_line(words: str) -> str:
    """With the line of the file beneath it, and a mark at the place."""
    if (found := _PLACE.match(words)) is None:
        return words
    line, column = int(found[2]), int(found[3])
    text = Path(found[1]).read_text(encoding="utf-8-sig").splitlines()[line - 1]
    if not text.isascii() or len(text) > WIDEST:  # a mark would stand in the wrong place, or in the next line
        return words
    return f"{words}\n    {text}\n    {' ' * (column - 1)}^"
