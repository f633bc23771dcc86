"""What `gridcall rules check` says to whoever writes rules: each mistake once, at its character, in the order of the file, in his language."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from messages.settings import ConfigError
from rules.commands import app
from tests.rules.course import write_rules

CHECK = CliRunner()
GOOD = """[settings]
limit = { value = 10.0, unit = "%LEL" }

[rules.leak]
level = "orange"
title = { zh = "{place}燃气", en = "Gas, {place}" }
raise = "gas_concentration >= limit"
raise_delay = "30s"
clear = "gas_concentration < 0.5 * limit"
"""
OTHER = """
[rules.other]
level = "yellow"
title = { zh = "报警", en = "Alarm" }
raise = "alarm_contact"
clear = "not alarm_contact"
"""


def checked(folder: Path, text: str, *more: str, language: str = "en") -> Result:
    path = write_rules(folder, "gas_alarm", text)
    return CHECK.invoke(app, ["check", str(path), "--language", language, *more])


def said(found: Result) -> list[str]:
    """Each message without its file: place, field and words."""
    words = found.output + (str(found.exception) if isinstance(found.exception, ConfigError) else "")
    return re.findall(r"gas_alarm\.toml:(\d.*)", words)


def places(found: Result) -> list[str]:
    return [":".join(one.split(":")[:2]) for one in said(found)]


def test_a_good_file_has_nothing_to_be_said_of(tmp_path: Path) -> None:
    found = checked(tmp_path, GOOD + OTHER)
    assert (found.exit_code, said(found)) == (0, [])


@pytest.mark.parametrize(
    ("good", "bad", "place"),
    [
        ("raise = ", "rasie = ", "7:1: rules.leak.rasie: is not known here; did you mean `raise`?"),
        ('"orange"', '"Orange"', "5:9: rules.leak.level: should be 'red', 'orange', 'yellow' or 'blue', not 'Orange'"),
        ("燃气", "｛place｝燃气", "6:24: rules.leak.title.zh: write {place} for ｛place｝: nothing is filled in there"),
        ("Gas, {place}", "Gas, {palce}", "6:41: rules.leak.title.en: no channel, setting or part of the place `palce`;"),
        ("Gas, {place}", " ", "6:35: rules.leak.title.en: there is nothing to read in it"),
        (', en = "Gas, {place}"', "", "6:1: rules.leak.title.en: is missing"),
        ('"30s"', '"-30s"', "8:15: rules.leak.raise_delay: a duration such as "),
        ('"30s"', '"9000d"', "8:15: rules.leak.raise_delay: at most 366 days, not '9000d'"),
        ("clear = ", "# clear = ", "4:1: rules.leak.clear: is missing"),
        ("limit = {", "limit = 10 #", "2:9: settings.limit: should be a table, not 10"),
        ("limit = {", "limti = {", "7:31: rules.leak.raise: no channel or setting `limit`; did you mean `limti`?"),
        ("limit = {", "and = {", "2:1: settings.and: `and` is a word of the rules' language; choose another name"),
        ("limit = {", "my-limit = {", "2:1: settings.my-limit: a setting is lower-case letters, digits and underscores"),
        ("limit = {", "more = { value = true }\nlimit = {", "2:1: settings.more: no rule speaks of this setting"),
        ('"gas_concentration >= limit"', "gas", "7:9: not TOML: Invalid value; text stands in double quotes"),
        ('"gas_concentration >= limit"', "“x”", '7:9: not TOML: Invalid value; `“` is a sign of a Chinese keyboard: type "'),
        ('>= limit"', '>= limit and time_between("1:00", "2:00")"', "7:55: not TOML: Expected newline or end of document"),
        (">= limit", ">= limit，", "7:36: rules.leak.raise: write `,` for `，`"),
        ('"gas_concentration >= limit"', '"""\ngas_concentration >= limit\n  or alarm"""', "9:6: rules.leak.raise: no channel or"),
        ("limit\"\nraise", 'limit or changed(alarm_contact, \\"x\\")"\nraise', "7:63: rules.leak.raise: a duration such as "),
        ("gas_concentration >= limit", "true", "7:10: rules.leak.raise: it raises whatever is measured"),
        ("gas_concentration >= limit", "gas_concentration >= -10", "7:10: rules.leak.raise: it raises whatever is measured"),
        (
            "gas_concentration >= limit",
            "time_between('8:00', '8:00')",
            "7:10: rules.leak.raise: it can never raise: `time_between('8:00', '8:00')` can't be true: it is false",
        ),
        ('"30s"', '"30s"\ngathers = ["sewer_level.hihg"]', "9:13: rules.leak.gathers.0: sewer_level has no rule `hihg`; did"),
        ('"30s"', '"30s"\nlife_safety = true', '9:15: rules.leak.life_safety: life_safety needs level = "red" and latch'),
        (
            '"30s"',
            '"30s"\nlevels = [{ level = "red", when = "alarm_contact and tamper" }, { level = "blue", when = "tamper" }]',
            "9:75: rules.leak.levels.1.level: blue is not graver than the rule's own, orange",
        ),
        (
            '"30s"',
            '"30s"\nlevels = [{ level = "red", when = "gas_concentration > 2000" }, { level = "red", when = "alarm_contact" }]',
            "9:36: rules.leak.levels.0.when: it can never be red: ",
        ),
    ],
)  # fmt: skip
def test_a_mistake_is_named_at_its_character(tmp_path: Path, good: str, bad: str, place: str) -> None:
    found = said(checked(tmp_path, GOOD.replace(good, bad, 1)))
    assert found[0].startswith(place)


@pytest.mark.parametrize("end", ["\r\n", "\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_windows_marks_and_line_ends_change_no_place(tmp_path: Path, end: str, mark: str) -> None:
    path = tmp_path / "gas_alarm.toml"
    text = mark + GOOD.replace(">= limit", ">= limt").replace("\n", end)
    path.write_bytes(text.encode())
    assert places(CHECK.invoke(app, ["check", str(path)])) == ["7:31"]


def test_a_sentence_that_stands_in_another_one_is_found_where_it_stands_itself(tmp_path: Path) -> None:
    levels = 'levels = [{ level = "red", when = "onn and tamper" }, { level = "red", when = "onn" }]'
    found = places(checked(tmp_path, GOOD.replace('"30s"', f'"30s"\n{levels}')))
    assert found == ["9:36", f"9:{levels.rindex('onn') + 1}"]


def test_all_mistakes_of_a_file_are_said_at_once_in_its_order_each_of_them_once(tmp_path: Path) -> None:
    text = GOOD.replace("{place}燃气", "{plac}").replace(">= limit", ">= limt").replace("clear = ", "clera = ")
    text += OTHER.replace('"alarm_contact"', '"alarm = true"').replace("not alarm_contact", "not alarm")
    found = said(checked(tmp_path, text + OTHER.replace("other", "third")))
    assert [one.split(": ")[1] for one in found] == ["rules.leak.clera", "rules.other.raise", "rules.other.clear"]
    # what is in the rule with the wrong name comes once that is mended
    found = said(checked(tmp_path, text.replace("clera = ", "clear = ")))
    assert [one.split(": ")[1] for one in found] == [
        "rules.leak.title.zh",
        "rules.leak.raise",
        "rules.other.raise",
        "rules.other.clear",
    ]


def test_the_mark_stands_under_its_character_behind_chinese_ones_too(tmp_path: Path) -> None:
    found = checked(tmp_path, GOOD.replace("{place}燃气", "燃气{palce}"))
    line, mark = str(found.exception).splitlines()[1:3]
    columns = sum(2 if one in "燃气" else 1 for one in line[: line.index("palce")])
    assert mark == f"{' ' * columns}^"


def test_of_a_long_line_the_part_around_the_mistake_is_shown(tmp_path: Path) -> None:
    found = checked(tmp_path, GOOD.replace(">= limit", f">= limit{' or alarm_contact' * 12} or alrm"))
    line, mark = str(found.exception).splitlines()[1:3]
    assert line.startswith("    …")
    assert len(line) < 140
    assert line[mark.index("^") :].startswith("alrm")


def test_one_file_that_can_not_be_read_makes_no_mistake_of_another(tmp_path: Path) -> None:
    write_rules(tmp_path, "gas_alarm", "nonsense")
    text = """[settings]
deep = { value = 2.0, unit = "m" }
[rules.high]
level = "yellow"
title = { zh = "高", en = "High" }
raise = 'count_devices("sewer_level", "water_level >= deep", within="500m") >= 2'
clear = 'count_devices("sewer_level", "water_level >= deep", within="500m") < 2'
"""
    write_rules(tmp_path, "sewer_level", text)
    found = CHECK.invoke(app, ["check", str(tmp_path)])
    assert isinstance(found.exception, ConfigError)
    assert "sewer_level" not in str(found.exception)


def test_a_setting_of_which_only_the_neighbourhood_speaks_is_not_idle(tmp_path: Path) -> None:
    text = GOOD.replace("limit = {", 'near = { value = 2.0, unit = "%LEL" }\nlimit = {').replace(
        'raise = "gas_concentration >= limit"',
        'raise = \'count_devices("gas_alarm", "gas_concentration >= near", within="grid") > limit / limit\'',
    )
    assert said(checked(tmp_path, text)) == []


def test_what_a_users_file_takes_from_a_shipped_one_is_no_fault_of_that_one(tmp_path: Path) -> None:
    text = GOOD.replace("gas_concentration", "water_level").replace("%LEL", "m").replace("燃气", "水位")
    found = CHECK.invoke(app, ["check", str(write_rules(tmp_path, "sewer_level", text)), "--language", "en"])
    assert "note: " in found.output
    assert "warning: " not in found.output  # the storm of a site gathers alarms of the shipped file


def test_check_speaks_the_language_that_is_asked_for(tmp_path: Path) -> None:
    found = checked(tmp_path, GOOD.replace("limit = {", "more = { value = true }\nlimit = {") + OTHER, language="zh")
    assert "  other, 黄: alarm_contact\n    解除：not alarm_contact\n" in found.output
    assert "警告：" in found.output
    assert "settings.more: 没有规则用到这个设置" in found.output
    wrong = checked(tmp_path, GOOD.replace(">= limit", ">= limt"), language="zh")
    assert "rules.leak.raise: 没有通道或设置 `limt`；是不是 `limit`？\n    raise = " in str(wrong.exception)
    assert checked(tmp_path, GOOD, language="de").exit_code != 0


def test_a_file_of_which_nothing_can_be_read_is_not_listed_as_if_it_had_no_rules(tmp_path: Path) -> None:
    found = checked(tmp_path, "rules = 3\n")
    assert found.exit_code != 0
    assert "gas_alarm, " not in found.output
