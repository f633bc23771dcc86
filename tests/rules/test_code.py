"""A sentence's function beside the plainest reading of the language: one that walks the sentence's tree anew each time."""

import ast
import math
import operator
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from messages.kind import Channel
from messages.reading import Value
from rules.language.seen import NEVER, Seen
from rules.language.sentence import LONGEST, Setting, parse

TYPES = {"gas": "number", "level": "number", "contact": "boolean", "open": "boolean", "mode": "text"}
CHANNELS = {
    name: Channel.model_validate({"name": {"zh": name, "en": name}, "meaning": name, "interval": "1min", "type": kind})
    for name, kind in TYPES.items()
}
SETTINGS: dict[str, Value] = {"depth": 3.0, "zero": 0.0, "armed": True, "wanted": "auto"}

_number = st.sampled_from(["gas", "level", "depth", "zero", "0", "1", "2.5", "1e308", "given(gas, 2)"])
_numbers = st.recursive(
    _number,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda parts: f"({' '.join(parts)})"),
        inner.map(lambda one: f"(-{one})"),
        inner.map(lambda one: f"abs({one})"),
        st.tuples(st.sampled_from(["min", "max"]), inner, inner).map(lambda parts: "{}({}, {})".format(*parts)),
    ),
    max_leaves=4,
)
_sign = st.sampled_from(["<", "<=", ">", ">=", "==", "!="])
_leaf = st.one_of(
    st.tuples(_numbers, _sign, _numbers).map(" ".join),
    st.tuples(_number, _sign, _number, _sign, _number).map(" ".join),
    st.sampled_from(["contact", "open", "armed", "true", "given(open, true)", 'mode == "auto"', "mode != wanted"]),
)
SENTENCES = st.recursive(
    _leaf,
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=4).map(lambda some: f"({' and '.join(some)})"),
        st.lists(inner, min_size=2, max_size=4).map(lambda some: f"({' or '.join(some)})"),
        inner.map(lambda one: f"(not ({one}))"),
    ),
    max_leaves=6,
)
_MEASURED = st.none() | st.sampled_from([-1.0, 0.0, 1.0, 2.5, 3.0, 1e308])
VALUES = st.fixed_dictionaries(
    {},
    optional={
        "gas": _MEASURED,
        "level": _MEASURED,
        "contact": st.none() | st.booleans(),
        "open": st.none() | st.booleans(),
        "mode": st.none() | st.sampled_from(["auto", "off"]),
    },
)
OWN = st.fixed_dictionaries({"depth": st.sampled_from([0.0, 1.0, 3.0]), "armed": st.booleans()})


@settings(deadline=None)
@given(SENTENCES, st.lists(VALUES, min_size=1, max_size=4), OWN)
def test_a_function_says_what_its_sentence_says_of_known_and_unknown_values(
    source: str, courses: list[dict[str, Value | None]], own: dict[str, Value]
) -> None:
    known = SETTINGS | own
    assume(len(source) <= LONGEST)
    found = parse(source, CHANNELS, {name: Setting(value) for name, value in SETTINGS.items()})
    holds = found.bound(known)
    for values in courses:
        seen = {name: Seen(0, value, 0, 0) for name, value in values.items()}
        said = holds(seen, NEVER)
        meant = _read(ast.parse(source, mode="eval").body, values, known)
        assert said is meant, (source, values, known)


_ACTS: dict[type, Any] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


_FUNCTIONS: dict[str, Any] = {"abs": abs, "min": min, "max": max}


def _read(node: ast.expr, values: dict[str, Value | None], settings: dict[str, Value]) -> Any:
    """What `node` means, by Kleene's tables."""

    def of(part: ast.expr) -> Any:
        return _read(part, values, settings)

    def all_of(parts: list[bool | None]) -> bool | None:
        return False if False in parts else None if None in parts else True

    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=word):
            return True if word == "true" else values.get(word) if word in TYPES else settings[word]
        case ast.Call(func=ast.Name(id="given"), args=[ast.Name(id=word), otherwise]):
            return values[word] if word in values else of(otherwise)
        case ast.Call(func=ast.Name(id=word), args=parts):
            some = [of(part) for part in parts]
            return None if None in some else _FUNCTIONS[word](*some)
        case ast.UnaryOp(op=ast.Not(), operand=part):
            return None if (one := of(part)) is None else not one
        case ast.UnaryOp(operand=part):
            return None if (one := of(part)) is None else -one
        case ast.BoolOp(op=ast.And(), values=parts):
            return all_of([of(part) for part in parts])
        case ast.BoolOp(values=parts):
            opposite = all_of([None if (one := of(part)) is None else not one for part in parts])
            return None if opposite is None else not opposite
        case ast.Compare(left=left, ops=signs, comparators=others):
            sides = [of(left), *map(of, others)]
            pairs = zip(signs, sides, sides[1:], strict=False)
            return all_of([None if a is None or b is None else _ACTS[type(sign)](a, b) for sign, a, b in pairs])
        case ast.BinOp(left=left, op=sign, right=right):
            if (a := of(left)) is None or (b := of(right)) is None or (isinstance(sign, ast.Div) and b == 0):
                return None
            result = _ACTS[type(sign)](a, b)
            return result if math.isfinite(result) else None
    raise AssertionError(ast.dump(node))
