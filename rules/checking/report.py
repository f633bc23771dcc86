"""All rule files at once: what can be read, what can't, and what can't be meant so. Every remark points into its file."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from messages.kind import Kinds
from messages.language import Language, phrase
from messages.settings import ConfigError
from messages.suggestion import suggest
from rules.checking.faults import Fault, faults
from rules.language.calendar import Calendar
from rules.language.library import (
    COMMON,
    SHIPPED,
    in_order,
    read_common,
    read_file,
    rule_files,
    shared_names,
    vocabulary,
)
from rules.language.neighbours import WHEREABOUTS
from rules.language.rule import Rule
from rules.language.rule_source import FileMistake, RuleSource

WIDEST = 120
"""Characters of a line that are shown."""
_NAME = re.compile(r"[a-z_][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Remark:
    """On what can be read, and can't be meant so."""

    file: str
    grade: Literal["error", "warning"]
    mistake: FileMistake


@dataclass(frozen=True, slots=True)
class Report:
    rules: Mapping[Path, list[Rule]]
    common: Mapping[Path, Mapping[str, list[Rule]]]
    """Of the files about a channel, by kind."""
    mistakes: list[ConfigError]
    """What can't be read. As the remarks: file by file, and there as they stand in it."""
    remarks: list[Remark]


def examine(own: Iterable[Path], kinds: Kinds, *, calendar: Calendar, retention_s: float | None, year: int) -> Report:
    """The shipped rules and `own`, a file of which replaces the shipped one of its name."""
    theirs = [*own]
    every = (*rule_files(SHIPPED), *theirs)
    files = {file.stem: file for file in every if file.parent.name != COMMON}
    about = {file.stem: file for file in every if file.parent.name == COMMON}
    known = vocabulary(kinds, [file for file in files.values() if _can_be_read(file)])
    rules: dict[Path, list[Rule]] = {}
    common: dict[Path, dict[str, list[Rule]]] = {}
    wrong: dict[Path, list[ConfigError]] = {}
    for file in files.values():
        rules[file], wrong[file] = read_file(file, kinds, known, calendar=calendar)
    for file in about.values():
        common[file], wrong[file] = read_common(file, kinds, calendar=calendar)
    for mistake in shared_names(common, {file.stem: rules[file] for file in rules}):
        wrong[mistake.path].append(mistake)
    of_kinds = {(file, file.stem): some for file, some in rules.items()}
    of_kinds |= {(file, kind): some for file, of in common.items() for kind, some in of.items()}
    in_all = _InAll([rule for some in of_kinds.values() for rule in some], kinds)
    found: dict[Path, dict[tuple[str, str], Remark]] = {file: {} for file in wrong}
    for (file, _), some in of_kinds.items():
        these = [*faults(some, retention_s=retention_s, calendar=calendar, year=year)]
        if (
            file in theirs or not theirs
        ):  # what a user's file takes from a shipped one is a note, and no fault of that one
            these += in_all.lost(some)
            these += in_all.idle(some) if not wrong[file] else ()  # what can't be read may speak of it
        for remark in _remarks(file, these):
            found[file].setdefault((remark.grade, str(remark.mistake)), remark)
    return Report(
        rules,
        common,
        [one for some in wrong.values() for one in dict.fromkeys(in_order(some))],
        [
            one
            for some in found.values()
            for one in sorted(some.values(), key=lambda one: (one.mistake.line, one.mistake.column))
        ],
    )


def _can_be_read(file: Path) -> bool:
    try:
        return RuleSource.of(file).read()[0] is not None
    except ConfigError:
        return False


def _remarks(file: Path, found: Iterable[Fault]) -> Iterator[Remark]:
    source = None
    for fault in found:
        source = source or RuleSource.of(file)
        where = ("rules", fault.rule.id, *fault.field) if fault.field[0] != "settings" else fault.field
        line = 1 if fault.sentence else 0
        yield Remark(
            str(file),
            fault.grade,
            source.mistake(where, fault.why, fault.sentence, line, fault.column, of_key=not line),
        )


class _InAll:
    """What can be said of a rule only by who knows all of them."""

    def __init__(self, rules: list[Rule], kinds: Kinds) -> None:
        self._names: dict[str, set[str]] = {kind: set() for kind in kinds}
        self._used: dict[str, set[str]] = {}
        for rule in rules:
            self._names[rule.kind].add(rule.id)
            self._used.setdefault(rule.kind, set()).update(_used(rule))
            for question in rule.questions:
                for kind in question.kinds:
                    self._used.setdefault(kind, set()).update(_NAME.findall(question.condition))

    def lost(self, rules: Iterable[Rule]) -> Iterator[Fault]:
        """Alarms that a rule gathers and that nothing raises."""
        for rule in rules:
            for index, name in enumerate(rule.gathers):
                kind, _, other = name.partition(".")
                if (names := self._names.get(kind)) is None:
                    why = phrase("no kind `{kind}`{near}", kind=kind, near=suggest(kind, self._names))
                elif other != "*" and other not in names:
                    why = phrase("{kind} has no rule `{rule}`{near}", kind=kind, rule=other, near=suggest(other, names))
                else:
                    continue
                yield Fault("warning", rule, ("gathers", index), name, why)

    def idle(self, rules: list[Rule]) -> Iterator[Fault]:
        """Settings of which no rule speaks."""
        for rule in rules[:1]:
            own = [name for name in rule.settings if name not in WHEREABOUTS]
            for name in own if rule.about is None else ():
                if name not in self._used.get(rule.kind, ()):
                    yield Fault("warning", rule, ("settings", name), "", phrase("no rule speaks of this setting"))


def _used(rule: Rule) -> Iterator[str]:
    for sentence in (rule.raise_when, rule.clear_when, *(when for _, when in rule.graver_when)):
        yield from sentence.settings
    yield from (delay for delay in rule.delays if isinstance(delay, str))
    for text in (rule.title, rule.advice):
        if text:
            yield from _NAME.findall(f"{text.zh} {text.en}")


def with_line(mistake: ConfigError, language: Language) -> str:
    """What is said, with the line of the file beneath it and a mark at the place."""
    said = mistake.said(language)
    if not isinstance(mistake, FileMistake):
        return said
    line = mistake.source_line.replace("\t", " ")
    shown = "".join(one if one.isprintable() else "�" for one in line)
    begin = max(0, mistake.column - WIDEST // 2) if len(shown) > WIDEST else 0
    before = f"{'…' if begin else ''}{shown[begin : mistake.column - 1]}"
    after = shown[mistake.column - 1 : begin + WIDEST]
    mark = " " * sum(map(_width, before))
    return f"{said}\n    {before}{after}{'…' if len(shown) > begin + WIDEST else ''}\n    {mark}^"


def _width(one: str) -> int:
    """Columns of a terminal."""
    if unicodedata.combining(one):
        return 0
    return 2 if unicodedata.east_asian_width(one) in "WF" else 1
