from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from collector.commands import app, printable
from collector.config import load
from collector.delivery import Announced, Delivery
from collector.devices import Devices
from collector.intake import judge
from collector.quarantine import Quarantine
from collector.stores.sqlite import SqliteStore
from messages import topics
from messages.settings import ConfigError
from tests.collector.block import (
    EDGE,
    GAS,
    KINDS,
    NOW_MS,
    ORIGIN,
    SITE,
    announcement,
    packed,
    reading,
)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "collector.toml"
    path.write_text('name = "c"\nstore = "sqlite:history.db"\nfolder = "state"\n[broker]\n')
    (tmp_path / "state").mkdir()
    return path


def keep(config: Path, *payloads: bytes) -> None:
    quarantine = Quarantine(load(config).folder / "quarantine.db")
    topic = topics.readings(SITE, EDGE)
    quarantine.settle(
        Delivery(
            topic=topic,
            payload=payload,
            received_at_ms=NOW_MS,
            origin=ORIGIN,
            verdict=judge(payload, ORIGIN, {}, KINDS, NOW_MS),
        )
        for payload in payloads
    )
    quarantine.close()


def called(*words: str) -> Result:
    return CliRunner().invoke(app, words)


def test_check_says_what_the_configuration_means(config: Path) -> None:
    result = called("check", str(config))
    assert result.exit_code == 0
    for words in ("collector.toml: good", "127.0.0.1:1883, as gridcall-c", "sqlite:history.db, kept for ever"):
        assert words in result.output


def test_the_list_has_every_message_with_its_reasons(config: Path) -> None:
    keep(config, packed(reading(), reading(at_ms=NOW_MS - 1)), b"\x1b[2Jno pack")
    header, first, why, second, why_not = called("quarantine", "list", str(config)).output.splitlines()
    assert header.split() == ["ID", "ARRIVED", "(UTC)", "BYTES", "TOPIC"]
    assert first.split()[:2] == ["1", "2026-11-18T11:06:40Z"]
    assert first.endswith("gridcall/1/junmen/pi-1/readings")
    assert header.index("TOPIC") == first.index("gridcall/1/") == second.index("gridcall/1/")
    assert why.strip() == "unknown-device: pi-1 has not announced gas-1 (2×)"
    assert why_not.strip().startswith("malformed: ")
    assert "\x1b" not in why_not
    assert max(map(len, (first, why))) <= 80


def test_a_quarantine_without_messages_is_said_to_be_empty(config: Path) -> None:
    keep(config)
    assert called("quarantine", "list", str(config)).output == "the quarantine is empty\n"


@pytest.mark.parametrize("words", [["list"], ["show", "1"], ["retry"]])
def test_before_the_first_run_there_is_no_quarantine(config: Path, words: list[str]) -> None:
    command, *more = words
    result = called("quarantine", command, str(config), *more)
    assert isinstance(result.exception, ConfigError)
    assert str(result.exception) == "no quarantine yet; has the collector run?"
    assert not list((config.parent / "state").iterdir())


def test_one_message_is_shown_as_it_came_but_harmless(config: Path) -> None:
    keep(config, packed(reading()), b'{"x": "\x1b[2J"', b'{"n":1.50}')
    shown = called("quarantine", "show", str(config), "1").output
    assert '"n":"gas_concentration"' in shown
    assert called("quarantine", "show", str(config), "3").output.endswith('\n{"n":1.50}\n')
    assert "unknown-device, 1 records: pi-1 has not announced gas-1" in shown
    assert '{"x": "\\x1b[2J"' in called("quarantine", "show", str(config), "2").output


def test_a_message_that_is_not_there_is_said_so(config: Path) -> None:
    keep(config, b"x")
    result = called("quarantine", "show", str(config), "9")
    assert isinstance(result.exception, ConfigError)
    assert "no message 9 in quarantine" in str(result.exception)


def test_retry_stores_what_is_good_by_now(config: Path) -> None:
    keep(config, packed(reading()), b"never good")
    devices = Devices(config.parent / "state/devices.db")
    devices.load()
    devices.save([Announced((SITE, EDGE, GAS), announcement("gas_alarm"))])
    devices.close()
    assert called("quarantine", "retry", str(config)).output == "1 of 2 messages left the quarantine\n"
    store = SqliteStore(config.parent / "history.db")
    assert [one.device for one in store.readings(SITE, EDGE, 0, NOW_MS)] == [GAS]
    store.close()


def test_every_command_explains_itself() -> None:
    for words in (["run"], ["check"], ["quarantine", "list"], ["quarantine", "show"], ["quarantine", "retry"]):
        assert "CONFIG" in called(*words, "--help").output


def test_printable_keeps_letters_of_every_script_and_no_control() -> None:
    assert printable("3号楼\n\x9b31m\u202e") == "3号楼\n\\x9b31m\\x202e"
