from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from collector.commands import app
from collector.config import load
from collector.intake.delivery import Announced, Delivery
from collector.intake.devices import Devices
from collector.intake.judge import judge
from collector.quarantine.commands import hex_rows, printable
from collector.quarantine.kept import Quarantine
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
    lines = called("quarantine", "list", str(config)).output.splitlines()
    counted, (header, first, why, second, why_not) = lines[:3], lines[4:]
    assert [line.split() for line in counted] == [
        ["MESSAGES", "RECORDS", "REASON", "DEVICE"],
        ["1", "1", "malformed", "junmen/pi-1/?"],
        ["1", "2", "unknown-device", "junmen/pi-1/gas-1"],
    ]
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


@pytest.mark.parametrize("words", [["list"], ["show", "1"], ["retry"], ["drop", "1"]])
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


def test_the_list_can_be_of_one_reason_or_device(config: Path) -> None:
    keep(config, packed(reading()), b"no pack")
    listed = called("quarantine", "list", str(config), "--reason", "malformed").output
    assert "unknown-device" not in listed
    assert "malformed: not JSON" in listed
    assert called("quarantine", "list", str(config), "--device", "gas-7").output == (
        "nothing of that kind is in quarantine\n"
    )


def test_raw_bytes_come_as_they_came_and_what_is_no_text_is_shown_in_hexadecimal(config: Path) -> None:
    payload = b"\x00\xffno text\n" + bytes(range(20))
    keep(config, payload)
    result = CliRunner().invoke(app, ["quarantine", "show", str(config), "1", "--raw"])
    assert result.stdout_bytes == payload
    shown = called("quarantine", "show", str(config), "1").output
    assert "00000000  00 ff 6e 6f 20 74 65 78 74 0a 00 01 02 03 04 05  ..no text......." in shown
    assert "bytes     30" in shown


def test_a_hex_dump_says_every_byte() -> None:
    payload = bytes(range(256)) + b"x"
    rows = list(hex_rows(payload))
    assert bytes.fromhex("".join(row[10:58] for row in rows)) == payload
    assert [row[:8] for row in rows] == [f"{at:08x}" for at in range(0, 257, 16)]


def test_messages_are_dropped_when_it_is_said_which(config: Path) -> None:
    keep(config, packed(reading()), b"a", b"b", b"c")
    for unclear in ([], ["--all", "2"]):
        refused = called("quarantine", "drop", str(config), *unclear)
        assert isinstance(refused.exception, ConfigError)
        assert "which messages?" in str(refused.exception)
    assert called("quarantine", "drop", str(config), "2", "3").output == "2 messages dropped\n"
    assert called("quarantine", "drop", str(config), "--reason", "malformed").output == "1 messages dropped\n"
    listed = CliRunner().invoke(app, ["quarantine", "list", str(config)])
    assert listed.stdout.count("unknown-device: ") == 1
    assert "3 were dropped by hand" in listed.stderr
    assert called("quarantine", "drop", str(config), "--all").output == "1 messages dropped\n"


def test_every_command_explains_itself() -> None:
    for words in (
        ["run"],
        ["check"],
        ["quarantine", "list"],
        ["quarantine", "show"],
        ["quarantine", "retry"],
        ["quarantine", "drop"],
    ):
        assert "CONFIG" in called(*words, "--help").output


def test_printable_keeps_letters_of_every_script_and_no_control() -> None:
    assert printable("3号楼\n\x9b31m\u202e") == "3号楼\n\\x9b31m\\x202e"


def test_setup_makes_the_store_and_says_what_it_did_and_again(config: Path) -> None:
    config.write_text(config.read_text().replace("folder =", 'retention = "365d"\nmost_series = 7\nfolder ='))
    first, again = called("setup", str(config)), called("setup", str(config))
    assert (first.exit_code, again.exit_code) == (0, 0)
    assert "history.db: made" in first.output
    assert "history.db: is there" in again.output
    for words in ("retention: 365 days", "coarse ranges of 15 min", "0 of at most 7"):
        assert words in again.output


def test_setup_of_a_database_that_is_away_is_one_line(config: Path) -> None:
    config.write_text(config.read_text().replace("sqlite:history.db", "influxdb://127.0.0.1:1/gridcall"))
    with pytest.raises(ConfigError, match=r"127\.0\.0\.1:1"):
        raise called("setup", str(config)).exception or AssertionError


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["check"], "保存永久"),
        (["setup"], "保存期：永久"),
        (["quarantine", "list"], "消息数    记录数  原因"),
        (["quarantine", "show", "1"], "主题      "),
        (["quarantine", "retry"], "1 条消息中有 0 条离开了隔离区"),
        (["quarantine", "drop", "--all"], "已丢弃 1 条消息"),
    ],
)
def test_what_a_command_prints_is_chinese_where_that_is_wanted(config: Path, words: list[str], said: str) -> None:
    keep(config, b"no pack")
    name = 2 if words[0] == "quarantine" else 1
    result = called(*words[:name], str(config), *words[name:], "--language", "zh")
    assert said in result.output, result.exception
