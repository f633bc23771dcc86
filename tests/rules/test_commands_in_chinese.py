"""The commands of the server that were English alone: what they say to whoever reads Chinese."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from collector.stores.choose import open_store
from messages.settings import ConfigError
from rules.commands import app
from tests.rules.room import Room

CONFIG = 'name = "rules-1"\ndatabase = "sqlite:///rules.db"\nstore = "sqlite:history.db"\n[broker]\n'


@pytest.fixture
def config(tmp_path: Path) -> Path:
    room = Room(tmp_path)
    room.announce("valve-1", "gas_valve")
    room.announce("pi-1", "edge_agent")
    room.database.close()
    path = tmp_path / "rules.toml"
    path.write_text(CONFIG)
    return path


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["refusals"], "没有被拒绝的内容"),
        (["webhooks", "list"], "没有 webhook"),
        (["audit"], "日志与表一致"),
        (["shadow"], "影子规则没有报出任何告警"),
        (["backtest", "--since", "1h"], "这段时间的历史里没有读数"),
    ],
)
def test_what_a_command_prints_is_chinese_where_that_is_wanted(config: Path, words: list[str], said: str) -> None:
    open_store("sqlite:history.db", base=config.parent).setup(None)
    result = CliRunner().invoke(app, [*words, str(config), "--language", "zh"])
    assert said in result.output, result.exception


def test_who_is_called_is_said_in_the_language_chosen() -> None:
    sites = str(Path(__file__).parent.parent.parent / "deploy/sites")
    said = (
        CliRunner()
        .invoke(app, ["roster", "who", sites, "junmen", "--at", "2026-10-14T10:00", "--language", "zh"])
        .output
    )
    assert "3 部门\n    无人值班（department:facilities）：转值班台\n" in said
    with pytest.raises(ConfigError) as caught:
        CliRunner().invoke(app, ["roster", "who", sites, "junmn"], catch_exceptions=False)
    assert caught.value.said("zh") == f"{sites}: 没有社区 `junmn`；是不是 `junmen`？"


def test_a_hole_in_a_roster_is_said_with_its_day_in_the_language_chosen(tmp_path: Path) -> None:
    text = (Path(__file__).parent.parent.parent / "deploy/sites/junmen.toml").read_text(encoding="utf-8")
    (tmp_path / "junmen.toml").write_text(
        re.sub(r'role = "(?:community|street)"', 'role = "helper"', text), encoding="utf-8"
    )
    said = CliRunner().invoke(app, ["roster", "check", str(tmp_path), "--days", "1", "--language", "zh"]).output
    assert re.search(r"第 2 级 街道：周[一二三四五六日] \d{4}-\d\d-\d\d \d\d:\d\d 到 周.*无人值班", said), said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["forget", "junmen/pi-9", "--actor", "li", "--reason", "r"], "没有边缘网关"),
        (["tell", "valve-2", "close", "--actor", "li"], "没有设备通告过 `valve-2`；是不是 `valve-1`？"),
        (["webhooks", "enable", "city"], "从未有过 webhook"),
        (["backtest", "--site", "junmn"], "没有 `junmn` 的任何设备"),
    ],
)
def test_what_is_wrong_is_said_in_chinese_too(config: Path, words: list[str], said: str) -> None:
    name = 2 if words[0] == "webhooks" else 1
    result = CliRunner().invoke(app, [*words[:name], str(config), *words[name:]])
    assert isinstance(result.exception, ConfigError)
    assert said in result.exception.said("zh")
