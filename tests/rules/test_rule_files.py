import asyncio
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from messages.settings import ConfigError
from rules.commands import app
from rules.language.library import load_file, load_rules
from tests import services
from tests.rules.course import KINDS, write_rules

GOOD = """[settings]
limit = { value = 20.0, unit = "%LEL" }

[rules.leak]
level = "red"
title = { zh = "泄漏", en = "Leak" }
raise = "gas_concentration >= limit"
clear = "gas_concentration < 5"
raise_delay = "1min"
latch = true
life_safety = true
"""


def mistake(folder: Path, text: str, kind: str = "gas_alarm") -> str:
    path = write_rules(folder, kind, text)
    with pytest.raises(ConfigError) as caught:
        load_file(path, KINDS)
    return str(caught.value).removeprefix(str(folder) + "/")


def test_a_file_of_the_users_replaces_the_shipped_one(tmp_path: Path) -> None:
    write_rules(tmp_path, "gas_alarm", GOOD)
    rules = load_rules(KINDS, tmp_path)
    leak, *common = rules["gas_alarm"]
    assert {rule.id for rule in common} == {"battery_runs_out", "sensor_faulty", "tampered"}
    assert (leak.raise_delay_ms, leak.clear_delay_ms, leak.lateness_ms) == (60_000, 0, 600_000)
    assert leak.limits() == {"gas_concentration": 20.0}
    assert rules["waste_bin"][0].id == "nearly_full"


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (">= limit", ">= limt", "gas_alarm.toml:7:31: rules.leak.raise: no channel or setting `limt`; did you mean `limit`?"),
        ("gas_concentration <", "gas_concetration <", "gas_alarm.toml:8:10: rules.leak.clear: no channel or setting `gas_concetration`; did you mean `gas_concentration`?"),
        ('unit = "%LEL"', 'unit = "m"', "gas_alarm.toml:7:10: rules.leak.raise: %LEL can't be compared with m"),
        ('level = "red"', 'level = "pink"', "gas_alarm.toml:5:9: rules.leak.level: "),
        ('"red"', '"orange"', 'gas_alarm.toml:11:15: rules.leak.life_safety: life_safety needs level = "red" and latch = true'),
        ("latch = true", "lach = true", "gas_alarm.toml:10:1: rules.leak.lach: is not known here; did you mean `latch`?"),
        ('clear = "gas_concentration < 5"', "", "gas_alarm.toml:4:1: rules.leak.clear: is missing"),
        ('"1min"', '"soon"', "gas_alarm.toml:9:15: rules.leak.raise_delay: "),
        ("limit = {", "alarm_contact = {", "gas_alarm.toml:2:1: settings.alarm_contact: a gas_alarm has a channel of this name"),
        ("[rules.leak]", "[rules.Leak]", "gas_alarm.toml:"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_file_line_and_field(tmp_path: Path, before: str, after: str, said: str) -> None:
    assert before in GOOD
    assert mistake(tmp_path, GOOD.replace(before, after)).startswith(said)


COMMON_FILE = """[rules.runs_out]
level = "blue"
levels = [{ level = "orange", when = "guards_lives" }]
title = { zh = "电量低", en = "Battery low" }
raise = "battery < 15"
clear = "battery > 30"
"""


def test_a_users_file_about_a_channel_replaces_the_shipped_one_for_every_kind(tmp_path: Path) -> None:
    write_rules(tmp_path / "common", "battery", COMMON_FILE)
    rules = load_rules(KINDS, tmp_path)
    for kind in ("manhole_cover", "waste_bin"):
        names = [rule.id for rule in rules[kind]]
        assert "runs_out" in names
        assert "battery_low" not in names


def test_a_kinds_own_rule_wins_over_a_common_one_of_its_name(tmp_path: Path) -> None:
    write_rules(tmp_path, "gas_alarm", GOOD.replace("rules.leak", "rules.tampered"))
    (tampered,) = (rule for rule in load_rules(KINDS, tmp_path)["gas_alarm"] if rule.id == "tampered")
    assert tampered.raise_when.source == "gas_concentration >= limit"


@pytest.mark.parametrize(
    ("stem", "text", "said"),
    [
        ("batery", COMMON_FILE, "no kind has a channel `batery`; did you mean `battery`?"),
        ("battery", COMMON_FILE.replace("battery <", "batery <"), "rules.runs_out.raise: for a bracelet, whose channel `battery` it is about by its name: no channel"),
        ("battery", '[settings]\nbattery = { value = 1.0 }\n' + COMMON_FILE, "settings.battery: a bracelet has a channel of this name"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_common_file_is_named_too(tmp_path: Path, stem: str, text: str, said: str) -> None:
    path = write_rules(tmp_path / "common", stem, text)
    with pytest.raises(ConfigError) as caught:
        load_rules(KINDS, tmp_path)
    assert str(caught.value).startswith(str(path))
    assert said in str(caught.value)


def test_check_lists_what_is_ruled_for_every_kind_with_a_channel(tmp_path: Path) -> None:
    assert (
        "every kind with `battery`, shipped\n  battery_low, blue: battery <= low_battery\n"
        in CliRunner().invoke(app, ["check"]).output
    )
    path = write_rules(tmp_path / "common", "battery", COMMON_FILE)
    output = CliRunner().invoke(app, ["check", str(tmp_path)]).output
    assert f"every kind with `battery`, {path}\n  runs_out, blue: battery < 15\n" in output
    assert f"note: {path} replaces the shipped one; gone: battery_low\n" in output


def test_rules_for_a_kind_that_nobody_knows_are_refused(tmp_path: Path) -> None:
    assert "no kind `gas_alrm` to make rules for; did you mean `gas_alarm`?" in mistake(tmp_path, GOOD, "gas_alrm")


def test_a_file_without_rules_is_a_mistake(tmp_path: Path) -> None:
    assert "rules" in mistake(tmp_path, "[rules]\n")


def test_a_folder_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such folder of rules"):
        load_rules(KINDS, tmp_path / "absent")


def test_check_lists_the_users_rules_alone_when_he_names_them_and_says_which_shipped_ones_they_replace(
    tmp_path: Path,
) -> None:
    path = write_rules(tmp_path / "mine", "gas_alarm", GOOD)
    for argument in (path, path.parent):
        result = CliRunner().invoke(app, ["check", str(argument)])
        assert result.exit_code == 0
        assert (
            f"""gas_alarm, {path}
  leak, red, latched: gas_concentration >= limit, for 1min
    clears: gas_concentration < 5
"""
            in result.output
        )
        assert "waste_bin" not in result.output
        assert f"note: {path} replaces the shipped one\n" in result.output


def test_without_a_folder_check_lists_what_is_shipped_and_the_list_fits_a_terminal() -> None:
    lines = CliRunner().invoke(app, ["check"]).output.splitlines()
    assert "waste_bin, shipped" in lines
    assert max(map(len, lines)) <= 80
    assert "note:" not in "".join(lines)


async def test_what_the_users_file_takes_away_is_said_by_check_and_at_the_start(tmp_path: Path) -> None:
    text = GOOD.replace("gas_concentration", "fill").replace('unit = "%LEL"', 'unit = "%"')
    path = write_rules(tmp_path / "mine", "waste_bin", text)
    note = f"{path} replaces the shipped one; gone: nearly_full, overflowing, heat"
    assert f"note: {note}\n" in CliRunner().invoke(app, ["check", str(path)]).output
    config = tmp_path / "rules.toml"
    lines = ('name = "r"', 'database = "sqlite:///r.db"', 'store = "sqlite:h.db"', 'rules = ["mine"]', "[broker]")
    config.write_text("\n".join((*lines, f"port = {services.free_port()}")))
    command = (sys.executable, services.ROOT / "gridcall.py", "rules", "run", config)
    engine = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    try:
        assert engine.stderr
        first = await asyncio.wait_for(engine.stderr.readline(), 30)
        assert note in first.decode()
        assert "warning" in first.decode()
    finally:
        engine.kill()
        await engine.communicate()


def test_check_ends_with_the_first_mistake(tmp_path: Path) -> None:
    path = write_rules(tmp_path, "gas_alarm", GOOD.replace('limit"', 'limt"'))
    result = CliRunner().invoke(app, ["check", str(path)])
    assert isinstance(result.exception, ConfigError)  # which gridcall.py prints as one line, with exit code 2
    assert str(result.exception).startswith(f"{path}:7:31: rules.leak.raise:")
    assert isinstance(CliRunner().invoke(app, ["check", str(tmp_path / "absent")]).exception, ConfigError)
