"""A rule: when a device of a kind raises an alarm, when it clears, how grave it is, what to tell people.

It comes from a file (rules.language.library) or was kept when it was in force (rules.language.making).
"""

import math
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

from messages.alarm import Level
from messages.announcement import Place
from messages.kind import Channel
from messages.reading import Value
from messages.settings import Text
from rules.language import words
from rules.language.code import Compute
from rules.language.keeps import Keep
from rules.language.neighbours import Question
from rules.language.sentence import Expression
from rules.language.terms import fixed_value

LONGEST_DELAY_S = 366 * 86_400.0
"""Whatever a device's own settings say."""

LEVELS: tuple[Level, ...] = ("red", "orange", "yellow", "blue")
"""From the gravest."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Rule:
    """A rule that has been read and checked. Durations are milliseconds."""

    id: str
    kind: str
    version: str
    """What it means, in a few letters: two rules of one version judge alike. Their words may differ."""
    level: Level
    title: Text
    advice: Text | None
    """As the file has them, with names in braces; `told` fills them in."""
    raise_when: Expression
    clear_when: Expression
    delays: tuple[float | str, float | str]
    """Of raising and of clearing, as they are written: seconds, or a setting's name."""
    latch: bool
    lateness_ms: int
    life_safety: bool
    reflex: bool
    """A Pi may carry it out by itself (docs/decisions/0023-reflexes-run-the-rules-own-step.md)."""
    shadow: bool
    """It is judged and written down, and calls nobody."""
    guards: bool = False
    """Lives hang on it, by itself or by its kind: nothing may silence its alarms (guarantee 9)."""
    gathers: tuple[str, ...] = ()
    """Other alarms of its site, "kind.rule" or "kind.*", that belong to it while it is active: they share its case."""
    raise_samples: int
    clear_samples: int
    """How many readings must say so, whatever the delay."""
    graver_when: tuple[tuple[Level, Expression], ...]
    """When it is graver than `level`, from the gravest."""
    channels: tuple[str, ...]
    """All that its sentences look at, the leading one first."""
    known: Mapping[str, Channel]
    """All channels of its kind: those its words may name."""
    settings: Mapping[str, Value]
    """What the other names in them stand for."""
    events: frozenset[str]
    """Those of its channels whose every reading is a change."""
    keeps: tuple[Keep, ...]
    """What its sentences need of the time before."""
    questions: tuple[Question, ...]
    """What its sentences ask of the neighbourhood."""
    plain: bool
    """The last values alone decide, whatever came before and whoever stands around."""
    written: Mapping[str, Any] = field(default_factory=dict)
    """Plain data from which it can be made again (`rewritten`)."""
    situation: str = ""
    """The word under which its alarms, of one device or one place and kind, are one case; empty: each is one by itself."""
    about: str | None = None
    """The channel that its file is about, if it isn't about the kind."""
    answers: str | None = None
    """It raises no alarm, but answers this question about the neighbourhood (its key)."""

    def lenient(self, by_ms: int) -> "Rule":
        """The same rule, for readings that look older than they are by so much."""
        other = copy(self)  # with all that was made of it
        object.__setattr__(other, "lateness_ms", self.lateness_ms + by_ms)
        return other

    def named(self, name: str) -> "Rule":
        """The same rule under another name."""
        other = copy(self)
        object.__setattr__(other, "id", name)
        return other

    @cached_property
    def raise_delay_ms(self) -> int:
        return _delay_ms(self.delays[0], self.settings)

    @cached_property
    def clear_delay_ms(self) -> int:
        return _delay_ms(self.delays[1], self.settings)

    @cached_property
    def raises(self) -> Compute:
        """The sentence with the settings in it, made when it is first needed."""
        return self.raise_when.bound(self.settings)

    @cached_property
    def clears(self) -> Compute:
        return self.clear_when.bound(self.settings)

    @cached_property
    def levels(self) -> tuple[tuple[Level, Compute], ...]:
        return tuple((level, when.bound(self.settings)) for level, when in self.graver_when)

    @cached_property
    def silences(self) -> tuple[tuple[str, int], ...]:
        """Channels whose silence it asks about, and from how many milliseconds it matters."""
        silences = [
            (channel, round(max(min(limit + more_s, LONGEST_DELAY_S), -LONGEST_DELAY_S) * 1000))
            for sentence in (self.raise_when, self.clear_when, *(when for _, when in self.graver_when))
            for channel, limit_s, more_s in sentence.silences
            if (limit := fixed_value(limit_s, self.settings)) is not None and math.isfinite(limit)
        ]
        return tuple(dict.fromkeys(silences))

    def limits(self) -> dict[str, float]:
        """The lines to draw in its channels' charts: where it raises."""
        return self.raise_when.limits(self.settings)

    def told(self, values: Mapping[str, Value], place: Place, device: str) -> tuple[Text, Text | None]:
        """Title and advice for people, with these values and the place in them."""

        def filled(text: Text) -> Text:
            return words.fill(text, self.known, self.settings, values, place, device)

        return filled(self.title), filled(self.advice) if self.advice else None

    def for_device(self, announced: Mapping[str, Value]) -> Self:
        """The same rule with a device's own settings. One of another type than the default's is not believed."""
        own = {
            name: announced[name]
            for name, default in self.settings.items()
            if name in announced and same_type(announced[name], default)
        }
        if not own:
            return self
        settings = {**self.settings, **own}
        return replace(self, settings=settings)


def graver(one: Level, other: Level) -> bool:
    return LEVELS.index(one) < LEVELS.index(other)


def _delay_ms(delay: float | str, settings: Mapping[str, Value]) -> int:
    seconds = float(settings[delay] if isinstance(delay, str) else delay)
    return round(min(max(seconds, 0.0), LONGEST_DELAY_S) * 1000)


Rules = Mapping[str, tuple[Rule, ...]]
"""By the kind's name."""


def same_type(value: Value, default: Value) -> bool:
    """Numbers are one type, whole or not; True is none of them."""
    return isinstance(value, bool) == isinstance(default, bool) and isinstance(value, str) == isinstance(default, str)
