"""What is shown to an installer, and what stands on the sheet."""

import asyncio
import contextlib
import errno
import io
import os
from pathlib import Path
from socket import EAI_NONAME, gaierror

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from serial import SerialException

from edge.configuration.check import parse
from edge.configuration.config import of
from edge.installer import snapshot as snapshots
from edge.installer import table, words
from edge.installer.accepting import sheet as sheets
from edge.installer.accepting.acceptance import Entry, SeenDevice, Verdict, look, missing
from edge.installer.accepting.sheet import Sheet
from edge.installer.bridging import DAY_S, Bridging, bridging
from edge.installer.bridging import words as bridged
from edge.installer.look import AWAY, looking
from edge.installer.snapshot import Latest, Snapshot, taken
from edge.installer.tap import FILE, Tap
from edge.models.modbus import ModbusModel
from edge.sources.port import plain_words
from edge.vitals import PATIENCE, Vitals
from messages.ids import DeviceId
from messages.kind import Channel
from messages.language import Language, Phrase, phrase
from messages.reading import Quality, Reading, Value
from messages.settings import ConfigError
from tests.edge.test_config import GOOD

NOBODY = 65534
NOW_MS = 1_763_700_000_000
GAS = DeviceId("gas-1")


@pytest.fixture
def plant(tmp_path: Path) -> "Plant":
    (tmp_path / "edge.toml").write_text(GOOD, encoding="utf-8")
    return Plant(tmp_path)


class Plant:
    """The devices of a configuration, and what was heard of them."""

    def __init__(self, folder: Path) -> None:
        self.config = parse(folder / "edge.toml")
        self.devices = list(self.config.devices)
        self.gas = next(device for device in self.devices if device.id == GAS)
        self.line = Vitals.of("rs485-1", [device.id for device in self.devices if device.line])
        self.line.is_open()
        self.latest: Latest = {}

    def hear(self, at_ms: int, quality: Quality = Quality.GOOD, **values: Value) -> Snapshot:
        for channel, value in values.items():
            reading = Reading(device=GAS, channel=channel, at_ms=at_ms, value=value, quality=quality)
            self.latest[GAS, channel] = reading
        self.line.devices[GAS].heard(at_ms, 0.021)
        return taken(at_ms, [self.line], self.latest)

    def sheet(self, entry: Entry) -> Sheet:
        return Sheet(
            site="junmen",
            edge="pi-1",
            software="gridcall test",
            installer="Lin <lin>",
            begun_at_ms=NOW_MS,
            ended_at_ms=NOW_MS + 60_000,
            devices=self.devices,
            entries=[entry],
        )


def test_a_snapshot_survives_the_socket(plant: Plant) -> None:
    plant.line.devices[GAS].failed("bad CRC")
    now = plant.hear(NOW_MS, gas_concentration=25.3, alarm_contact=True)
    assert snapshots.load(snapshots.dump(now)) == now
    with pytest.raises(ValueError, match="not a snapshot"):
        snapshots.load(b'{"at_ms": 1}')


def test_what_nobody_sees_any_more_grows_old(plant: Plant) -> None:
    now = plant.hear(NOW_MS, gas_concentration=1.5)
    later = snapshots.aged(snapshots.aged(now, 1000, AWAY), 1000, AWAY)
    assert (later.at_ms, [(line.open, line.why["en"]) for line in later.lines]) == (NOW_MS + 2000, [(False, str(AWAY))])
    (row, *_) = table.rows([plant.gas], later, "en")
    assert (row.value, row.age) == ("1.5 %LEL", "2 s")
    assert row.bad, "a line that nobody sees shows nothing that is true now"
    assert not table.rows([plant.gas], now, "en")[0].bad
    assert table.lines(later, "zh") == ["rs485-1: 断开 (网关程序没有应答)"]


def test_units_are_written_as_a_meter_writes_them(plant: Plant) -> None:
    battery = Channel.model_validate(
        {"name": {"zh": "电量", "en": "Battery"}, "meaning": "", "type": "number", "unit": "%EL", "interval": "1h"}
    )
    assert words.value(90.0, battery, Quality.GOOD, "en") == "90 %"
    assert words.value(-5.5, battery.model_copy(update={"unit": "Cel"}), Quality.BAD, "zh") == "-5.5 °C !"


@given(
    st.binary(max_size=80)
    | st.sampled_from(["lines", "devices", "at_ms"]).map(lambda name: b'{"%s": [1]}' % name.encode())
)
def test_whatever_comes_through_the_socket_is_a_snapshot_or_a_word(line: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert not snapshots.load(line).devices


def test_the_table_shows_value_age_and_errors_in_both_languages(plant: Plant) -> None:
    now = plant.hear(NOW_MS - 4000, gas_concentration=25.3, alarm_contact=True, sensor_fault=False)
    now = taken(NOW_MS, [plant.line], plant.latest)
    chinese, english = ({row.channel: row for row in table.rows([plant.gas], now, at)} for at in ("zh", "en"))
    assert (chinese["燃气浓度"].value, chinese["燃气浓度"].age) == ("25.3 %LEL", "4秒")
    assert (english["Alarm contact"].value, english["Gas concentration"].latency) == ("alarm", "21 ms")
    assert not any(row.bad for row in english.values())


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_row_is_one_line_on_a_narrow_screen_and_says_its_channel_and_value(
    plant: Plant, language: Language
) -> None:
    now = plant.hear(NOW_MS, gas_concentration=25.3, alarm_contact=True, sensor_fault=False)
    rows = table.rows(plant.devices, now, language)
    for width in (45, 60, 80, 120):
        console = Console(width=width, record=True, file=io.StringIO())
        console.print(table.table(rows, now, language, width))
        shown = console.export_text().splitlines()
        assert len(shown) == 1 + len(rows) + 1, "heading, rows, the one line"
        assert all(cell_len(line) <= width for line in shown)
        gas = next(line for line in shown if "gas-1" in line)
        assert ("燃气浓" if language == "zh" else "Gas co") in gas
        assert "25.3 %LEL" in gas
        assert shown[-2].startswith("!"), "never heard: marked without colour too"


def test_a_high_table_is_cut_between_devices(plant: Plant) -> None:
    rows = table.rows(plant.devices, plant.hear(NOW_MS, gas_concentration=25.3), "en")
    whole, cut = table.pages(rows, 100), table.pages(rows, 4)
    assert whole == [rows]
    assert [row for page in cut for row in page] == rows
    assert all(page[0].device and len(page) <= 4 for page in cut)
    assert [len(page) for page in table.pages(rows[:3], 2)] == [2, 1], "a device that is higher than the screen"
    assert table.pages([], 4) == [[]]


def test_what_needs_a_look_is_marked(plant: Plant) -> None:
    now = plant.hear(NOW_MS, Quality.BAD, gas_concentration=25.3)
    rows = {row.channel: row for row in table.rows([plant.gas], now, "en")}
    assert rows["Gas concentration"].bad
    assert rows["Alarm contact"].value == "–"
    for _ in range(PATIENCE):
        plant.line.devices[GAS].failed("no answer")
    assert all(row.bad for row in table.rows([plant.gas], taken(NOW_MS, [plant.line], plant.latest), "en"))
    plant.line.is_closed(Phrase("No such file or directory"))
    assert "away (No such file" in table.plain([], taken(NOW_MS, [plant.line], plant.latest), "en")


@pytest.mark.parametrize(
    ("why", "zh", "en"),
    [
        (phrase("the broker {address} is away", address="127.0.0.1:1883"), "代理 127.0.0.1:1883 断开", "the broker 127.0.0.1:1883 is away"),
        (plain_words(OSError(errno.ENODEV, "whatever a library says")), "没有这个设备", "No such device"),
        (plain_words(SerialException("read failed: [Errno 5] Input/output error")), "读写错误", "Input/output error"),
        (plain_words(OSError("Multiple exceptions: [Errno 111] Connect call failed ('::1', 502, 0, 0), [Errno 111] …")), "对方拒绝连接", "Connection refused"),
        (plain_words(gaierror(EAI_NONAME, "Name or service not known")), "没有这个主机名", "Name or service not known"),
    ],
)  # fmt: skip
def test_why_a_line_is_away_is_said_in_the_language_of_whoever_looks(
    plant: Plant, why: Phrase, zh: str, en: str
) -> None:
    plant.line.is_closed(why)
    now = snapshots.load(snapshots.dump(taken(NOW_MS, [plant.line], plant.latest)))
    assert table.lines(now, "zh") == [f"rs485-1: 断开 ({zh})"]
    assert table.lines(now, "en") == [f"rs485-1: away ({en})"]


def test_an_age_is_in_the_unit_that_a_person_would_take() -> None:
    assert [words.age(ms, "en") for ms in (0, 119_000, 120_000, 7_200_000, 5 * 86_400_000, -5)] == [
        "0 s",
        "119 s",
        "2 min",
        "2 h",
        "5 d",
        "0 s",
    ]


def test_the_course_of_a_device_is_kept_and_a_missing_channel_named(plant: Plant) -> None:
    seen = SeenDevice()
    for step, value in enumerate((1.0, 30.0, 2.0)):
        now = plant.hear(NOW_MS + step, gas_concentration=value, alarm_contact=value > 10)
        seen = look(seen, next(device for device in now.devices if device.id == GAS), now.at_ms)
    gas, contact = seen.channels["gas_concentration"], seen.channels["alarm_contact"]
    assert (gas.first, gas.last, gas.low, gas.high) == (1.0, 2.0, 1.0, 30.0)
    assert [value for _, value in contact.changes] == [True, False]
    assert (seen.answers, seen.errors) == (2, 0)
    assert missing(seen, plant.gas.model.channels) == ["sensor_fault"]


def test_the_sheet_says_what_was_seen_and_a_changed_figure_shows(plant: Plant) -> None:
    now = plant.hear(NOW_MS, gas_concentration=25.3)
    seen = look(SeenDevice(), now.devices[0], now.at_ms)
    written = plant.sheet(Entry(GAS, seen, Verdict.FAILED, "盖子 <script>"))
    page, text = sheets.html(written), sheets.markdown(written)
    for found in (page, text):
        assert "25.3 %LEL" in found
        assert "不合格 failed" in found
        assert "2025-11-21 12:40:00 UTC+8" in found
        assert "<script>" not in found
    assert "盖子 &lt;script&gt;" in page
    body, _, digest = text.rpartition("SHA-256 ")
    body = body.split("\n\n签字")[0]
    assert sheets.digest(body) == digest.strip()
    assert sheets.digest(body.replace("25.3", "25.4")) != digest.strip()


def test_a_small_site_pays_more_for_a_reading_than_a_large_one(tmp_path: Path) -> None:
    """Three readings in a pack of their own cost many times what a hundred in one do: docs/decisions/0014 has 13 bytes for those."""

    def bytes_a_reading(devices: int) -> float:
        extra = "".join(
            f'[[devices]]\nid = "gas-x-{number}"\nmodel = "modbus-gas-detector"\nline = "rs485-1"\nunit = {number}\n'
            'place = { grid = "g", text = "" }\n'
            for number in range(20, 20 + devices)
        )
        (tmp_path / "edge.toml").write_text(GOOD + extra, encoding="utf-8")
        config = parse(tmp_path / "edge.toml")
        moving = sum(
            1 / device.model.poll_every_s
            for device in of(ModbusModel, config.devices)
            for name in device.model.channels
            if device.kind.channels[name].type == "number"
        )
        return 1e9 / bridging(config, 10**9).busy_s / moving

    small, large = bytes_a_reading(1), bytes_a_reading(200)
    assert small > 100
    assert 12 < large < 30


def test_how_long_an_outage_is_bridged_is_said_as_people_say_it() -> None:
    found = Bridging(quiet_s=80 * DAY_S, busy_s=9 * DAY_S + 4 * 3600 + 59)
    assert bridged(found, "en") == (
        "bridges an outage of 9 days 4 h if every value moves at every reading, 80 days if none does, until the first loss; "
        "the oldest periodic readings go before alarms"
    )
    assert bridged(found, "zh").startswith("断网可坚持 9 天 4 小时（每次读数都变化时），80 天（都不变化时）")
    short = Bridging(quiet_s=20 * 365 * DAY_S, busy_s=95 * 60)
    assert "1 h 35 min if every value" in bridged(short, "en")
    assert "more than ten years" in bridged(short, "en")
    assert "不到 1 分钟" in bridged(Bridging(30, 30), "zh")


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user, which root alone can")
async def test_an_agent_of_another_user_is_not_said_to_be_away(plant: Plant) -> None:
    plant.config.folder.mkdir()
    running = asyncio.create_task(Tap(plant.config.folder, lambda: plant.hear(NOW_MS, gas_concentration=1.0)).run())
    try:
        while not (plant.config.folder / FILE).exists():
            await asyncio.sleep(0.01)
        async with looking(plant.config, lambda: NOW_MS) as (from_agent, _):
            assert from_agent
        os.seteuid(NOBODY)
        try:
            with pytest.raises(ConfigError, match=r"may not look into the agent: sudo -u root gridcall"):
                async with looking(plant.config, lambda: NOW_MS):
                    pass
            with pytest.raises(ConfigError, match="Permission denied; it is another user's: sudo -u root gridcall"):
                parse(plant.config.folder.parent / "edge.toml")
        finally:
            os.seteuid(0)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
