import sqlite3
from pathlib import Path

import pytest

from collector.intake import devices as devices_module
from collector.intake.delivery import Announced
from collector.intake.devices import Devices
from messages.ids import DeviceId, EdgeId
from tests.collector.block import BIN, EDGE, GAS, OTHER_EDGE, SITE, announcement


def loaded(path: Path) -> Devices:
    devices = Devices(path)
    devices.load()
    return devices


def announce(devices: Devices, *changes: Announced) -> None:
    for change in changes:
        devices.hear(change)
    devices.save(changes)


def test_announced_devices_are_known_after_a_restart_and_withdrawn_ones_are_not(tmp_path: Path) -> None:
    path = tmp_path / "devices.db"
    devices = loaded(path)
    gas, fill = announcement("gas_alarm"), announcement("waste_bin", building="")
    announce(devices, Announced((SITE, EDGE, GAS), gas), Announced((SITE, EDGE, BIN), fill))
    announce(devices, Announced((SITE, EDGE, BIN), None), Announced((SITE, OTHER_EDGE, BIN), fill))
    devices.close()
    for known in (devices.known, loaded(path).known):
        assert known == {(SITE, EDGE, GAS): gas, (SITE, OTHER_EDGE, BIN): fill}


def test_a_new_announcement_replaces_the_old_one_at_once(tmp_path: Path) -> None:
    devices = loaded(tmp_path / "devices.db")
    announce(devices, Announced((SITE, EDGE, GAS), announcement("gas_alarm")))
    devices.hear(Announced((SITE, EDGE, GAS), announcement("gas_alarm", building="7")))
    assert devices.known[SITE, EDGE, GAS].place.building == "7"


def test_an_edge_can_t_announce_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices_module, "DEVICES_PER_EDGE", 2)
    devices = loaded(tmp_path / "devices.db")
    announce(devices, Announced((SITE, EDGE, GAS), announcement("gas_alarm")))
    announce(devices, Announced((SITE, EDGE, BIN), announcement("waste_bin")))
    third = (SITE, EDGE, DeviceId("bin-2"))
    assert not devices.room_for(third)
    assert devices.room_for((SITE, EDGE, BIN))
    assert devices.room_for((SITE, OTHER_EDGE, BIN))
    announce(devices, Announced((SITE, EDGE, BIN), None), Announced((SITE, EDGE, BIN), None))
    assert devices.room_for(third)


def test_an_announcement_that_can_t_be_read_any_more_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "devices.db"
    devices = loaded(path)
    announce(devices, Announced((SITE, EDGE, GAS), announcement("gas_alarm")))
    devices.close()
    with sqlite3.connect(path) as database:
        database.execute("INSERT INTO devices VALUES ('junmen', 'pi-1', 'bin-1', '{}')")
    database.close()
    assert set(loaded(path).known) == {(SITE, EDGE, GAS)}


def test_edges_without_end_can_t_announce_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices_module, "MOST_EDGES", 2)
    devices = Devices(tmp_path / "devices.db")
    keys = [(SITE, EdgeId(f"pi-{number}"), GAS) for number in range(3)]
    for key in keys[:2]:
        assert devices.room_for(key)
        devices.hear(Announced(key, announcement("gas_alarm")))
    assert not devices.room_for(keys[2])
    devices.hear(Announced(keys[0], None))
    assert devices.room_for(keys[2]), "who has nothing left counts no more"
