"""Frames of instruments and stations against what makers and the standard print."""

import tomllib
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from edge.configuration.config import Device
from edge.models.frame import FrameModel
from edge.models.hj212 import Hj212Model
from edge.models.product import load_models
from edge.protocols import hj212
from edge.protocols.frame import FrameDecoder
from edge.sources.ears import Hj212Ear
from messages.announcement import Announcement, Place
from messages.ids import DeviceId
from messages.kind import load_kinds

HERE = Path(__file__).parent
INSTRUMENTS = tomllib.loads((HERE / "frames/instruments.toml").read_text(encoding="utf-8"))["examples"]
STATIONS = tomllib.loads((HERE / "hj212/stations.toml").read_text(encoding="utf-8"))["examples"]
STANDARD = tomllib.loads((HERE / "hj212/standard.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("example", INSTRUMENTS, ids=lambda example: example["model"])
def test_a_makers_frame_is_read(example: dict[str, Any]) -> None:
    model = load_models(load_kinds())[example["model"]]
    assert isinstance(model, FrameModel)
    ((measured,),) = FrameDecoder(model).feed(bytes.fromhex(example["bytes"]))
    assert (measured.channel, measured.quality) == (example["channel"], example["quality"])
    assert measured.value == pytest.approx(example["value"], abs=1e-6)


def test_the_standards_packet_is_read_and_its_check_is_ours() -> None:
    (packet,) = hj212.Decoder().feed(STANDARD["frame"].encode())
    assert (packet.station, packet.command, packet.asked_at) == (
        STANDARD["station"],
        STANDARD["command"],
        STANDARD["asked_at"],
    )
    assert (packet.items, packet.wants_answer) == (STANDARD["items"], True)


@pytest.mark.parametrize("example", STATIONS, ids=lambda example: example["station"])
def test_a_stations_real_time_data_is_read_with_its_check_and_its_time(example: dict[str, Any]) -> None:
    kinds = load_kinds()
    model = load_models(kinds)[example["model"]]
    assert isinstance(model, Hj212Model)
    said = Announcement(kind=model.kind, model=example["model"], place=Place(grid="grid-1", text=""))
    station = Device(
        id=DeviceId("outlet"), kind=kinds[model.kind], model=model, announcement=said, mn=example["station"]
    )
    ear = Hj212Ear([station])
    readings, _, answer = ear.hear(example["frame"].encode(), _ms(example["now"]))
    assert ear.damaged == 0
    assert {reading.channel: reading.value for reading in readings} == example["says"]
    assert {(reading.at_ms, reading.quality) for reading in readings} == {(_ms(example["at"]), "good")}
    assert bool(answer) is example["wants_answer"]


def _ms(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp() * 1000)
