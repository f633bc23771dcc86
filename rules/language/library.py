"""The files of rules: those that are shipped, and folders of the user's.

One TOML file per kind in `rules/library/` or in a folder of the user's; the file's stem is the kind's name, and a
user's file replaces the shipped one. A file in `common/` is about a channel instead, and its rules are those of every kind that has
one of its name, unless the kind's own file has a rule of the same name (docs/decisions/0029-rules-for-a-channel.md). Every mistake ends
as ConfigError with file, line and field.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from messages.kind import Kind, Kinds
from messages.language import phrase
from messages.settings import ConfigError
from messages.suggestion import suggest
from rules.language.calendar import CHINA, Calendar
from rules.language.making import Mistaken, made
from rules.language.rule import Rule
from rules.language.rule_source import FileMistake, RuleSource
from rules.language.rule_text import RuleFile, settings_of
from rules.language.sentence import Setting, Vocabulary

SHIPPED = Path(str(files("rules"))) / "library"
COMMON = "common"
"""The folder of files about a channel, whichever kind has it."""


def load_rules(kinds: Kinds, *folders: Path, calendar: Calendar = CHINA) -> dict[str, tuple[Rule, ...]]:
    """All rules in the shipped folder and then in `folders`. Raises ConfigError."""
    paths: dict[str, Path] = {}
    common: dict[str, Path] = {}
    for folder in (SHIPPED, *folders):
        if not folder.is_dir():
            raise ConfigError("{folder}: no such folder of {field}", folder=folder, field="rules")
        paths |= {path.stem: path for path in sorted(folder.glob("*.toml"))}
        common |= {path.stem: path for path in sorted((folder / COMMON).glob("*.toml"))}
    known = vocabulary(kinds, paths.values())
    rules = {name: load_file(path, kinds, known, calendar=calendar) for name, path in paths.items()}
    about = {path: load_common(path, kinds, calendar=calendar) for path in common.values()}
    if mistakes := shared_names(about, rules):
        raise mistakes[0]
    for some in about.values():
        for name, more in some.items():
            rules[name] = beside(rules.get(name, ()), more)
    return rules


def shared_names(
    about: Mapping[Path, Mapping[str, Iterable[Rule]]], own: Mapping[str, Iterable[Rule]]
) -> list[FileMistake]:
    """Rules of two files about channels by which one kind would have two of a name: only one of them could judge, so neither does. A kind's `own`
    rule of the name takes the place of both."""
    mistakes = []
    first = {
        (kind, rule.id): path
        for path, some in reversed(list(about.items()))
        for kind, rules in some.items()
        for rule in rules
    }
    for path, some in about.items():
        for kind, rules in some.items():
            names = {rule.id for rule in own.get(kind, ())}
            for rule in rules:
                if rule.id not in names and (other := first[kind, rule.id]) != path:
                    why = phrase(
                        "{kind} has a rule of this name by {other} too; give one of them another one",
                        kind=kind,
                        other=other,
                    )
                    mistakes.append(RuleSource.of(path).mistake(("rules", rule.id), why))
    return mistakes


def beside(own: tuple[Rule, ...], common: Iterable[Rule]) -> tuple[Rule, ...]:
    """A kind's own rules, and those about its channels; where both have a name, the own one holds."""
    names = {rule.id for rule in own}
    return (*own, *(rule for rule in common if rule.id not in names))


def rule_files(folder: Path) -> list[Path]:
    """Those in a folder of rules: about a kind, and then about a channel."""
    return [*sorted(folder.glob("*.toml")), *sorted((folder / COMMON).glob("*.toml"))]


def vocabulary(kinds: Kinds, paths: Iterable[Path]) -> dict[str, Vocabulary]:
    """What sentences about each kind may speak of, by the rule files in `paths`. Raises ConfigError.

    The settings of a shipped file that one of the user's replaces are known all the same: shipped rules about the
    neighbourhood speak of them.
    """
    settings: dict[str, dict[str, Setting]] = {}
    for path in (*SHIPPED.glob("*.toml"), *paths):
        content, mistakes = RuleSource.of(path).read()
        if content is None:
            raise mistakes[0]
        settings.setdefault(path.stem, {}).update(settings_of(content))
    return {name: Vocabulary(kind.channels, settings.get(name, {})) for name, kind in kinds.items()}


def load_file(
    path: Path, kinds: Kinds, known: Mapping[str, Vocabulary] | None = None, *, calendar: Calendar = CHINA
) -> tuple[Rule, ...]:
    """The rules of one file, whose stem names the kind. `known`: the words of the other kinds, if not as shipped.

    Raises ConfigError for the first mistake.
    """
    rules, mistakes = read_file(path, kinds, known, calendar=calendar)
    if mistakes:
        raise mistakes[0]
    return tuple(rules)


def load_common(path: Path, kinds: Kinds, *, calendar: Calendar = CHINA) -> dict[str, tuple[Rule, ...]]:
    """The rules of a file about a channel, for each kind that has it. Raises ConfigError for the first mistake."""
    rules, mistakes = read_common(path, kinds, calendar=calendar)
    if mistakes:
        raise mistakes[0]
    return {name: tuple(some) for name, some in rules.items()}


def read_common(
    path: Path, kinds: Kinds, *, calendar: Calendar = CHINA
) -> tuple[dict[str, list[Rule]], list[ConfigError]]:
    """As `load_common`. The sentences know the kind's channels, the file's settings, and `guards_lives`, as the kind says it."""
    having = {name: kind for name, kind in kinds.items() if path.stem in kind.channels}
    if not having:
        every = {channel for kind in kinds.values() for channel in kind.channels}
        near = suggest(path.stem, every)
        return {}, [ConfigError("{path}: no kind has a channel `{name}`{near}", path=path, name=path.stem, near=near)]
    try:
        source = RuleSource.of(path)
    except ConfigError as error:
        return {}, [error]
    content, mistakes = source.read()
    if content is None:
        return {}, mistakes
    rules = dict[str, list[Rule]]()
    for name, kind in having.items():
        of_kind = {} if "guards_lives" in kind.channels else {"guards_lives": Setting(kind.guards_lives)}
        rules[name], found = _of_kind(source, content, name, kind, of_kind, {}, calendar)
        mistakes += found
    return rules, in_order(mistakes)


def read_file(
    path: Path, kinds: Kinds, known: Mapping[str, Vocabulary] | None = None, *, calendar: Calendar = CHINA
) -> tuple[list[Rule], list[ConfigError]]:
    """As `load_file`: the rules that can be read, and what is wrong with the others."""
    if (kind := kinds.get(path.stem)) is None:
        near = suggest(path.stem, kinds)
        return [], [
            ConfigError("{path}: no kind `{name}` to make rules for{near}", path=path, name=path.stem, near=near)
        ]
    try:
        source = RuleSource.of(path)
        others = vocabulary(kinds, ()) if known is None and "count_devices" in source.text else known
    except ConfigError as error:
        return [], [error]
    content, mistakes = source.read()
    if content is None:
        return [], mistakes
    rules, found = _of_kind(source, content, path.stem, kind, {}, others or {}, calendar)
    return rules, in_order([*mistakes, *found])


def in_order(mistakes: Iterable[ConfigError]) -> list[ConfigError]:
    """Of one file: as they stand in it."""
    return sorted(mistakes, key=lambda one: (one.line, one.column) if isinstance(one, FileMistake) else (0, 0))


def _of_kind(
    source: RuleSource,
    content: RuleFile,
    kind_name: str,
    kind: Kind,
    more: Mapping[str, Setting],
    others: Mapping[str, Vocabulary],
    calendar: Calendar,
) -> tuple[list[Rule], list[ConfigError]]:
    """`more`: settings that are not the file's."""
    settings = {**settings_of(content), **more}
    about = source.path.stem if source.path.parent.name == COMMON else None
    mistakes: list[ConfigError] = [
        source.mistake(("settings", name), phrase("a {kind} has a channel of this name", kind=kind_name), of_key=True)
        for name in content.settings
        if name in kind.channels
    ]
    rules = []
    for name, text in content.rules.items() if not mistakes else ():
        try:
            rule = made(kind, kind_name, name, text, settings, others, calendar)
            rules.append(replace(rule, about=about))
        except Mistaken as mistake:
            for wrong in mistake.found:
                why = wrong.why
                if about:
                    why = phrase(
                        "for a {kind}, whose channel `{about}` it is about by its name: {why}",
                        kind=kind_name,
                        about=about,
                        why=why,
                    )
                where = ("rules", name, *wrong.field)
                mistakes.append(source.mistake(where, why, wrong.text, wrong.line, wrong.column))
    return rules, mistakes
