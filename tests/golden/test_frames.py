"""Frames of instruments and stations against what makers and the standard print."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from edge.models.frame import FrameModel
from edge.models.product import load_models
from edge.protocols import hj212
from edge.protocols.frame import FrameDecoder
from messages.kind import load_kinds

HERE = Path(__file__).parent
INSTRUMENTS = tomllib.loads((HERE / "frames/instruments.toml").read_text(encoding="utf-8"))["examples"]
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
