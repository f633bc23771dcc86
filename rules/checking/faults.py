"""The faults of rules that can be read: each with its rule, its place and what to do about it. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

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


@dataclass(frozen=True, slots=True)
class Fault:
    """`field`: which field of the rule, in `sentence`."""

    grade: Literal["error", "warning"]
    rule: Rule
    field: tuple[str | int, ...]
    sentence: str
    why: str


def faults(
    rules: Iterable[Rule], *, retention_s: float | None = None, calendar: Calendar, year: int
) -> Iterator[Fault]:
    """Of the rules of one kind. `year`: now."""
    some = [rule for rule in rules if rule.answers is None]
    known = {rule.id: _Known(rule) for rule in some}
    for rule in some:
        yield from _impossible(known[rule.id])
        yield from _contradictory(known[rule.id])
        yield from _cut_short(rule, retention_s)
        if "holiday(" in "".join(one.source for _, one in _sentences(rule)) and year not in calendar.years:
            yield Fault(
                "warning",
                rule,
                ("raise",),
                rule.raise_when.source,
                f"the calendar knows no public holidays of {year}: `holiday()` means weekends; name them under [calendar]",
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
        self.levels = [(level, when, condition(when.source, words)) for level, when in rule.graver_when]

    @property
    def gravest(self) -> str:
        return self.levels[0][0] if self.levels else self.rule.level


def _sentences(rule: Rule) -> Iterator[tuple[tuple[str | int, ...], Expression]]:
    yield ("raise",), rule.raise_when
    yield ("clear",), rule.clear_when
    for _, when in rule.graver_when:
        yield ("levels",), when


def _impossible(known: _Known) -> Iterator[Fault]:
    rule = known.rule
    if known.raises is not None and known.raises.clash:
        why = f"it can never raise: {known.raises.clash}; mend the sentence, or take the rule out"
        yield Fault(_grade(rule.raise_when), rule, ("raise",), rule.raise_when.source, why)
    by_hand = rule.latch and rule.clear_when.source.strip() == "false"
    if known.clears is not None and known.clears.clash and not by_hand:
        why = f"it can never clear: {known.clears.clash}"
        why += '; mend the sentence, or write latch = true and clear = "false" if a person is to end it'
        yield Fault(_grade(rule.clear_when), rule, ("clear",), rule.clear_when.source, why)
    for at, (level, when, found) in enumerate(known.levels):
        if found is not None and found.clash:
            yield Fault(_grade(when), rule, ("levels",), when.source, f"it can never be {level}: {found.clash}")
        for higher, _, other in known.levels[:at]:
            if found is not None and other is not None and not found.clash and implies(found, other):
                why = f"it is never {level}: whenever this is true, it is {higher} already"
                yield Fault("warning", rule, ("levels",), when.source, why)


def _grade(sentence: Expression) -> Literal["error", "warning"]:
    """What depends on a setting is so for the devices only that announce none of their own."""
    return "warning" if sentence.settings else "error"


def _contradictory(known: _Known) -> Iterator[Fault]:
    rule = known.rule
    if known.raises is None or known.clears is None or known.raises.clash or known.clears.clash:
        return
    for way in known.raises.ways:
        seen = variables(way, known.words)
        if not any(seen <= variables(other, known.words) and _overlap(way, other) for other in known.clears.ways):
            continue  # what raises so is none of the clear's affair: the alarm stands while it lasts, since raise wins
        found = both_true(written(way, known.raises.natural), rule.clear_when.source, rule.known, rule.settings)
        if found is not None:
            why = f"it can be true while `raise` is: {_shown(found)}; let it leave out what raises{_mend(known)}"
            supposed = any("(" in name for name in found)  # that these calls go together is likely, not certain
            yield Fault("warning" if supposed else "error", rule, ("clear",), rule.clear_when.source, why)
            return


def _overlap(one: Way, other: Way) -> bool:
    """Whether, for all that is known of their terms, both may be true."""
    return not any(term in other and allowed.meet(other[term]).empty for term, allowed in one.items())


def _mend(known: _Known) -> str:
    """For the plain case: one limit each, on the same term."""
    if known.raises is None or known.clears is None or len(known.raises.ways) != 1 or len(known.clears.ways) != 1:
        return ""
    (raises,), (clears,) = known.raises.ways, known.clears.ways
    if len(raises) != 1 or raises.keys() != clears.keys():
        return ""
    ((term, at),) = raises.items()
    if at.low > known.raises.natural[term].low and not clears[term].open_low:
        return f", e.g. `{term} < {at.low:g}`"
    if at.high < known.raises.natural[term].high:
        return f", e.g. `{term} > {at.high:g}`"
    return ""


def _cut_short(rule: Rule, retention_s: float | None) -> Iterator[Fault]:
    """A window that reaches further back than readings are kept: a restore or a dry run can't fill it again."""
    if retention_s is None:
        return
    for where, sentence in _sentences(rule):
        for keep in sentence.keeps:
            length_s = keep.length_ms / 1000 if isinstance(keep, WindowKeep) else TRUSTED * WEEK_S
            what = "the window" if isinstance(keep, WindowKeep) else "what is learnt of the usual course"
            if length_s > retention_s:
                why = f"{what} of `{keep.channel}` spans {duration_words(length_s)}, and readings are kept for"
                why += f" {duration_words(retention_s)}: a dry run never fills it; shorten it, or raise the retention"
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
        why = f"whenever it raises, `{that.id}` has raised as gravely: two alarms for one thing;"
        why += f" leave out in `raise` what `{that.id}` raises, give it a graver level, or take one of them out"
        yield Fault("warning", rule, ("raise",), rule.raise_when.source, why)


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
