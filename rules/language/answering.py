"""The rules that watch for the questions which other rules ask about the neighbourhood (rules.language.neighbours)."""

import json
from collections.abc import Iterable, Mapping

from messages.kind import Kind, Kinds
from messages.reading import Value
from messages.settings import Text
from rules.language.library import vocabulary
from rules.language.making import VERSION_BYTES, digest
from rules.language.neighbours import Question
from rules.language.rule import Rule, Rules
from rules.language.sentence import Setting, parse


def with_answers(rules: Rules, kinds: Kinds, more: Iterable[Rule] = ()) -> dict[str, tuple[Rule, ...]]:
    """The rules, and beside them what watches for the questions that some of them ask about the neighbourhood.

    A device counts while its condition holds and for the window after it: that is a rule with an off-delay. `more`: rules
    beside these that ask too.
    """
    every = dict(rules)
    asking = (*(rule for some in rules.values() for rule in some), *more)
    asked = {question.key: question for rule in asking for question in rule.questions}
    known = vocabulary(kinds, ()) if asked else {}
    for question in asked.values():
        for name in question.kinds:
            settings = {key: setting.value for key, setting in known[name].settings.items()}
            settings |= {key: value for rule in rules.get(name, ()) for key, value in rule.settings.items()}
            if all(rule.answers != question.key for rule in every.get(name, ())):
                every[name] = (*every.get(name, ()), _answer(question, name, kinds[name], settings))
    return every


def name_of(question: str) -> str:
    """The id of the rules that watch for a question, by its key."""
    return f"?{digest(question, 8)}"


def _answer(question: Question, kind_name: str, kind: Kind, values: Mapping[str, Value]) -> Rule:
    settings = {name: Setting(value) for name, value in values.items()}
    holds = parse(question.condition, kind.channels, settings)
    ends = parse(question.ends, kind.channels, settings)
    used = {name: values[name] for name in holds.settings}
    return Rule(
        id=name_of(question.key),
        kind=kind_name,
        version=digest(json.dumps([question.key, kind_name, used], sort_keys=True), VERSION_BYTES),
        level="blue",
        title=Text(zh=question.condition, en=question.condition),
        advice=None,
        raise_when=holds,
        clear_when=ends,
        delays=(0.0, question.window_ms / 1000),
        latch=False,
        lateness_ms=0,
        life_safety=False,
        reflex=False,
        shadow=False,
        raise_samples=1,
        clear_samples=1,
        graver_when=(),
        channels=holds.channels,
        known=kind.channels,
        settings=values,
        events=frozenset(channel for channel in holds.channels if kind.channels[channel].event),
        keeps=(),
        questions=(),
        plain=True,
        answers=question.key,
    )
