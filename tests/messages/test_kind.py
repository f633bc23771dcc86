from pathlib import Path

import pytest

from messages.kind import Channel, kind_named, load_kinds, mismatch
from messages.reading import Value
from messages.settings import ConfigError


def channel(**fields: object) -> Channel:
    return Channel.model_validate(
        {"name": {"zh": "量", "en": "x"}, "meaning": "x", "type": "number", "interval": "1s"} | fields
    )


NUMBER = channel(unit="m", range=[0, 12])
BARE = channel()
BOOLEAN = channel(type="boolean")
TEXT = channel(type="text")


@pytest.mark.parametrize(
    ("of", "value", "unit", "why"),
    [
        (NUMBER, 0.0, "m", None),
        (NUMBER, 12.0, "m", None),
        (NUMBER, 5.0, None, None),
        (NUMBER, 12.001, "m", "range"),
        (NUMBER, -0.001, "m", "range"),
        (NUMBER, float("nan"), "m", "range"),
        (NUMBER, float("inf"), "m", "range"),
        (NUMBER, 5.0, "cm", "unit"),
        (NUMBER, 5.0, "", "unit"),
        (NUMBER, True, "m", "type"),
        (NUMBER, "5", "m", "type"),
        (BARE, 1e300, None, None),
        (BARE, float("nan"), None, "range"),
        (BARE, 1.0, "m", "unit"),
        (BOOLEAN, True, None, None),
        (BOOLEAN, False, "m", None),
        (BOOLEAN, 1.0, None, "type"),
        (BOOLEAN, "true", None, "type"),
        (TEXT, "", None, None),
        (TEXT, 1.0, None, "type"),
        (TEXT, True, None, "type"),
    ],
)
def test_a_value_that_can_not_be_a_reading_is_told_why(
    of: Channel, value: Value, unit: str | None, why: str | None
) -> None:
    assert mismatch(of, value, unit) == why


def test_an_infinite_value_is_no_reading_of_a_channel_without_range() -> None:
    assert mismatch(BARE, float("inf"), None) == "range"


def test_all_shipped_kinds_are_read_and_make_sense() -> None:
    kinds = load_kinds()
    assert set(kinds) >= {"gas_alarm", "manhole_cover", "sewer_level", "waste_bin", "door_access"}
    for name, kind in kinds.items():
        for channel_name, of in kind.channels.items():
            where = f"{name}.{channel_name}"
            assert of.interval_s > 0, where
            assert of.deadband >= 0, where
            assert of.type == "number" or of.unit is None, where
            assert of.range is None or of.range[0] < of.range[1], where
            assert (of.when_true is None) == (of.when_false is None), where
            assert of.when_true is None or of.type == "boolean", where


KIND = """name = { zh = "井盖", en = "Cover" }
[channels.open]
name = { zh = "开", en = "Open" }
meaning = "It is open"
type = "boolean"
interval = "1min"
"""


def test_a_users_folder_adds_kinds_and_replaces_shipped_ones(tmp_path: Path) -> None:
    (tmp_path / "manhole_cover.toml").write_text(KIND)
    (tmp_path / "bird_house.toml").write_text(KIND)
    (tmp_path / "notes.txt").write_text("no kind")
    kinds = load_kinds(tmp_path)
    assert set(kinds) == {*load_kinds(), "bird_house"}
    assert set(kinds["manhole_cover"].channels) == {"open"}
    assert kind_named("bird_house", kinds) is kinds["bird_house"]
    with pytest.raises(ValueError, match=r"^no kind `bird_hose`; did you mean `bird_house`\?$"):
        kind_named("bird_hose", kinds)


def test_a_mistake_in_a_users_kind_names_file_line_and_field(tmp_path: Path) -> None:
    path = tmp_path / "bird_house.toml"
    path.write_text(KIND.replace('type = "boolean"', 'type = "bool"'))
    with pytest.raises(ConfigError) as caught:
        load_kinds(tmp_path)
    assert str(caught.value) == f"{path}:5: channels.open.type: should be 'number', 'boolean' or 'text', not 'bool'"
    with pytest.raises(ConfigError, match="no such folder of kinds"):
        load_kinds(tmp_path / "none")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"range": [5, 1]}, r"range\n.*the lowest, 5, comes after the highest, 1"),
        ({"range": [0, 1], "type": "boolean"}, "only a number has a range"),
        ({"unit": "m", "type": "text"}, "only a number has a unit"),
        ({"deadband": -1}, "greater than or equal to 0"),
        ({"interval": "0s"}, "greater than 0"),
        ({"when_false": {"zh": "关", "en": "shut"}}, "only a boolean has when_true and when_false"),
    ],
)
def test_a_channel_that_can_not_be_meant_is_refused(fields: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        channel(**fields)
