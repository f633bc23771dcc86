"""The faults of rules that can be read: each with its rule, its place and what to do about it. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from messages.language import NOTHING, Phrase, phrase
from messages.reading import Value
from messages.settings import duration_words
from rules.checking.condition import Way, Words, condition, implies, variables, written
from rules.checking.trial import both_true
from rules.language.calendar import Calendar
from rules.language.keeps import WindowKeep
from rules.language.rule import LEVELS, Rule, graver
from rules.language.sentence import Expression
from rules.language.usual import TRUSTED

WEEK_S = 7 * 86400.0
_WIDE_BRACES = re.compile(r"｛(\w+)｝")


@dataclass(frozen=True, slots=True)
class Fault:
    """`field`: which field of the rule, in `sentence`."""

    grade: Literal["error", "warning"]
    rule: Rule
    field: tuple[str | int, ...]
    sentence: str
    why: Phrase
    column: int = 1
    """In the sentence, or the text."""


def faults(
    rules: Iterable[Rule], *, retention_s: float | None = None, calendar: Calendar, year: int
) -> Iterator[Fault]:
    """Of the rules of one kind. `year`: now."""
    some = [rule for rule in rules if rule.answers is None]
    known = {rule.id: _Known(rule) for rule in some}
    for rule in some:
        yield from _untold(rule)
        yield from _impossible(known[rule.id])
        yield from _certain(known[rule.id])
        yield from _contradictory(known[rule.id])
        yield from _cut_short(rule, retention_s)
        if "holiday(" in "".join(one.source for _, one in _sentences(rule)) and year not in calendar.years:
            yield Fault(
                "warning",
                rule,
                ("raise",),
                rule.raise_when.source,
                phrase(
                    "the calendar knows no public holidays of {year}: `holiday()` means weekends; name them under [calendar]",
                    year=year,
                ),
            )
    for rule in some:
        yield from _shadowed(known[rule.id], [known[other.id] for other in some if other is not rule])


class _Known:
    """A rule with its sentences as conditions; None where one is too much for us."""

    def __init__(self, rule: Rule) -> None:
        self.words = words = Words(rule.known, rule.settings)
        self.rule = rule
        self.raises = condition(rule.raise_when.source, words)
        self.clears = condition(rule.clear_when.source, words)
        never = condition(f"not (\n{rule.raise_when.source}\n)", words)
        self.always = never is not None and never.clash is not None
        """It raises whatever is measured."""
        self.levels = [(level, when, condition(when.source, words)) for level, when in rule.graver_when]

    @property
    def gravest(self) -> str:
        return self.levels[0][0] if self.levels else self.rule.level


def _sentences(rule: Rule) -> Iterator[tuple[tuple[str | int, ...], Expression]]:
    yield ("raise",), rule.raise_when
    yield ("clear",), rule.clear_when
    for _, when in rule.graver_when:
        yield _level_place(rule, when), when


def _level_place(rule: Rule, when: Expression) -> tuple[str | int, ...]:
    """Rules have their levels from the gravest; a file as it likes."""
    sources = [more["when"] for more in rule.written.get("text", {}).get("levels", ())]
    return ("levels", sources.index(when.source), "when") if when.source in sources else ("levels",)


def _impossible(known: _Known) -> Iterator[Fault]:
    rule = known.rule
    if known.raises is not None and known.raises.clash:
        why = phrase("it can never raise: {clash}; mend the sentence, or take the rule out", clash=known.raises.clash)
        yield Fault(_grade(rule.raise_when), rule, ("raise",), rule.raise_when.source, why)
    by_hand = rule.latch and rule.clear_when.source.strip() == "false"
    if known.clears is not None and known.clears.clash and not by_hand:
        why = phrase(
            'it can never clear: {clash}; mend the sentence, or write latch = true and clear = "false" if a person is to end it',
            clash=known.clears.clash,
        )
        yield Fault(_grade(rule.clear_when), rule, ("clear",), rule.clear_when.source, why)
    for at, (level, when, found) in enumerate(known.levels):
        place = _level_place(rule, when)
        if found is not None and found.clash:
            words = phrase("it can never be {level}: {clash}", level=Phrase(level), clash=found.clash)
            yield Fault(_grade(when), rule, place, when.source, words)
        for higher, _, other in known.levels[:at]:
            if found is not None and other is not None and not found.clash and implies(found, other):
                why = phrase(
                    "it is never {level}: whenever this is true, it is {higher} already",
                    level=Phrase(level),
                    higher=Phrase(higher),
                )
                yield Fault("warning", rule, place, when.source, why)


def _certain(known: _Known) -> Iterator[Fault]:
    rule = known.rule
    if known.always:
        why = phrase("it raises whatever is measured; mend the sentence, or take the rule out")
        yield Fault(_grade(rule.raise_when), rule, ("raise",), rule.raise_when.source, why)


def _untold(rule: Rule) -> Iterator[Fault]:
    """Texts that say nothing, or not what was meant."""
    for which, text in (("title", rule.title), ("advice", rule.advice)):
        for tongue, template in (("zh", text.zh), ("en", text.en)) if text else ():
            if not template.strip():
                yield Fault("error", rule, (which, tongue), template, phrase("there is nothing to read in it"))
            if wide := _WIDE_BRACES.search(template):
                why = phrase(
                    "write {plain} for {wrong}: nothing is filled in there", plain=f"{{{wide[1]}}}", wrong=wide[0]
                )
                yield Fault("error", rule, (which, tongue), template, why, wide.start() + 1)


def _grade(sentence: Expression) -> Literal["error", "warning"]:
    """What depends on a setting is so for the devices only that announce none of their own."""
    return "warning" if sentence.settings else "error"


def _contradictory(known: _Known) -> Iterator[Fault]:
    rule = known.rule
    if known.raises is None or known.clears is None or known.raises.clash or known.clears.clash or known.always:
        return
    for way in known.raises.ways:
        seen = variables(way, known.words)
        if not any(seen <= variables(other, known.words) and _overlap(way, other) for other in known.clears.ways):
            continue  # what raises so is none of the clear's affair: the alarm stands while it lasts, since raise wins
        found = both_true(written(way, known.raises.natural), rule.clear_when.source, rule.known, rule.settings)
        if found is not None:
            why = phrase(
                "it can be true while `raise` is: {values}; let it leave out what raises{mend}",
                values=Phrase(_shown(found)),
                mend=_mend(known),
            )
            supposed = any("(" in name for name in found)  # that these calls go together is likely, not certain
            yield Fault("warning" if supposed else "error", rule, ("clear",), rule.clear_when.source, why)
            return


def _overlap(one: Way, other: Way) -> bool:
    """Whether, for all that is known of their terms, both may be true."""
    return not any(term in other and allowed.meet(other[term]).empty for term, allowed in one.items())


def _mend(known: _Known) -> Phrase:
    """For the plain case: one limit each, on the same term."""
    if known.raises is None or known.clears is None or len(known.raises.ways) != 1 or len(known.clears.ways) != 1:
        return NOTHING
    (raises,), (clears,) = known.raises.ways, known.clears.ways
    if len(raises) != 1 or raises.keys() != clears.keys():
        return NOTHING
    ((term, at),) = raises.items()
    if at.low > known.raises.natural[term].low and not clears[term].open_low:
        return phrase(", e.g. `{term} {sign} {limit:g}`", term=term, sign="<", limit=at.low)
    if at.high < known.raises.natural[term].high:
        return phrase(", e.g. `{term} {sign} {limit:g}`", term=term, sign=">", limit=at.high)
    return NOTHING


def _cut_short(rule: Rule, retention_s: float | None) -> Iterator[Fault]:
    """A window that reaches further back than readings are kept: a restore or a dry run can't fill it again."""
    if retention_s is None:
        return
    for where, sentence in _sentences(rule):
        for keep in sentence.keeps:
            length_s = keep.length_ms / 1000 if isinstance(keep, WindowKeep) else TRUSTED * WEEK_S
            what = (
                phrase("the window") if isinstance(keep, WindowKeep) else phrase("what is learnt of the usual course")
            )
            if length_s > retention_s:
                why = phrase(
                    "{what} of `{channel}` spans {length}, and readings are kept for {kept}:"
                    " a dry run never fills it; shorten it, or raise the retention",
                    what=what,
                    channel=keep.channel,
                    length=duration_words(length_s),
                    kept=duration_words(retention_s),
                )
                yield Fault("warning", rule, where, sentence.source, why)


def _shadowed(known: _Known, others: Iterable[_Known]) -> Iterator[Fault]:
    """Whenever the rule rings, another one has rung, and at least as gravely."""
    rule = known.rule
    if known.raises is None or known.raises.clash or not known.raises.ways or rule.shadow:
        return  # one without a way is off until a device's own settings turn it on
    for other in others:
        that = other.rule
        if other.raises is None or other.raises.clash or that.shadow or not implies(known.raises, other.raises):
            continue
        if graver(_level(known.gravest), that.level) or that.raise_delay_ms > rule.raise_delay_ms:
            continue
        if that.raise_samples > rule.raise_samples:
            continue
        twins = implies(other.raises, known.raises) and that.raise_delay_ms == rule.raise_delay_ms
        if twins and that.level == rule.level and that.id > rule.id:
            continue  # said once, of the later one
        why = phrase(
            "whenever it raises, `{other}` has raised as gravely: two alarms for one thing;"
            " leave out in `raise` what `{other}` raises, give it a graver level, or take one of them out",
            other=that.id,
        )
        yield Fault("warning", rule, ("raise",), rule.raise_when.source, why)
        return  # one is enough to mend it by


def _level(name: str) -> Literal["red", "orange", "yellow", "blue"]:
    return next(level for level in LEVELS if level == name)


def _shown(values: Mapping[str, Value]) -> str:
    words = []
    for name, value in values.items():
        shown = (
            ("true" if value else "false")
            if isinstance(value, bool)
            else repr(value)
            if isinstance(value, str)
            else f"{value:g}"
        )
        words.append(f"{name} = {shown}")
    return ", ".join(words)
