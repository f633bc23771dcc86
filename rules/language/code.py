"""From a sentence to one Python function: terms write their part of its syntax tree, and it is compiled once. Pure.

Only nodes that are made here and in the terms get into the tree; every name in it is ours, and of the user's text
nothing but constants: what he calls a channel or a setting is a text or a position to Python. The code of a sentence is the same for all devices;
a device's settings, and what follows from them alone, are the cells of its own function.
"""

import ast
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from messages.reading import Value
from rules.language.seen import SeenByChannel, Then

Compute = Callable[[SeenByChannel, Then], Any]
"""A number, boolean or text, or None. Typed loosely: a term's type was checked when the sentence was read."""

SettingValues = Mapping[str, Value]
Bind = Callable[[SettingValues], Compute]

NONE = ast.Constant(None)


class Draft:
    """A function in the making: `seen` and `then` go in."""

    def __init__(self) -> None:
        self.things: dict[str, Any] = {}
        self._settings: dict[str, str] = {}
        self._fixed: list[ast.stmt] = []
        self._channels: dict[str, int] = {}
        self._count = 0

    def value_of(self, channel: str) -> ast.expr:
        """The last value of a channel."""
        return name(f"value{self._channel(channel)}")

    def seen_of(self, channel: str) -> ast.expr:
        """All that is known of a channel."""
        return name(f"seen{self._channel(channel)}")

    def setting(self, key: str) -> ast.expr:
        return name(self._settings.setdefault(key, f"setting{len(self._settings)}"))

    def fixed(self, value: ast.expr) -> ast.expr:
        """What the settings alone decide: computed when they are bound."""
        if isinstance(value, ast.Constant | ast.Name):
            return value
        self._count += 1
        self._fixed.append(_assigned(f"fixed{self._count}", value))
        return name(f"fixed{self._count}")

    def called(self, function: Callable[..., Any], arguments: Sequence[ast.expr] | None = None) -> ast.expr:
        """A call of one of our own functions: with `arguments`, or with `seen` and `then`."""
        self._count += 1
        self.things[f"call{self._count}"] = function
        given = [name("seen"), name("then")] if arguments is None else list(arguments)
        return ast.Call(name(f"call{self._count}"), given, [])

    def known(self, value: ast.expr) -> tuple[list[ast.expr], ast.expr]:
        """What tells that `value` is unknown (nothing, if it can't be), and what it is if it isn't. The former is computed first."""
        if isinstance(value, ast.Constant):
            return ([] if value.value is not None else [ast.Constant(True)]), value
        taken, again = self.taken(value)
        return [is_(taken, None)], again

    def taken(self, value: ast.expr) -> tuple[ast.expr, ast.expr]:
        """`value`, to be computed once, and then again by its name."""
        if isinstance(value, ast.Constant | ast.Name):
            return value, value
        self._count += 1
        return ast.NamedExpr(_stored(f"part{self._count}"), value), name(f"part{self._count}")

    def bind(self, body: Sequence[ast.stmt]) -> Bind:
        """The finished function, of which `body` is the end, for any settings."""
        heard = []
        for channel, number in self._channels.items():
            one = ast.Call(ast.Attribute(name("seen"), "get", ast.Load()), [ast.Constant(channel)], [])
            value = ast.Subscript(name(f"seen{number}"), ast.Constant(1), ast.Load())
            heard += [
                _assigned(f"seen{number}", one),
                _assigned(f"value{number}", either(is_(name(f"seen{number}"), None), NONE, value)),
            ]
        inner = _function("holds", ("seen", "then"), [*heard, *body])
        outer = _function("bind", self._settings.values(), [*self._fixed, inner, ast.Return(name("holds"))])
        tree = ast.fix_missing_locations(ast.Module([outer], []))
        made: dict[str, Any] = {"__builtins__": {}, **self.things}
        exec(compile(tree, "<sentence>", "exec"), made)  # noqa: S102 (nothing in it is a text of the user's)
        bind, names = made.pop("bind"), tuple(self._settings)
        return lambda settings: bind(*map(settings.get, names))

    def _channel(self, channel: str) -> int:
        return self._channels.setdefault(channel, len(self._channels))


class Kept:
    """A tuple in a function that grows while it runs."""

    def __init__(self, word: str) -> None:
        self._word = word

    def begin(self) -> ast.stmt:
        return _assigned(self._word, ast.Tuple([], ast.Load()))

    def add(self, constant: int) -> ast.stmt:
        longer = ast.Tuple([ast.Starred(self.value(), ast.Load()), ast.Constant(constant)], ast.Load())
        return _assigned(self._word, longer)

    def value(self) -> ast.expr:
        return name(self._word)


def name(word: str) -> ast.expr:
    return ast.Name(word, ast.Load())


def is_(value: ast.expr, constant: bool | None) -> ast.expr:
    return ast.Compare(value, [ast.Is()], [ast.Constant(constant)])


def either(test: ast.expr, then: ast.expr, otherwise: ast.expr) -> ast.expr:
    return ast.IfExp(test, then, otherwise)


def any_(tests: Sequence[ast.expr]) -> ast.expr:
    return tests[0] if len(tests) == 1 else ast.BoolOp(ast.Or(), list(tests))


def unless(unknown: Sequence[ast.expr], value: ast.expr) -> ast.expr:
    """`value`, or unknown if any part of it is."""
    return either(any_(unknown), NONE, value) if unknown else value


def _stored(word: str) -> ast.Name:
    return ast.Name(word, ast.Store())


def _assigned(word: str, value: ast.expr) -> ast.stmt:
    return ast.Assign([_stored(word)], value)


def _function(word: str, arguments: Any, body: Sequence[ast.stmt]) -> ast.stmt:
    given = ast.arguments(
        posonlyargs=[], args=[ast.arg(one) for one in arguments], kwonlyargs=[], kw_defaults=[], defaults=[]
    )
    return ast.FunctionDef(word, given, list(body), [])
