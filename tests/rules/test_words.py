"""What a rule tells people, in both languages, with values and place in it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messages.announcement import Place
from messages.direction import one_line
from messages.reading import Value
from messages.settings import ConfigError, Text
from rules.language.library import load_file
from rules.language.rule import Rule
from rules.language.words import fill
from tests.rules.course import KINDS, RULES, reading, write_rules
from tests.rules.room import PLACE, Room

LEAK = """[settings]
limit = {{ value = 10.0, unit = "%LEL" }}

[rules.leak]
level = "yellow"
title = {{ zh = "{zh}", en = "{en}" }}
raise = "gas_concentration >= limit"
clear = "gas_concentration < 5"
levels = [{{ level = "red", when = "gas_concentration >= 20" }}]
"""


def leak(folder: Path, zh: str, en: str) -> Rule:
    (rule,) = load_file(write_rules(folder, "gas_alarm", LEAK.format(zh=zh, en=en)), KINDS)
    return rule


def test_values_and_the_place_are_filled_in_in_both_languages(tmp_path: Path) -> None:
    rule = leak(
        tmp_path,
        "{place}燃气{gas_concentration} %LEL，触点：{alarm_contact}",
        "{place}: {gas_concentration} of {limit}",
    )
    title, advice = rule.told({"gas_concentration": 23.456, "alarm_contact": True}, PLACE, "gas-1")
    assert title == Text(zh="3号楼2单元101厨房燃气23.5 %LEL，触点：报警", en="3号楼2单元101厨房: 23.5 of 10")
    assert advice is None


def test_a_number_is_as_fine_as_its_channel_is_reported() -> None:
    channels = KINDS["sewer_level"].channels
    text = Text(zh="{water_level}", en="{water_level}")
    for value, shown in ((2.4567, "2.46"), (-0.001, "0.00"), (12, "12.00")):
        assert fill(text, channels, {}, {"water_level": value}, PLACE, "d").en == shown


def test_what_is_not_known_is_a_dash_and_no_failure(tmp_path: Path) -> None:
    assert leak(tmp_path, "{gas_concentration}", "{gas_concentration}").told({}, PLACE, "gas-1")[0].en == "—"


@pytest.mark.parametrize(
    ("en", "said"),
    [
        (
            "{gas_concentratio}",
            "toml:6:28: rules.leak.title.en: no channel, setting or part of the place `gas_concentratio`; did you mean `gas_concentration`?",
        ),
        ("{}", "no channel, setting or part of the place ``"),
        ("{place", "a `{` by itself; write a brace that people are to read twice"),
        ("{gas_concentration:.1f}", "only the name stands in the braces"),
        ("{place.grid}", "no channel, setting or part of the place `place.grid`"),
        ("{place!r}", "only the name stands in the braces"),
    ],
)
def test_what_can_not_be_filled_in_is_refused_when_the_file_is_read(tmp_path: Path, en: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        leak(tmp_path, "x", en)
    assert said in str(caught.value)


def test_a_brace_itself_is_written_twice(tmp_path: Path) -> None:
    assert leak(tmp_path, "x", "{{{grid}}}").told({}, PLACE, "gas-1")[0].en == "{g1}"


def test_an_alarm_speaks_of_its_place_and_of_its_values_and_says_more_when_it_becomes_graver(tmp_path: Path) -> None:
    write_rules(
        tmp_path, "gas_alarm", LEAK.format(zh="{gas_concentration}", en="{device} in {grid}: {gas_concentration}")
    )
    room = Room(tmp_path)
    room.facts.rules = {**room.facts.rules, "gas_alarm": load_file(tmp_path / "gas_alarm.toml", KINDS)}
    room.announce("gas-1", "gas_alarm")
    room.hear(reading(1, "gas_concentration", 12.0, device="gas-1"))
    assert room.the_alarm().title == Text(zh="12.0", en="gas-1 in g1: 12.0")
    room.hear(reading(2, "gas_concentration", 25.0, device="gas-1"))
    assert room.the_alarm().title == Text(zh="25.0", en="gas-1 in g1: 25.0")


def test_every_shipped_text_can_be_filled_in_whatever_is_known() -> None:
    for rule in (rule for rules in RULES.values() for rule in rules):
        title, _ = rule.told({}, PLACE, "d")
        assert title.zh
        assert title.en


@given(st.text(max_size=40), st.text(max_size=40), st.floats(allow_nan=False) | st.booleans() | st.text(max_size=300))
def test_no_device_name_place_or_value_breaks_a_text(device: str, where: str, value: Value) -> None:
    channels = {"mode": KINDS["waste_bin"].channels["fill"]}
    text = Text(zh="{mode}{place}", en="{mode} {device}")
    told = fill(text, channels, {}, {"mode": value}, Place.model_construct(grid="g", text=where), device)
    assert told.zh.endswith(one_line(where))
    assert not set("\n\r\u2028\u202e") & set(told.zh), (
        "a device begins no line of its own in a message, and turns none about"
    )
