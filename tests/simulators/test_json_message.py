import json

from edge.models.message import JsonModel
from edge.models.product import load_models
from messages.kind import load_kinds
from simulators.json_message import encode


def test_a_door_says_what_the_product_file_says() -> None:
    door = load_models(load_kinds())["json-door-controller"]
    assert isinstance(door, JsonModel)
    message = encode(door, {"door_open": True, "forced": False, "tamper": True}, 1763700000000)
    assert json.loads(message) == {"ts": 1763700000000, "door": "open", "forced": False, "tamper": True}
    assert json.loads(encode(door, {"door_open": False}, 1))["door"] == "closed"


def test_paths_scales_and_seconds() -> None:
    meter = JsonModel.model_validate(
        {
            "protocol": "mqtt-json",
            "name": "a test",
            "source": "a test",
            "kind": "waste_bin",
            "time": {"path": "meta.time", "unit": "s"},
            "channels": {
                "fill": {"path": "state.fill", "scale": 0.01, "offset": 5},
                "temperature": {"path": "state.inside.temperature"},
            },
        }
    )
    message = json.loads(encode(meter, {"fill": 35.0, "temperature": None}, 1500))
    assert message == {"meta": {"time": 1.5}, "state": {"fill": 3000.0}}
