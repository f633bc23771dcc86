"""The rule files that an engine runs by: whether they have changed, what they say, and what is new in it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from messages.kind import Kinds
from messages.language import Phrase
from messages.settings import replacements
from rules.language.answering import with_answers
from rules.language.calendar import Calendar
from rules.language.library import COMMON, SHIPPED, load_rules, rule_files
from rules.language.rule import Rule, Rules

Look = tuple[tuple[str, int, int], ...]
"""Name, time and size of each file: another look means that something was written."""


@dataclass(frozen=True, slots=True)
class RuleFiles:
    """The shipped folder, and the user's."""

    folders: tuple[Path, ...]
    kinds: Kinds
    calendar: Calendar
    retention_s: float | None = None

    def own(self) -> Iterator[Path]:
        return (file for folder in self.folders for file in rule_files(folder))

    def replaced(self) -> list[Phrase]:
        """What the user's files take away, said for people."""
        return replaced(self.own())

    def look(self) -> Look:
        """A file that goes while it is looked at is looked at again soon."""
        found = []
        for file in (*rule_files(SHIPPED), *self.own()):
            try:
                status = file.stat()
            except OSError:
                continue
            found.append((str(file), status.st_mtime_ns, status.st_size))
        return tuple(found)

    def read(self) -> dict[str, tuple[Rule, ...]]:
        """Raises ConfigError."""
        return self.answering(load_rules(self.kinds, *self.folders, calendar=self.calendar))

    def remarks(self, year: int) -> list[str]:
        """On the user's rules, where they can be read and can't be meant so."""
        from rules.checking.report import examine  # an engine that starts asks for no remarks yet

        own = {str(file) for file in self.own()}
        report = examine(self.own(), self.kinds, calendar=self.calendar, retention_s=self.retention_s, year=year)
        return [str(remark.mistake) for remark in report.remarks if remark.file in own]

    def answering(self, rules: Rules) -> dict[str, tuple[Rule, ...]]:
        return with_answers(rules, self.kinds)


def replaced(own: Iterable[Path]) -> list[Phrase]:
    files = list(own)
    common = [file for file in files if file.parent.name == COMMON]
    of_kinds = [file for file in files if file not in common]
    return [*replacements(SHIPPED, of_kinds, "rules"), *replacements(SHIPPED / COMMON, common, "rules")]


@dataclass(frozen=True, slots=True)
class News:
    """What new rules are to the old, as kind.rule."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    reworded: tuple[str, ...]
    """They judge as before, and say it otherwise."""

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed or self.reworded)

    def words(self) -> str:
        parts = (
            ("added", self.added),
            ("removed", self.removed),
            ("changed", self.changed),
            ("reworded", self.reworded),
        )
        return "; ".join(f"{word} {', '.join(names)}" for word, names in parts if names)


def news(old: Rules, new: Rules) -> News:
    before, after = _by_name(old), _by_name(new)
    both = [name for name in after if name in before]
    changed = tuple(name for name in both if before[name].version != after[name].version)
    return News(
        added=tuple(name for name in after if name not in before),
        removed=tuple(name for name in before if name not in after),
        changed=changed,
        reworded=tuple(name for name in both if name not in changed and _told(before[name]) != _told(after[name])),
    )


def _by_name(rules: Rules) -> Mapping[str, Rule]:
    return {f"{rule.kind}.{rule.id}": rule for some in rules.values() for rule in some if rule.answers is None}


def _told(rule: Rule) -> object:
    return rule.title, rule.advice, rule.settings
