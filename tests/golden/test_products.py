"""Shipped products against what their makers' documents say they answer."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pymodbus.framer import FramerRTU

from edge.models.lorawan import LorawanModel
from edge.models.message import JsonModel
from edge.models.modbus import ModbusModel
from edge.models.product import load_models
from edge.models.zigbee import ZigbeeModel
from edge.protocols import json_paths, modbus_rtu
from edge.protocols.modbus import Values
from edge.protocols.modbus_rtu import Judge
from edge.sources import registers
from edge.sources.schedule import polls
from messages.ids import DeviceId
from messages.kind import load_kinds
from messages.reading import Quality

GOLDEN = tomllib.loads((Path(__file__).parent / "products.toml").read_text(encoding="utf-8"))
KINDS = load_kinds()
MODELS = load_models(KINDS)


@pytest.mark.parametrize("example", GOLDEN["modbus"], ids=lambda e: f"{e['model']} {e['reply'][9:]}")
def test_a_register_map_is_the_makers(example: dict[str, Any]) -> None:
    model = MODELS[example["model"]]
    assert isinstance(model, ModbusModel)
    (poll,) = polls(DeviceId("device"), 1, model)
    asked = modbus_rtu.encode(poll.request)
    assert asked[:-2] == bytes.fromhex(example["request"])
    frame = bytes.fromhex(example["reply"])
    values = Judge(poll.request).feed(frame + FramerRTU.compute_CRC(frame).to_bytes(2, "big"))
    assert isinstance(values, Values)
    kind, first = KINDS[model.kind], poll.request.address
    read = list(registers.readings(poll.device, kind, poll.channels, first, values.raw, 0))
    assert {reading.channel: reading.value for reading in read} == example["says"]
    assert [reading.channel for reading in read if reading.quality is Quality.BAD] == example.get("bad", [])


@pytest.mark.parametrize("example", GOLDEN["json"], ids=lambda e: f"{e['model']} {list(e['says'].values())}")
def test_a_message_is_read_as_its_maker_means_it(example: dict[str, Any]) -> None:
    model = MODELS[example["model"]]
    assert isinstance(model, JsonModel | ZigbeeModel | LorawanModel)
    content = json.loads(example["says_it"])
    assert json_paths.read_channels(content, model.channels, KINDS[model.kind]) == (example["says"], [])


def test_every_kind_of_the_first_four_has_products_of_two_protocols_from_public_documents() -> None:
    for kind in ("manhole_cover", "gas_alarm", "door_access", "sewer_level", "waste_bin"):
        public = [model for model in MODELS.values() if model.kind == kind and "reference map" not in model.name]
        assert len({model.protocol for model in public}) >= 2, kind


def test_every_shipped_product_of_a_maker_or_a_standard_has_golden_bytes() -> None:
    """Not Gridcall's own maps, which the simulator serves; nor what libraries turn into events: contacts and OSDP."""
    golden = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.rglob("*.toml"))
    for name, model in MODELS.items():
        assert len(model.source) > 20, name
        own = "reference m" in model.name or model.protocol in ("gpio", "osdp")
        assert own or f'model = "{name}"' in golden, name
