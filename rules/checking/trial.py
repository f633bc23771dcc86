"""Looks for values with which two sentences are true at once, and has the sentences themselves judge each try. Pure.

Calls (windows, silence, time of day, neighbours) are taken as values of their own, so that every combination can be tried; those that
can't be, such as a mean below the lowest value, are left out. What is found is proven; that nothing is found proves nothing.
"""

import ast
import itertools
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from messages.kind import Channel
from messages.reading import Value
from messages.settings import Text, duration_s
from rules.checking.condition import OPAQUE, over_window, tree
from rules.language.seen import NEVER, Seen
from rules.language.sentence import SentenceError, Setting, parse

MOST_TRIES = 20_000
SPREAD = 1000.0
"""How far beyond the numbers of a sentence a channel without a range is tried."""

_BOOLEAN = ("changed", "time_between", "date_between", "holiday")
_SECONDS = ("stuck_for", "since", "silent_for", "before")
_OF_VALUE = ("avg", "min", "max", "usual", "increase")
_RANGES = {"weekday": [1.0, 7.0], "hour": [0.0, 23.99]}
_NO_TEXT = Text(zh="", en="")
_SWITCH = Channel.model_validate({"name": _NO_TEXT, "meaning": "", "interval": "1min", "type": "boolean"})
"""A setting that is true or false: some devices have it so, and some so."""


@dataclass(slots=True)
class _Calls(ast.NodeTransformer):
    """Puts a name in the place of each call that asks for more than last values."""

    channels: Mapping[str, Channel]
    named: dict[str, ast.Call] = field(default_factory=dict)

    def visit_Call(self, node: ast.Call) -> ast.expr:
        assert isinstance(node.func, ast.Name)
        if node.func.id not in OPAQUE or (node.func.id in ("min", "max") and not over_window(node)):
            self.generic_visit(node)
            return node
        same = (name for name, known in self.named.items() if ast.dump(known) == ast.dump(node))
        name = next(same, f"call_{len(self.named)}")
        self.named[name] = node
        return ast.Name(name, ast.Load())


def both_true(
    one: str, other: str, channels: Mapping[str, Channel], settings: Mapping[str, Value]
) -> dict[str, Value] | None:
    """Values with which both sentences are true, by channel or call; None if none were found."""
    calls = _Calls(channels)
    trees = [calls.visit(tree(source)) for source in (one, other)]
    sources = [ast.unparse(tree) for tree in trees]
    known = {**channels, **{name: _channel_of(call, channels) for name, call in calls.named.items()}}
    given = {name: Setting(value) for name, value in settings.items()}
    switches = [name for name, value in settings.items() if isinstance(value, bool)]
    known |= dict.fromkeys(switches, _SWITCH)
    for name in switches:
        del given[name]
    try:
        sentences = [parse(source, known, given) for source in sources]
    except SentenceError:  # a call that takes a text can't be named so; nothing is said of it
        return None
    holds = [sentence.bound(settings) for sentence in sentences]
    names = list(dict.fromkeys(name for sentence in sentences for name in sentence.channels))
    breaks = _numbers(trees, settings)
    values = [_candidates(known[name], breaks) for name in names]
    for tried in _tries(values):
        found = dict(zip(names, tried, strict=True))
        if not _can_be(found, calls.named):
            continue
        seen = {name: Seen(0, value, 0, 0) for name, value in found.items()}
        if all(hold(seen, NEVER) is True for hold in holds):
            return {ast.unparse(calls.named[name]) if name in calls.named else name: found[name] for name in names}
    return None


def _channel_of(call: ast.Call, channels: Mapping[str, Channel]) -> Channel:
    assert isinstance(call.func, ast.Name)
    function = call.func.id
    of = channels.get(call.args[0].id) if call.args and isinstance(call.args[0], ast.Name) else None
    common = {"name": _NO_TEXT, "meaning": "", "interval": "1min"}
    if function in _BOOLEAN:
        return Channel.model_validate({**common, "type": "boolean"})
    if function in _SECONDS:
        return Channel.model_validate({**common, "type": "number", "unit": "s", "range": [0.0, 40 * 86400.0]})
    if function in _RANGES:
        return Channel.model_validate({**common, "type": "number", "range": _RANGES[function]})
    if function == "increase":
        return Channel.model_validate({**common, "type": "number", "unit": of and of.unit, "range": [0.0, 1e9]})
    if function in _OF_VALUE and of is not None:
        return of.model_copy(update={"type": "number"})
    if function == "rate":
        unit = f"{(of and of.unit) or '1'}/s"
        return Channel.model_validate({**common, "type": "number", "unit": unit})
    return Channel.model_validate({**common, "type": "number", "range": [0.0, 1e6]})


def _numbers(trees: list[ast.expr], settings: Mapping[str, Value]) -> list[float]:
    """The numbers in the sentences, with their sums, differences, products and quotients: where something may turn."""
    found: dict[float, None] = {0.0: None}
    for node in (node for one in trees for node in ast.walk(one)):
        value: object = None
        if isinstance(node, ast.Constant):
            value = node.value
        elif isinstance(node, ast.Name):
            value = settings.get(node.id)
        if isinstance(value, str):
            try:
                value = duration_s(value)
            except ValueError:
                continue
        if isinstance(value, int | float) and not isinstance(value, bool):
            found[float(value)] = None
    some = list(found)[:12]
    for a, b in itertools.product(some, repeat=2):
        for value in (a + b, a - b, a * b, a / b if b else a, -a):
            found[value] = None
    return list(found)


def _candidates(channel: Channel, breaks: list[float]) -> list[Value]:
    """What is tried for a channel: where something may turn, and between."""
    if channel.type == "boolean":
        return [True, False]
    if channel.type == "text":
        return ["", "?"]
    low, high = channel.range or (min(breaks) - SPREAD, max(breaks) + SPREAD)
    points = sorted({low, high, *(one for one in breaks if low <= one <= high)})
    between = [(a + b) / 2 for a, b in itertools.pairwise(points)]
    plain_first = sorted((*points, *between), key=lambda value: (len(f"{value:g}"), abs(value)))
    return list(plain_first)


def _tries(values: list[list[Value]]) -> Iterator[tuple[Value, ...]]:
    total = 1
    for some in values:
        total *= len(some)
    if total <= MOST_TRIES:
        yield from itertools.product(*values)
        return
    dice = random.Random(1)
    for _ in range(MOST_TRIES):
        yield tuple(dice.choice(some) for some in values)


def _can_be(found: Mapping[str, Value], calls: Mapping[str, ast.Call]) -> bool:
    """Whether a channel can have such a past: its lowest isn't above its mean, what has just changed isn't long unchanged."""
    past: dict[str, dict[str, list[float]]] = {}
    for name, call in calls.items():
        if call.args and isinstance(call.args[0], ast.Name) and name in found:
            assert isinstance(call.func, ast.Name)
            past.setdefault(call.args[0].id, {}).setdefault(call.func.id, []).append(float(found[name]))
    return all(_is_past(of, found.get(channel)) for channel, of in past.items())


def _is_past(of: Mapping[str, list[float]], now: Value | None) -> bool:
    values = [*of.get("avg", ()), *([float(now)] if isinstance(now, int | float) else ())]
    if of.get("min") and any(value < max(of["min"]) for value in (*values, *of.get("max", ()))):
        return False
    if of.get("max") and any(value > min(of["max"]) for value in values):
        return False
    silent, since = max(of.get("silent_for", [0.0])), of.get("since")
    if since and min(since) < silent:
        return False
    return not (of.get("changed") and (since or of.get("stuck_for")))  # how they hang together depends on the window
