"""Variants of rules: with a device's own settings, and under the name of the state that runs by it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from messages.reading import Value
from rules.language.rule import Rule

MOST_SETTINGS = 10_000
"""Of the devices of one kind that are told apart: if there are more, all is made anew as it is needed."""


@dataclass(slots=True)
class Variants:
    """Each is made once: devices whose settings say the same share it."""

    _of_kind: dict[str, dict[frozenset[tuple[str, type, Value]], tuple[Rule, ...]]] = field(default_factory=dict)
    """Rules with devices' own settings, by the kind and the settings."""
    _named: dict[tuple[Rule, str], Rule] = field(default_factory=dict)
    """Rules under other names than their own."""

    def of(self, kind: str, rules: tuple[Rule, ...], settings: Mapping[str, Value]) -> tuple[Rule, ...]:
        """The rules of a kind as the settings of a device make them."""
        own = [(name, value) for name, value in settings.items() if any(name in rule.settings for rule in rules)]
        if not own:
            return rules
        known = self._of_kind.setdefault(kind, {})
        key = frozenset((name, type(value), value) for name, value in own)
        if key not in known:
            if len(known) >= MOST_SETTINGS:
                known.clear()
            known[key] = tuple(rule.for_device(settings) for rule in rules)
        return known[key]

    def named(self, rule: Rule, name: str) -> Rule:
        """The rule under another name."""
        if rule.id == name:
            return rule
        if (known := self._named.get((rule, name))) is None:
            if len(self._named) >= MOST_SETTINGS:
                self._named.clear()
            known = self._named[rule, name] = rule.named(name)
        return known

    def clear(self) -> None:
        self._of_kind.clear()
        self._named.clear()
