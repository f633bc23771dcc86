"""What a changed file changes: each rule that judges otherwise, the old one beside the new. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from messages.reading import Value
from messages.settings import duration_words
from rules.language.rule import Rule, Rules
from rules.rule_files import news


@dataclass(frozen=True, slots=True)
class Change:
    """A rule, "kind.rule", and what of it is otherwise: the part's name, as before, as after. None: it has no such part, or there is no such rule."""

    rule: str
    parts: tuple[tuple[str, str | None, str | None], ...]


def changes(old: Rules, new: Rules) -> Iterator[Change]:
    """Of rules that mean the same nothing is said."""
    found = news(old, new)
    before, after = _named(old), _named(new)
    for name in sorted({*found.added, *found.removed, *found.changed, *found.reworded}):
        was, now = _parts(before.get(name)), _parts(after.get(name))
        parts = ((part, was.get(part), now.get(part)) for part in {**was, **now})
        if differ := tuple(one for one in parts if one[1] != one[2]):
            yield Change(name, differ)


def _named(rules: Rules) -> dict[str, Rule]:
    return {f"{rule.kind}.{rule.id}": rule for some in rules.values() for rule in some if rule.answers is None}


def _parts(rule: Rule | None) -> dict[str, str]:
    """As a file would have them."""
    if rule is None:
        return {}
    found = {
        "level": str(rule.level),
        "raise": _sentence(rule.raise_when.source, rule.raise_delay_ms, rule.raise_samples),
    }
    found["clear"] = _sentence(rule.clear_when.source, rule.clear_delay_ms, rule.clear_samples)
    found |= {f"levels.{level}": when.source for level, when in rule.graver_when}
    used = {
        *rule.raise_when.settings,
        *rule.clear_when.settings,
        *(name for _, when in rule.graver_when for name in when.settings),
    }
    found |= {name: _value(rule.settings[name]) for name in sorted(used) if name in rule.settings}
    return found | {name: "true" for name in ("latch", "shadow", "life_safety") if getattr(rule, name)}


def _sentence(source: str, delay_ms: int, samples: int) -> str:
    lasting = f", {duration_words(delay_ms / 1000)}" if delay_ms else ""
    return " ".join(source.split()) + lasting + (f", {samples}x" if samples > 1 else "")


def _value(value: Value) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)
