import math
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messages.kind import Channel
from messages.reading import Value
from rules.language.seen import NEVER, Seen
from rules.language.sentence import LONGEST, Expression, SentenceError, Setting, parse

CHANNELS = {
    name: Channel.model_validate(
        {
            "name": {"zh": {"gas": "气"}.get(name, name), "en": name},
            "meaning": name,
            "interval": "1min",
            "type": kind,
            "unit": unit,
        }
    )
    for name, kind, unit in (
        ("gas", "number", "%LEL"),
        ("level", "number", "m"),
        ("contact", "boolean", None),
        ("open", "boolean", None),
        ("alarm_off", "boolean", None),
        ("mode", "text", None),
    )
}
SETTINGS = {"depth": Setting(3.0, "m"), "pose": Setting(10.0, "deg"), "armed": Setting(True)}


def sentence(source: str) -> Expression:
    return parse(source, CHANNELS, SETTINGS)


def holds(source: str, **values: Value | None) -> bool | None:
    found: bool | None = computed(sentence(source), {"depth": 3.0, "pose": 10.0, "armed": True, **values})
    return found


def computed(found: Expression, values: Mapping[str, Any]) -> Any:
    """With `values` for its channels and its settings."""
    seen = {name: Seen(0, value, 0, 0) for name, value in values.items() if name in CHANNELS}
    return found.bound({name: value for name, value in values.items() if name not in CHANNELS})(seen, NEVER)


def refusal(source: str) -> str:
    with pytest.raises(SentenceError) as caught:
        sentence(source)
    return str(caught.value)


@pytest.mark.parametrize(
    ("source", "values", "expected"),
    [
        ("gas >= 10", {"gas": 10.0}, True),
        ("gas >= 10", {"gas": 9.9}, False),
        ("gas > 10 or contact", {"gas": 0.0, "contact": True}, True),
        ("not contact and gas < 5", {"gas": 0.0, "contact": False}, True),
        ("level >= 0.8 * depth", {"level": 1.7, "depth": 2.0}, True),
        ("level / depth >= 0.8", {"level": 2.3}, False),
        ("1 < level <= 2", {"level": 2.0}, True),
        ("1 < level <= 2", {"level": 1.0}, False),
        ("abs(level - depth) < 0.5", {"level": 3.4}, True),
        ("max(level, 1, 2) == 2", {"level": 0.0}, True),
        ("min(level, depth) == -(-3)", {"level": 4.0}, True),
        ("mode == 'night'", {"mode": "night"}, True),
        ("contact == true and armed", {"contact": True}, True),
        ("contact != false", {"contact": False}, False),
        ("(level + 1) * 2 - level / 2 > 6.4", {"level": 3.0}, True),
    ],
)
def test_a_sentence_means_what_it_says(source: str, values: dict[str, Value], expected: bool) -> None:
    assert holds(source, **values) is expected


@pytest.mark.parametrize(
    ("source", "values", "expected"),
    [
        ("gas > 1 or contact", {"contact": True}, True),
        ("gas > 1 or contact", {"contact": False}, None),
        ("gas > 1 and contact", {"contact": False}, False),
        ("gas > 1 and contact", {"contact": True}, None),
        ("not contact", {}, None),
        ("contact == open", {"open": True}, None),
        ("1 < level < level / (gas / gas - 1)", {"level": 2.0, "gas": 5.0}, None),
        ("abs(gas) > 1", {"gas": None}, None),
        ("max(level, depth) > 2", {"level": None}, None),
        ("-gas < 1", {}, None),
    ],
)
def test_unknown_spreads_unless_one_side_decides(
    source: str, values: dict[str, Value | None], expected: bool | None
) -> None:
    assert holds(source, **values) is expected


def test_what_is_divided_by_zero_is_unknown_and_so_is_what_overflows() -> None:
    assert holds("level / (level - level) > 1 or contact", level=1.0, contact=False) is None
    assert holds("level * 1e308 * 10 > 1", level=5.0) is None
    assert holds("level * 1e308 * 10 - level * 1e308 * 10 > 1", level=5.0) is None


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("gas > level", "%LEL can't be compared with m"),
        ("gas + level > 1", "%LEL can't be added to m"),
        ("level > pose", "m can't be compared with deg"),
        ("level * depth > level", "m.m can't be compared with m"),
        ("level / depth > level", "1 can't be compared with m"),
        ("1 / level > level", "1/m can't be compared with m"),
        ("min(level, gas) > 1", "can't be set beside"),
        ("gas > contact", "a number can't be compared with a boolean"),
        ("contact > open", "`>` is for numbers"),
        ("mode == 3", "a text can't be compared with a number"),
        ("gas or contact", "`or` wants a boolean, not a number"),
        ("not gas", "`not` wants a boolean"),
        ("-contact > 1", "`-` wants a number"),
        ("contact + 1 > 1", "`+` wants a number"),
        ("abs(level, 1) > 1", "`abs` takes one value"),
        ("max(level) > 1", "`max` takes two values or more"),
        ("level + 1", "a sentence that is true or false is wanted, not a number"),
    ],
)
def test_types_and_units_are_checked_when_it_is_read(source: str, said: str) -> None:
    assert said in refusal(source)


def test_an_unknown_name_is_refused_with_its_place_and_a_suggestion() -> None:
    assert refusal("contact or gsa > 10") == "column 12: no channel or setting `gsa`; did you mean `gas`?"
    assert (
        refusal("(contact or\n  levl > 1)") == "line 2, column 3: no channel or setting `levl`; did you mean `level`?"
    )
    assert refusal("mode == '满' or levl > 1").startswith("column 16:")
    assert "no function `maxx`; did you mean `max`?" in refusal("maxx(gas, 1) > 1")


@pytest.mark.parametrize(
    "source",
    [
        "9**9**9 > 1",
        "__class__",
        "().__class__.__bases__",
        "gas.__class__ == 1",
        "contact if contact else open",
        "lambda: 1",
        "[gas for gas in (1, 2)]",
        "gas[0] > 1",
        "gas in (1, 2)",
        "contact is true",
        "f'{gas}' == 'a'",
        "(gas := 3) > 1",
        "print('x')",
        "abs(x=1) > 1",
        "abs(*gas) > 1",
        "'%s' % gas == 'a'",
        "1 << 10 > 1",
        "1j == 1",
        "b'a' == b'a'",
        "None == None",
        "... == 1",
        "gas > 1or contact",
        "'\\d' == mode",
        "gas >",
        "gas = 1",
        "",
        "\x00",
        "import os",
        "gas > 1; contact",
        "1e999 > 1",
        "9" * 400 + " > 1",
        "(" * 240 + "gas" + ")" * 240 + " > 1",
        "not " * 100 + "contact",
        "-" * 400 + "gas > 1",
        "1 + " * 110 + "1 > gas",
        "-" * 3000 + "gas > 1",
        "1+" * 20_000 + "1 > gas",
        "\ud800 > 1",
    ],
)
def test_hostile_and_broken_sources_are_refused_at_once(source: str) -> None:
    refusal(source)


def test_length_is_limited_before_anything_is_parsed() -> None:
    assert refusal("gas > 1" + " " * LONGEST) == f"column {LONGEST + 1}: longer than {LONGEST} characters"


def test_what_is_deep_enough_to_be_admitted_can_also_be_computed() -> None:
    assert holds("(" * 30 + "gas" + ")" * 30 + " > 1", gas=2.0) is True
    assert holds("not " * 30 + "contact", contact=True) is True
    assert holds("0 + " * 30 + "gas > 1", gas=2.0) is True


def test_channels_stand_in_the_order_of_their_mention_and_settings_are_none() -> None:
    assert sentence("level > 0.8 * depth or gas > 1 or level < 0").channels == ("level", "gas")


def test_limits_are_lines_for_a_chart_in_the_devices_own_settings() -> None:
    found = sentence("level >= 0.8 * depth or 10 <= gas or contact or abs(gas) > 3")
    assert found.limits({"depth": 2.0}) == {"level": 1.6, "gas": 10.0}
    assert sentence("level > gas / gas * depth").limits({"depth": 2.0}) == {}


_NUMBERS = st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False))
_TRUTHS = st.sampled_from([True, False, None])


@given(a=_TRUTHS, b=_TRUTHS, c=_TRUTHS)
def test_and_or_not_are_kleenes(a: bool | None, b: bool | None, c: bool | None) -> None:
    rank = {False: 0, None: 1, True: 2}
    found = computed(sentence("contact and open or not armed"), {"contact": a, "open": b, "armed": c})
    back = {0: False, 1: None, 2: True}
    assert found is back[max(min(rank[a], rank[b]), 2 - rank[c])]


@given(level=_NUMBERS, gas=_NUMBERS, depth=_NUMBERS)
def test_no_value_makes_a_sentence_fail(level: float | None, gas: float | None, depth: float | None) -> None:
    found = sentence("level * 1e300 / depth * 1e300 > 1 or -gas / (gas - gas) > 1 or max(level, depth) - level < 2")
    assert computed(found, {"level": level, "gas": gas, "depth": depth}) in (True, False, None)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(source: str) -> None:
    try:
        sentence(source)
    except SentenceError:
        pass


_WORDS = (
    *"()+-*/<,",
    ">=",
    "==",
    "and",
    "or",
    "not",
    "abs",
    "gas",
    "level",
    "contact",
    "depth",
    "true",
    "1",
    "0.5",
    "'a'",
)


@given(st.lists(st.sampled_from(_WORDS)))
def test_any_words_are_read_or_refused_and_then_computed(words: list[str]) -> None:
    try:
        found = sentence(" ".join(words))
    except SentenceError:
        return
    values = {"gas": 1.0, "level": math.pi, "contact": None, "depth": 0.0}
    assert computed(found, values) in (True, False, None)


@pytest.mark.parametrize(
    ("source", "column", "said"),
    [
        ("gas = 4", 5, "write `==` for `=`"),
        ("gas => 4", 5, "write `>=` for `=>`"),
        ("gas > = 4", 5, "write `>=` for `> =`"),
        ("gas !> 4", 5, "write `<=` for `!>`"),
        ("gas > 4 && contact", 9, "write `and` for `&&`"),
        ("gas > 4 & contact", 9, "write `and` for `&`"),
        ("gas > 4 || contact", 9, "write `or` for `||`"),
        ("contact 且 open", 9, "write `and` for `且`"),
        ("gas 大于等于 4", 5, "write `>=` for `大于等于`"),
        ("gas 大于 4", 5, "write `>` for `大于`"),
        ("!contact", 1, "write `not` for `!`"),
        ("contact OR open", 9, "write `or` for `OR`"),
        ("（contact）", 1, "write `(` for `（`, `)` for `）`"),
        ("gas ≥ 4", 5, "write `>=` for `≥`"),
        ("gas ＞ 4", 5, "write `>` for `＞`"),
        ("gas > ４", 7, "write `4` for `４`"),
        ("gas > 4。", 8, "take `。` out: a sentence ends without a stop"),
        ("gas > 4。5", 8, "write `.` for `。`"),
        ("gas – 1 > 4", 5, "write `-` for `–`"),
        ("gas > 4\u3000and contact", 8, "write a blank for `\\u3000`"),
        ("ga\u200bs > 4", 3, "take out the invisible character U+200B"),
        ("mode == “满”", 9, 'write `"` for `“`, `"` for `”`'),
        ("gas > 4 %LEL", 7, "write `4` for `4 %LEL`: numbers stand without the unit"),
        ("gas > 4.5%", 7, "write `4.5` for `4.5%`: numbers stand without the unit"),
        ("gas > 4 % and contact", 7, "write `4` for `4 %`: numbers stand without the unit"),
        ("gas > 4 °C", 7, "write `4` for `4 °C`: numbers stand without the unit"),
        ("gas > 4℃", 7, "write `4` for `4℃`: numbers stand without the unit"),
        ("level > 80cm", 9, "write `80` for `80cm`: numbers stand without the unit"),
        ("since(contact) > 10min", 18, 'write `"10min"` for `10min`'),
        ("gas > 4 then contact", 9, "`then` does not fit here"),
        ("gas > 1,5", 7, "write `1.5` for `1,5`: the decimal sign is a point"),
        ("gas > 1,500", 7, "write `1500` for `1,500`"),
        ("gas > 010", 7, "write `10` for `010`"),
        ("time_between(22:00, 06:00)", 14, 'write `"22:00"` for `22:00`'),
        ("gas > 4 and", 9, "nothing follows `and`"),
        ("(gas > 4", 1, "`(` is never closed"),
        ("gas > 4)", 8, "`)` was never opened"),
        ("gas between 1 and 4", 5, "`between` does not fit here"),
        ("  ", 1, "there is no sentence"),
        ("alarm-off and contact", 1, "write `alarm_off` for `alarm-off`"),
        ("alarm off and contact", 1, "write `alarm_off` for `alarm off`"),
        ("GAS > 4", 1, "no channel or setting `GAS`; did you mean `gas`?"),
        ("气 > 4", 1, "no channel or setting `气`; did you mean `gas`?"),
        ("hour > 4", 1, "`hour` is a function: write hour(…)"),
        ("contact is true", 12, "the comparison before `true` is no part of the language; write =="),
        ("contact == 1", 1, "a boolean can't be compared with a number; write `contact` by itself, or `not contact`"),
        ('gas > "4"', 1, "a number can't be compared with a text; names and numbers stand without quotes"),
        (
            'contact and time_between("22：00", "06:00")',
            26,
            "a time of day such as \"22:30\" is wanted, not '22：00' (`：` in it is U+FF1A, fullwidth colon)",
        ),
        (
            'avg(gas, "10 分钟") > 4',
            10,
            'a duration such as "500ms", "10s", "5min" or "1h30min" is wanted, not \'10 分钟\'; did you mean `10min`?',
        ),
    ],
)
def test_what_people_write_by_habit_is_told_what_to_write_instead(source: str, column: int, said: str) -> None:
    assert refusal(source) == f"column {column}: {said}"


def test_a_habit_in_a_later_line_is_found_there() -> None:
    assert refusal("mode == '且' and\n gas = 4") == "line 2, column 6: write `==` for `=`"


@pytest.mark.parametrize(
    "source", ["mode == '＞4 且 = 4 %LEL'", "mode == '“'", "ｇａｓ > 1e5 or contact", "gas > 4 or open"]
)
def test_what_can_be_read_is_no_habit(source: str) -> None:
    parse(source, CHANNELS, SETTINGS)


@pytest.mark.parametrize("source", ["gas >", "gas > 4 or", "1 if contact else 2", "gas % 4 == 1", "9 % 4 == gas"])
def test_other_mistakes_keep_their_own_words(source: str) -> None:
    assert "write" not in refusal(source)
    assert "join" not in refusal(source)


@pytest.mark.parametrize(
    ("contact_at_ms", "open_at_ms", "expected"),
    [
        (1_000, 12_000, True),
        (1_000, 11_000, False),
        (12_000, 1_000, False),
        (None, 12_000, True),
        (1_000, None, None),
    ],
)
def test_before_says_what_changed_long_before_what(
    contact_at_ms: int | None, open_at_ms: int | None, expected: bool | None
) -> None:
    times = (("contact", contact_at_ms), ("open", open_at_ms))
    seen = {name: Seen(0, True, 0, at_ms or 0, changed=at_ms is not None) for name, at_ms in times}
    asked = sentence("before(contact, open) > 10")
    assert asked.bound({})(seen, NEVER) is expected
    assert asked.channels == ("contact", "open")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("before(contact) > 10", "`before` takes two channels: before(card, door_open)"),
        ("before(contact, 5) > 10", "`before` wants a channel here, not `5`"),
        ("before(contact, opem) > 10", "no channel `opem`; did you mean `open`?"),
        ("before(contact, depth) > 10", "no channel `depth`"),
        ("before(contact, open)", "a sentence that is true or false is wanted"),
        ("before(contact, open) > level", "m"),
    ],
)
def test_before_is_for_two_channels(source: str, said: str) -> None:
    assert said in refusal(source)
