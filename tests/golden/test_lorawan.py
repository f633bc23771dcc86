"""Uplinks as ChirpStack and The Things Stack document them."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from edge.protocols.chirpstack_gateway import gateway_of, is_online
from edge.protocols.lorawan import uplink

EXAMPLES = tomllib.loads((Path(__file__).parent / "lorawan/uplinks.toml").read_text(encoding="utf-8"))["examples"]
NOW_MS = 1_763_700_002_000


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["server"])
def test_an_uplink_is_read(example: dict[str, Any]) -> None:
    found = uplink(example["message"].encode(), example["server"], NOW_MS)
    assert found
    assert (found.dev_eui, found.at_ms, found.f_port, found.f_cnt) == (
        example["dev_eui"],
        example["at_ms"],
        example["f_port"],
        example["f_cnt"],
    )
    assert (found.payload.hex(), found.decoded, found.rssi_dbm) == (
        example["payload"],
        example["decoded"],
        example["rssi_dbm"],
    )
    assert list(found.gateways) == example["gateways"]


STATES = tomllib.loads((Path(__file__).parent / "lorawan/gateway_states.toml").read_text(encoding="utf-8"))["states"]


@pytest.mark.parametrize("state", STATES, ids=lambda state: state["what"])
def test_a_gateways_word_of_its_own_connection_is_read(state: dict[str, Any]) -> None:
    gateway = gateway_of(state["topic"])
    assert gateway is not None
    assert gateway == state["gateway"]
    payload = bytes.fromhex(state["hex"]) if "hex" in state else state["text"].encode()
    assert is_online(gateway, payload) is {"online": True, "offline": False}.get(state["says"])
