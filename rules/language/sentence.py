"""Reads a rule's sentence, such as `gas_concentration >= 10 or alarm_contact`, once; then it costs microseconds.

The grammar is a part of Python's: comparison (chained too), `and`, `or`, `not`, `+ - * /`, `abs`, `min`, `max`, the
functions over time of `functions.py`, numbers, texts, `true`, `false`, and the names of the kind's channels and of the rule's
settings. Python's parser reads it, a whitelist admits it, and what is admitted writes a function of its own: nothing is ever run that is not
written in `terms.py` and `functions.py`. Types, units and names are checked here, so that a sentence that was read can't fail later.
"""

import ast
import math
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from messages.kind import Channel
from messages.language import NOTHING, Phrase, phrase
from messages.reading import Value
from messages.suggestion import suggest
from rules.language import functions, terms
from rules.language.calendar import CHINA, Calendar
from rules.language.code import Compute, SettingValues
from rules.language.habits import habit, torn, ungrammatical
from rules.language.keeps import Keep
from rules.language.neighbours import EVERY, Question, question
from rules.language.terms import Misfit, Term, Write

LONGEST = 500
"""Characters. A rule that needs more is two rules; Python's parser has no limit of its own."""

DEEPEST = 40
"""Nested parts: far more than a reader can follow, and well within Python's stack when it is computed."""


class SentenceError(ValueError):
    """The sentence can't be read; says where (both from 1) and why."""

    def __init__(self, line: int, column: int, why: Phrase) -> None:
        self.phrase = phrase("line {line}, column {column}: {why}", line=line, column=column, why=why)
        if line == 1:
            self.phrase = phrase("column {column}: {why}", column=column, why=why)
        super().__init__(str(self.phrase))
        self.line = line
        self.column = column
        self.why = why


@dataclass(frozen=True, slots=True)
class Setting:
    """A name whose value a rule file gives and a device's announcement may change."""

    value: Value
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The names that sentences about a kind may use."""

    channels: Mapping[str, Channel]
    settings: Mapping[str, Setting]


@dataclass(frozen=True, slots=True, eq=False)
class Expression:
    """A sentence that is true, false or unknown."""

    source: str
    channels: tuple[str, ...]
    """The channels in it, in the order of their first mention."""
    settings: tuple[str, ...]
    """The settings in it."""
    write: Write
    bounds: Mapping[str, Term]
    keeps: tuple[Keep, ...] = ()
    """What must be kept of the time before."""
    silences: tuple[tuple[str, Term, float], ...] = ()
    """Which silences it asks about, from how many seconds they matter, and how much later it shows."""
    questions: tuple[Question, ...] = ()
    """What it asks of the neighbourhood."""
    timed: bool = False
    """It asks for the time, or for what is kept: the last values alone don't tell."""

    def bound(self, settings: SettingValues) -> Compute:
        """The sentence with these settings in it: what says whether it holds, None: unknown."""
        return terms.binding(self.write)(settings)

    def limits(self, settings: SettingValues) -> dict[str, float]:
        """For each channel that is compared with a number: that number, as a line in the channel's chart."""
        lines = {channel: terms.fixed_value(bound, settings) for channel, bound in self.bounds.items()}
        return {channel: line for channel, line in lines.items() if line is not None}


def parse(
    source: str,
    channels: Mapping[str, Channel],
    settings: Mapping[str, Setting],
    *,
    calendar: Calendar = CHINA,
    kinds: Mapping[str, Vocabulary] | None = None,
) -> Expression:
    """The sentence over a kind's `channels` and a rule's `settings`. `kinds`: the words of all kinds, for sentences
    about the neighbourhood. Raises SentenceError."""
    if len(source) > LONGEST:
        raise SentenceError(1, LONGEST + 1, phrase("longer than {most} characters", most=LONGEST))
    reader = _Reader(source, channels, settings, calendar, kinds or {})
    term = reader.read()
    if term.type != "boolean":
        kind = terms.TYPES[term.type]
        raise SentenceError(1, 1, phrase("a sentence that is true or false is wanted, not {type}", type=kind))
    if reader.unbounded_silence:
        words = phrase('compare `silent_for(…)` with a number or a duration: silent_for(flow) > "10min"')
        raise SentenceError(1, 1, words)
    return Expression(
        source,
        tuple(name for name in term.names if name in channels),
        tuple(name for name in term.names if name not in channels),
        term.write,
        reader.bounds,
        tuple(reader.keeps.values()),
        tuple(reader.silences),
        tuple(reader.questions.values()),
        reader.timed,
    )


class _Reader:
    def __init__(
        self,
        source: str,
        channels: Mapping[str, Channel],
        settings: Mapping[str, Setting],
        calendar: Calendar,
        kinds: Mapping[str, Vocabulary],
    ) -> None:
        self.bounds: dict[str, Term] = {}
        self.keeps: dict[str, Keep] = {}
        self.silences: list[tuple[str, Term, float]] = []
        self.questions: dict[str, Question] = {}
        self.timed = False
        self.unbounded_silence = 0
        self._source = source
        self._wrapped = f"(\n{source}\n)" if "\n" in source else source
        """Of several lines: to Python they are one in brackets."""
        self._channels = channels
        self._settings = settings
        self._calendar = calendar
        self._kinds = kinds

    def read(self) -> Term:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # Python only warns of `1or 2` and of "\d": no rule needs them
                tree = ast.parse(self._wrapped, mode="eval")
        except SyntaxError as error:
            if misread := habit(self._source, (*self._channels, *self._settings)):
                raise SentenceError(*misread) from error
            line, column = self._line(error.lineno or 1), error.offset or 1
            raise SentenceError(*ungrammatical(self._source, line, column, error.msg)) from error
        except (ValueError, RecursionError, MemoryError, Warning) as error:
            words = phrase("can't be read: {why}", why=str(error) or type(error).__name__)
            raise SentenceError(1, 1, words) from error
        return self._term(tree.body, 0)

    def _term(self, node: ast.expr, depth: int) -> Term:
        if depth > DEEPEST:
            raise self._error(node, phrase("nested more than {most} deep", most=DEEPEST))
        try:
            return self._admitted(node, depth + 1)
        except Misfit as misfit:
            raise self._error(_meant(node, misfit.argument), misfit.phrase) from misfit

    def _admitted(self, node: ast.expr, depth: int) -> Term:
        match node:
            case ast.Constant():
                return self._constant(node)
            case ast.Name():
                return self._name(node)
            case ast.Compare():
                return self._comparison(node, depth)
            case ast.BoolOp(op=word, values=parts):
                join = terms.all_of if isinstance(word, ast.And) else terms.any_of
                return join([self._term(part, depth) for part in parts])
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return terms.negated(self._term(operand, depth))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return terms.reversed_sign(self._term(operand, depth))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
                return terms.calculated(_ARITHMETIC[type(op)], self._term(left, depth), self._term(right, depth))
            case ast.Call(func=ast.Name(id="count_devices"), args=arguments, keywords=keywords):
                return self._count_devices(node, arguments, keywords)
            case ast.Call(func=ast.Name(id=function), args=arguments, keywords=[]):
                return self._called(node, function, arguments, depth)
        if misread := habit(self._source, (*self._channels, *self._settings)):
            raise SentenceError(*misread)
        raise self._error(node, phrase("`{words}` is no part of the language", words=_words(node)))

    def _called(self, node: ast.Call, function: str, arguments: list[ast.expr], depth: int) -> Term:
        is_window = (
            len(arguments) == 2 and isinstance(arguments[1], ast.Constant) and isinstance(arguments[1].value, str)
        )
        if function in functions.OVER_TIME and (is_window or function not in terms.FUNCTIONS):
            if not is_window:
                words = phrase(
                    '`{function}` takes a channel and a duration: {function}(channel, "10min")', function=function
                )
                raise self._error(node, words)
            name, channel = self._channel(arguments[0], function)
            window = self._term(arguments[1], depth).literal
            term, keep = functions.over_time(function, name, channel, str(window), self._calendar)
            self.keeps[keep.key] = keep
            self.timed = True
            return term
        if function in functions.OF_CHANNEL:
            if len(arguments) != 1:
                raise self._error(node, phrase("`{function}` takes a channel: {function}(channel)", function=function))
            name, channel = self._channel(arguments[0], function)
            term, usual = functions.of_channel(function, name, channel, self._calendar)
            if usual is not None:
                self.keeps[usual.key] = usual
            self.unbounded_silence += function == "silent_for"
            self.timed = True
            return term
        if function in functions.OF_CALENDAR:
            self.timed = True
            texts = [part.value if isinstance(part, ast.Constant) else None for part in arguments]
            return functions.of_calendar(function, texts, self._calendar)
        if function == "before":
            if len(arguments) != 2:
                raise self._error(node, phrase("`before` takes two channels: before(card, door_open)"))
            (first, _), (then, _) = (self._channel(argument, function) for argument in arguments)
            return functions.before(first, then)
        if function == "given":
            if len(arguments) != 2:
                raise self._error(node, phrase("`given` takes a channel and a value: given(water_level, 0)"))
            name, channel = self._channel(arguments[0], function)
            return terms.given(terms.channel(name, channel.type, channel.unit), self._term(arguments[1], depth))
        if function not in terms.FUNCTIONS:
            known = (*terms.FUNCTIONS, *functions.NAMES)
            raise self._error(node, phrase("no function `{name}`{near}", name=function, near=suggest(function, known)))
        return terms.called(function, [self._term(value, depth) for value in arguments])

    def _channel(self, node: ast.expr, function: str) -> tuple[str, Channel]:
        if not isinstance(node, ast.Name):
            words = phrase("`{function}` wants a channel here, not `{words}`", function=function, words=_words(node))
            raise self._error(node, words)
        if (channel := self._channels.get(node.id)) is None:
            near = self._labelled(node.id) or suggest(node.id, self._channels)
            raise self._error(node, phrase("no channel `{name}`{near}", name=node.id, near=near))
        return node.id, channel

    def _count_devices(self, node: ast.Call, arguments: list[ast.expr], keywords: list[ast.keyword]) -> Term:
        texts = [part.value if isinstance(part, ast.Constant) else None for part in arguments]
        named = {
            word.arg or "": word.value.value if isinstance(word.value, ast.Constant) else None for word in keywords
        }
        if texts[:1] == [EVERY]:
            texts[0] = ", ".join(name for name in self._kinds if self._fits(name, texts[1:]))
        asked = question(texts, named, self._kinds)
        for kind in asked.kinds:
            words = self._kinds[kind]
            try:
                condition = parse(asked.condition, words.channels, words.settings, calendar=self._calendar)
                parse(asked.ends, words.channels, words.settings, calendar=self._calendar)
            except SentenceError as error:
                said = phrase("the condition, for a {kind}: {why}", kind=kind, why=error.phrase)
                raise self._error(arguments[1], said) from error
            if condition.timed:
                said = phrase("the condition of `count_devices` may look at the last values only")
                raise self._error(arguments[1], said)
        self.questions[asked.key] = asked
        self.timed = True
        return asked.term()

    def _fits(self, kind: str, condition: list[Any]) -> bool:
        words = self._kinds[kind]
        if words.channels.keys().isdisjoint(_NAME.findall(str(condition))):
            return False  # as nearly all kinds: what may have been meant instead is not looked for
        try:
            return bool(parse(str(*condition), words.channels, words.settings, calendar=self._calendar).channels)
        except (SentenceError, TypeError):
            return False

    def _constant(self, node: ast.Constant) -> Term:
        value = node.value
        if isinstance(value, bool | str):
            return terms.literal(value)
        if isinstance(value, int | float):
            try:
                number = float(value)
            except OverflowError:
                number = math.inf
            if math.isfinite(number):
                return terms.literal(number)
            raise self._error(node, phrase("the number is too big"))
        raise self._error(node, phrase("`{words}` is no part of the language", words=_words(node)))

    def _name(self, node: ast.Name) -> Term:
        if node.id in ("true", "false"):  # as TOML writes them, in the same file
            return terms.literal(node.id == "true")
        if (channel := self._channels.get(node.id)) is not None:
            return terms.channel(node.id, channel.type, channel.unit)
        if (setting := self._settings.get(node.id)) is not None:
            return terms.setting(node.id, terms.literal(setting.value).type, setting.unit)
        if node.id in (*functions.NAMES, *terms.FUNCTIONS):
            raise self._error(node, phrase("`{name}` is a function: write {name}(…)", name=node.id))
        if misread := torn(self._source, (*self._channels, *self._settings)):
            raise SentenceError(*misread)
        near = self._labelled(node.id) or suggest(node.id, (*self._channels, *self._settings))
        raise self._error(node, phrase("no channel or setting `{name}`{near}", name=node.id, near=near))

    def _labelled(self, name: str) -> Phrase:
        """Of a channel that is called by what people call it."""
        for known, channel in self._channels.items():
            if name in (channel.name.zh, channel.name.en):
                return phrase("; did you mean `{near}`?{letter}", near=known, letter=NOTHING)
        return NOTHING

    def _comparison(self, node: ast.Compare, depth: int) -> Term:
        for op, right in zip(node.ops, node.comparators, strict=True):
            if type(op) not in _COMPARISONS:
                words = phrase(
                    "the comparison before `{words}` is no part of the language{mend}",
                    words=_words(right),
                    mend=_STRANGE.get(type(op), NOTHING),
                )
                raise self._error(right, words)
        sides = [node.left, *node.comparators]
        values = [self._term(side, depth) for side in sides]
        pairs = []
        for index, op in enumerate(node.ops):
            pairs.append(terms.compared(_COMPARISONS[type(op)], values[index], values[index + 1]))
            sign = _COMPARISONS[type(op)]
            self._note_bound(values[index], values[index + 1], past=sign in (">", "<="))
            self._note_bound(values[index + 1], values[index], past=sign in ("<", ">="))
        return pairs[0] if len(pairs) == 1 else terms.all_of(pairs)

    def _note_bound(self, term: Term, other: Term, *, past: bool) -> None:
        """`past`: what is said turns only when the bound was passed, not when it is reached: a millisecond later, as no time is finer."""
        if not other.fixed:
            return
        other = terms.duration(other) if isinstance(other.literal, str) and term.unit == terms.SECONDS else other
        if term.channel is not None and other.type == "number":
            self.bounds.setdefault(term.channel, other)
        if term.silence is not None:
            self.silences.append((term.silence, other, 0.001 if past else 0.0))
            self.unbounded_silence -= 1

    def _error(self, node: ast.expr, why: Phrase) -> SentenceError:
        line = self._wrapped.encode().splitlines()[node.lineno - 1]  # Python counts columns in bytes
        return SentenceError(self._line(node.lineno), len(line[: node.col_offset].decode()) + 1, why)

    def _line(self, of_wrapped: int) -> int:
        if self._wrapped is self._source:
            return of_wrapped
        return min(max(of_wrapped - 1, 1), self._source.count("\n") + 1)


_NAME = re.compile(r"\w+")
_ARITHMETIC: dict[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
_COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}
_STRANGE: dict[type[ast.cmpop], Phrase] = {
    ast.Is: phrase("; write =="),
    ast.IsNot: phrase("; write !="),
    ast.In: phrase("; compare with each, and join with or"),
    ast.NotIn: phrase("; compare with each, and join with and"),
}
"""Comparisons of Python's that rules do without."""


def _meant(node: ast.expr, argument: int | str | None) -> ast.expr:
    """The argument of a call, by its place or its name."""
    given: dict[int | str | None, ast.expr] = {}
    if isinstance(node, ast.Call):
        given |= {word.arg: word.value for word in node.keywords}
        given |= dict(enumerate(node.args))
    return given.get(argument, node)


def _words(node: ast.expr) -> str:
    """What was written there, short enough for a message."""
    try:
        words = ast.unparse(node)
    except RecursionError:
        words = type(node).__name__
    return words if len(words) <= 40 else words[:39] + "…"
