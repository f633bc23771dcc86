"""What the edge's own devices say."""

from pathlib import Path

import pytest

from edge.health import figures, host
from edge.health.figures import Counted, Expected
from edge.health.own import OWN_KINDS, own_devices
from edge.vitals import PATIENCE, DeviceVitals, Vitals
from messages.announcement import Place
from messages.ids import DeviceId, EdgeId
from messages.kind import load_kinds, mismatch
from messages.language import Phrase
from messages.reading import Reading, Value
from messages.status import OutboxFigures

GAS, BIN = DeviceId("gas-1"), DeviceId("bin-1")
KINDS = load_kinds()
NOW_MS = 1_763_700_000_000
EVERY_MINUTE = Expected(60.0, guards_lives=False)


def said(readings: list[Reading]) -> dict[str, Value]:
    return {reading.channel: reading.value for reading in readings}


def line() -> Vitals:
    vitals = Vitals.of("a", [GAS, BIN])
    vitals.is_open()
    return vitals


def test_a_dead_device_is_silent_and_no_sign_of_bad_wiring() -> None:
    vitals = line()
    for _ in range(PATIENCE):
        vitals.devices[BIN].failed("no answer")
    for _ in range(99):
        vitals.devices[GAS].heard(NOW_MS, 0.02)
    vitals.devices[GAS].failed("bad CRC")
    found = said(list(figures.of_line(EdgeId("pi-1"), vitals, {}, {BIN}, NOW_MS)))
    assert found == {
        "open": True,
        "why": "",
        "answering": 1,
        "silent": 1,
        "error_rate": 1.0,
        "errors": 4,
        "strays": 0,
        "heard": 0,
    }


def test_errors_are_counted_and_named_by_what_was_wrong() -> None:
    vitals = line()
    for why in ("bad CRC", "no answer", "no answer", "wrong unit", "no answer", "a", "b", "c"):
        vitals.devices[GAS].failed(why)
    found = said(
        list(figures.of_link(GAS, vitals.devices[GAS], vitals, EVERY_MINUTE, Counted(), silent=False, now_ms=NOW_MS))
    )
    assert (found["errors"], found["faults"]) == (8, "no answer 3, bad CRC 1, wrong unit 1, a 1, b 1")


def test_a_reader_that_is_asked_and_never_speaks_by_itself_is_not_silent() -> None:
    vitals = DeviceVitals(asked=True)
    assert figures.is_silent(vitals, EVERY_MINUTE, NOW_MS, NOW_MS + 3_600_000), "it has never answered"
    vitals.heard(NOW_MS)
    assert not figures.is_silent(vitals, EVERY_MINUTE, NOW_MS, NOW_MS + 3_600_000)
    vitals.away = True
    assert figures.is_silent(vitals, EVERY_MINUTE, NOW_MS, NOW_MS + 1)


def test_a_line_that_is_away_is_not_the_devices_silence() -> None:
    vitals = line()
    vitals.devices[GAS].heard(NOW_MS - 5000, 0.02)
    assert vitals.is_closed(Phrase("No such file or directory"))
    assert not vitals.is_closed(Phrase("No such file or directory"))
    found = said(
        list(figures.of_link(GAS, vitals.devices[GAS], vitals, EVERY_MINUTE, Counted(), silent=False, now_ms=NOW_MS))
    )
    assert (found["line_open"], found["answering"], found["heard"]) == (False, True, 5)
    assert (
        said(list(figures.of_line(EdgeId("pi-1"), vitals, {}, set(), NOW_MS)))["why"]
        == "没有这个文件或文件夹 No such file or directory"
    )


@pytest.mark.parametrize(("guards_lives", "missed"), [(False, 2.5), (True, 2.0)])
def test_a_device_that_speaks_by_itself_is_silent_after_its_intervals(*, guards_lives: bool, missed: float) -> None:
    vitals = DeviceVitals()
    vitals.heard(NOW_MS)
    expected = Expected(60.0, guards_lives)
    late_ms = NOW_MS + round(missed * 60_000)
    assert not figures.is_silent(vitals, expected, 0, late_ms)
    assert figures.is_silent(vitals, expected, 0, late_ms + 1)


def test_a_device_that_was_never_heard_has_its_time_since_the_start() -> None:
    assert not figures.is_silent(DeviceVitals(), EVERY_MINUTE, NOW_MS, NOW_MS + 150_000)
    assert figures.is_silent(DeviceVitals(), EVERY_MINUTE, NOW_MS, NOW_MS + 150_001)


def test_a_device_that_is_asked_is_silent_when_it_has_failed_often_enough_and_back_with_one_answer() -> None:
    vitals = DeviceVitals()
    vitals.heard(NOW_MS, 0.01)
    for _ in range(PATIENCE):
        assert not figures.is_silent(vitals, EVERY_MINUTE, 0, NOW_MS)
        vitals.failed("no answer")
    assert figures.is_silent(vitals, EVERY_MINUTE, 0, NOW_MS)
    assert vitals.heard(NOW_MS, 0.01)
    assert not figures.is_silent(vitals, EVERY_MINUTE, 0, NOW_MS)


def test_a_device_that_says_no_is_there() -> None:
    vitals = DeviceVitals()
    for _ in range(10 * PATIENCE):
        assert not vitals.failed("exception 2", counts=False)
    assert not vitals.away


def test_everything_that_is_said_fits_its_kind() -> None:
    vitals = line()
    vitals.devices[GAS].heard(NOW_MS - 1000, 0.02)
    edge = EdgeId("pi-1")
    outbox = OutboxFigures(produced=10, receipted=5, pending=4, dropped=1, bytes=50)
    full = host.HostFigures(
        temperature_cel=55.0,
        throttled=False,
        memory_free_percent=40.0,
        disk_free_percent=80.0,
        load_per_core=0.4,
        uptime_s=100.0,
    )
    readings = [
        *figures.of_agent(
            edge, full, outbox, 100, clock_trusted=True, disk_refuses=False, refused="", running_s=3.2, now_ms=NOW_MS
        ),
        *figures.of_line(edge, vitals, {}, set(), NOW_MS),
        *figures.of_link(GAS, vitals.devices[GAS], vitals, EVERY_MINUTE, Counted(), silent=False, now_ms=NOW_MS),
    ]
    place = Place(grid="grid-1", text="")
    devices = {device.id: device.kind for device in own_devices(edge, place, ["a"], {GAS: place}, [], KINDS)}
    for reading in readings:
        channel = devices[reading.device].channels[reading.channel]
        assert mismatch(channel, reading.value, reading.unit) is None, reading
    silent_channels = [
        (name, channel)
        for name in OWN_KINDS[:3]
        for channel in KINDS[name].channels
        if channel not in {reading.channel for reading in readings}
    ]
    assert silent_channels == []


def test_a_pi_is_read_from_its_files(tmp_path: Path) -> None:
    for path, text in (
        ("proc/meminfo", "MemTotal:  1000 kB\nMemAvailable:  250 kB\n"),
        ("proc/uptime", "123.45 200.1\n"),
        ("proc/loadavg", "0.50 0.40 0.30 1/100 999\n"),
        ("sys/class/thermal/thermal_zone0/temp", "48312\n"),
        ("sys/devices/platform/soc/soc:firmware/get_throttled", "50005\n"),
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    found = host.figures(tmp_path, tmp_path)
    assert (found.temperature_cel, found.throttled, found.memory_free_percent) == (48.312, True, 25.0)
    assert found.uptime_s == 123.45
    assert found.disk_free_percent is not None


def test_a_machine_without_these_files_says_nothing_of_them(tmp_path: Path) -> None:
    assert host.figures(tmp_path / "nowhere", tmp_path) == host.HostFigures()
