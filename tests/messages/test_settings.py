"""What an installer reads when a file is wrong: file, line, field, and how to mend it."""

from pathlib import Path
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, RootModel, model_validator

from messages.ids import Identifier
from messages.settings import (
    ConfigError,
    Folder,
    Seconds,
    Settings,
    Text,
    duration_s,
    duration_words,
    folders,
    line_of,
    read,
    replacements,
)
from messages.suggestion import suggest


class Link(Settings):
    host: str = "127.0.0.1"
    port: int = Field(default=1883, ge=1, le=65535)
    protocol: Literal["5", "3.1.1"] = "5"
    keepalive_s: Seconds = Field(default=30.0, alias="keepalive", ge=5)
    file: Folder | None = None

    @model_validator(mode="after")
    def _whole(self) -> "Link":
        if self.host == "both":
            raise ValueError("host and hosts exclude each other")
        return self


class Device(Settings):
    name: Identifier
    unit: int = 1
    values: dict[str, float | bool | str] = Field(default_factory=dict)


class Line(Settings):
    device: str
    devices: list[Device] = Field(default_factory=list)


class Plant(Settings):
    site: str
    quiet: bool = False
    broker: Link = Link()
    lines: list[Line] = Field(default_factory=list)
    levels: dict[Identifier, float] = Field(default_factory=dict)
    span: list[float] | None = Field(default=None, min_length=2, max_length=2)


class Modbus(Settings):
    protocol: Literal["modbus-rtu"]
    scale: float = 1.0
    channels: dict[Identifier, Device] = Field(default_factory=dict)


class Json(Settings):
    protocol: Literal["mqtt-json"]
    path: str


class Product(RootModel[Annotated[Modbus | Json, Field(discriminator="protocol")]]):
    pass


def complaint(tmp_path: Path, source: str | bytes, model: type[Settings] | type[Product] = Plant) -> str:
    """What `read` says, from the line on."""
    path = tmp_path / "plant.toml"
    path.write_bytes(source if isinstance(source, bytes) else source.encode())
    with pytest.raises(ConfigError) as caught:
        read(path, model)
    assert str(caught.value).startswith(f"{path}:")
    return str(caught.value).removeprefix(f"{path}:")


TWO_LINES = """site = "a"
[[lines]]
device = "/dev/ttyUSB0"
[[lines.devices]]
name = "gas-1"
[[lines.devices]]
name = "gas-2"
[[lines]]
device = "/dev/ttyUSB1"
"""


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("", "1: site: is missing"),
        ('siet = "a"\n', "1: siet: is not known here; did you mean `site`?"),
        ('quiet = 3\nsiet = "a"\n', "2: siet: is not known here; did you mean `site`?"),
        ("# nothing\n[broker]\n", "1: site: is missing"),
        ("site = 3\n", "1: site: should be text in quotes, not 3"),
        ('site = "a"\nquiet = "yes"\n', "2: quiet: should be true or false, not 'yes'"),
        ('site = "a"\nsiet = "b"\n', "2: siet: is not known here; did you mean `site`?"),
        ('site = "a"\n[brokr]\nhost = "x"\n', "2: brokr: is not known here; did you mean `broker`?"),
        ('site = "a"\n[broker]\nhots = "x"\n', "3: broker.hots: is not known here; did you mean `host`?"),
        (
            'site = "a"\n[broker]\nkeepalive_s = "9s"\n',
            "3: broker.keepalive_s: is not known here; did you mean `keepalive`?",
        ),
        (
            'site = "a"\n[broker]\nxyz = 1\n',
            "3: broker.xyz: is not known here; known: file, host, keepalive, port, protocol",
        ),
        ('site = "a"\n[broker]\nport = "1883"\n', "3: broker.port: should be a whole number, not '1883'"),
        ('site = "a"\n[broker]\nport = 1883.5\n', "3: broker.port: should be a whole number, not 1883.5"),
        ('site = "a"\n[broker]\nport = true\n', "3: broker.port: should be a whole number, not true"),
        ('site = "a"\n[broker]\nport = 99999\n', "3: broker.port: should be less than or equal to 65535, not 99999"),
        ('site = "a"\n[broker]\nprotocol = "4"\n', "3: broker.protocol: should be '5' or '3.1.1', not '4'"),
        (
            'site = "a"\n[broker]\nkeepalive = "9 sec"\n',
            '3: broker.keepalive: a duration such as "500ms", "10s", "5min" or "1h30min" is wanted, not \'9 sec\'; did you mean `9s`?',
        ),
        (
            'site = "a"\n[broker]\nkeepalive = 9\n',
            '3: broker.keepalive: a duration such as "500ms", "10s", "5min" or "1h30min" is wanted, not 9',
        ),
        (
            'site = "a"\n[broker]\nkeepalive = "1s"\n',
            "3: broker.keepalive: should be greater than or equal to 5, not '1s'",
        ),
        ('site = "a"\n[broker]\nhost = "both"\n', "2: broker: host and hosts exclude each other"),
        ('site = "a"\nbroker = "x"\n', "2: broker: should be a table, not 'x'"),
        ('site = "a"\n\n[[broker]]\nhost = "x"\n', "3: broker: should be a table, not an array"),
        ('site = "a"\n[lines]\ndevice = "x"\n', "2: lines: should be an array of tables, [[lines]], not a table"),
        ('site = "a"\nlines = 3\n', "2: lines: should be an array, not 3"),
        ("\n[site]\nx = 1\n", "2: site: should be text in quotes, not a table"),
        ('site = "a"\n[levels]\nhigh = nan\n', "3: levels.high: should be a finite number, not nan"),
        (
            'site = "a"\n[levels]\nhigh = 1\n"Too High" = 2\n',
            "4: levels.Too High: should be 1 to 63 lower-case letters, digits, hyphens and underscores, not 2",
        ),
        ('site = "a"\nspan = [1.0]\n', "2: span: should have at least 2 entries"),
        ('site = "a"\nspan = [1.0, 2.0, 3.0]\n', "2: span: should have at most 2 entries"),
        ('site = "a"\nspan = [\n 1.0,\n "x"]\n', "4: span.1: should be a number, not 'x'"),
    ],
)
def test_a_mistake_is_told_with_line_field_and_what_is_wanted(tmp_path: Path, source: str, words: str) -> None:
    assert complaint(tmp_path, source) == words


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (TWO_LINES + "[[lines]]\n", "10: lines.2.device: is missing"),
        (TWO_LINES.replace('name = "gas-2"', "unit = 2"), "6: lines.0.devices.1.name: is missing"),
        (TWO_LINES + "[[lines.devices]]\nname = 3\n", "11: lines.1.devices.0.name: should be text in quotes, not 3"),
        (TWO_LINES + "devicse = 1\n", "10: lines.1.devicse: is not known here; did you mean `device`?"),
        (
            TWO_LINES.replace('"gas-2"', '"Gas 2"'),
            "7: lines.0.devices.1.name: should be 1 to 63 lower-case letters, digits, hyphens and underscores, not 'Gas 2'",
        ),
        (
            TWO_LINES + '[[lines.devices]]\nname = "x"\n[lines.devices.values]\na = [1]\n',
            "13: lines.1.devices.0.values.a: should be a number or true or false or text in quotes, not an array",
        ),
        ('site = "a"\nbroker = { host = "x", prot = 3 }\n', "2: broker.prot: is not known here; did you mean `port`?"),
        (
            'site = "a"\nlines = [\n  { device = "x" },\n  { device = 3 },\n]\n',
            "4: lines.1.device: should be text in quotes, not 3",
        ),
        ('site = "a"\nbroker.host = "x"\nbroker . "port" = "y"\n', "3: broker.port: should be a whole number, not 'y'"),
        (
            'site = "a"\n# [broker]\n# port = 1\n[ broker ] # here\n  port = "y"\n',
            "5: broker.port: should be a whole number, not 'y'",
        ),
        (
            'site = """\n[broker]\nport = 1\n"""\n[broker]\nport = "y"\n',
            "6: broker.port: should be a whole number, not 'y'",
        ),
        ('site = "a"\r\n[broker]\r\nport = "y"\r\n', "3: broker.port: should be a whole number, not 'y'"),
        ('site = "网格"\n[broker]\nport = "端口"\n', "3: broker.port: should be a whole number, not '端口'"),
    ],
)
def test_the_line_is_found_in_every_way_that_toml_may_be_written(tmp_path: Path, source: str, words: str) -> None:
    assert complaint(tmp_path, source) == words


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("scale = 1.0\n", "1: protocol: is missing"),
        (
            'scale = 1.0\nprotocol = "modbus-tcp"\n',
            "2: protocol: should be one of 'modbus-rtu', 'mqtt-json', not 'modbus-tcp'",
        ),
        ('protocol = "mqtt-json"\n', "1: path: is missing"),
        ('protocol = "modbus-rtu"\nscael = 2.0\n', "2: scael: is not known here; did you mean `scale`?"),
        ('protocol = "modbus-rtu"\n\nscale = "x"\n', "3: scale: should be a number, not 'x'"),
        (
            'protocol = "modbus-rtu"\n[channels.a]\nname = "a"\n[channels.b]\nname = "b"\nunti = 2\n',
            "6: channels.b.unti: is not known here; did you mean `unit`?",
        ),
        (
            'protocol = "modbus-rtu"\n\n[channels.A]\nname = "a"\n',
            "3: channels.A: should be 1 to 63 lower-case letters, digits, hyphens and underscores",
        ),
    ],
)
def test_what_depends_on_a_word_in_the_file_is_told_without_pydantics_marks(
    tmp_path: Path, source: str, words: str
) -> None:
    assert complaint(tmp_path, source, Product) == words


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ('site = "a\n', "1: not TOML at column 10: Illegal character '\\n'; is a closing quote missing?"),
        ('\nsite = """a\n', "2: not TOML: Unterminated string (at end of document); is a closing quote missing?"),
        (
            'site = "a"\nsite = "b"\n',
            "2: not TOML at column 11: Cannot overwrite a value; is the same name given twice?",
        ),
        (
            "site = junmen\n",
            "1: not TOML at column 8: Invalid value; text stands in double quotes, and true or false are written small",
        ),
        ("[broker\n", "1: not TOML at column 8: Expected ']' at the end of a table declaration"),
        ('site = "\x00"\n', "1: not TOML at column 9: Illegal character '\\x00'"),
        (b'\nsite = "\xe4"\n', "2: not UTF-8 text at byte 9 of the file; save it as UTF-8"),
        ('site = "a"\n'.encode("utf-16"), "1: not UTF-8 text at byte 0 of the file; save it as UTF-8"),
    ],
)
def test_what_is_no_toml_is_told_with_its_line(tmp_path: Path, source: str | bytes, words: str) -> None:
    assert complaint(tmp_path, source) == words


def test_a_file_that_is_not_there_or_is_a_folder_is_told(tmp_path: Path) -> None:
    for path, words in ((tmp_path / "none.toml", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(ConfigError) as caught:
            read(path, Plant)
        assert str(caught.value) == f"{path}: {words}"


def test_the_mark_that_windows_editors_put_first_is_no_mistake(tmp_path: Path) -> None:
    (tmp_path / "plant.toml").write_bytes(b'\xef\xbb\xbfsite = "a"\r\n')
    assert read(tmp_path / "plant.toml", Plant).site == "a"


def test_good_settings_are_read(tmp_path: Path) -> None:
    (tmp_path / "plant.toml").write_text(TWO_LINES + '[broker]\nkeepalive = "1min"\nfile = "x/y"\n')
    plant = read(tmp_path / "plant.toml", Plant)
    assert plant.broker.keepalive_s == 60
    assert plant.broker.file == Path("x/y")
    assert [[device.name for device in line.devices] for line in plant.lines] == [["gas-1", "gas-2"], []]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("10s", 10), ("1.5s", 1.5), ("5min", 300), ("1h30min", 5400), ("2d", 172_800), ("0s", 0)],
)
def test_durations(text: str, seconds: float) -> None:
    assert duration_s(text) == seconds


@given(st.one_of(st.none(), st.integers(), st.floats(), st.booleans(), st.text(max_size=8)))
def test_anything_else_is_no_duration(text: object) -> None:
    if isinstance(text, str) and text.rstrip("0123456789.mshdin") == "" and text[:1].isdigit():
        return  # it may be one
    with pytest.raises(ValueError, match="a duration such as"):
        duration_s(text)


@pytest.mark.parametrize(
    "text", ["", "s", "10", "-1s", " 1s", "1s ", "1 s", "1S", "1e3s", "1h-1min", "1..5s", "١s", "1s\n"]
)
def test_near_misses_are_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match="a duration such as"):
        duration_s(text)


@given(st.text(max_size=200), st.lists(st.text(max_size=5) | st.integers(0, 3), max_size=4))
def test_a_line_is_found_for_any_text_and_any_path(source: str, where: list[str | int]) -> None:
    assert 1 <= line_of(source, tuple(where)) <= max(1, len(source.splitlines()))


def test_a_suggestion_is_the_nearest_name_or_all_of_them() -> None:
    assert str(suggest("hosst", ["port", "host"])) == "; did you mean `host`?"
    assert str(suggest("zzz", ["port", "host"])) == "; known: host, port"
    assert str(suggest("zzz", [])) == ""


class Account(Settings):
    name: Text = Text(zh="", en="")
    host: Annotated[str, Field(max_length=3)] = ""
    password: str = ""
    store: Annotated[str, Field(max_length=3)] = ""


@pytest.mark.parametrize(
    "source",
    [
        "password = 5309\n",
        "password = { a = 5309 }\n",
        'store = "influxdb://user:5309@host/db"\n',
        'store = "5309"\n',
        'host = "mqtt://user:5309@host"\n',
    ],
)
def test_a_password_is_not_repeated(tmp_path: Path, source: str) -> None:
    assert "5309" not in complaint(tmp_path, source, Account)


def test_a_text_in_one_language_is_told_how_it_is_written_in_two(tmp_path: Path) -> None:
    said = complaint(tmp_path, 'name = "门"\n', Account)
    assert said == '1: name: should be { zh = "…", en = "…" }, not \'门\''


@pytest.mark.parametrize("words", ["0s", "500ms", "10s", "10min", "1h30min", "365d", "1min500ms"])
def test_a_duration_is_said_as_it_is_written(words: str) -> None:
    assert duration_words(duration_s(words)) == words


def test_a_folder_that_is_not_there_is_told_with_the_line_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "plant.toml"
    path.write_text('site = "a"\nkinds = ["here", "nowhere"]\n')
    (tmp_path / "here").mkdir()
    assert folders(path, "kinds", [Path("here")]) == [tmp_path / "here"]
    with pytest.raises(ConfigError) as caught:
        folders(path, "kinds", [Path("here"), Path("nowhere")])
    assert str(caught.value) == f"{path}:2: kinds: {tmp_path}/nowhere: no such folder of kinds"


def test_what_a_users_file_takes_away_is_told(tmp_path: Path) -> None:
    shipped, own = tmp_path / "shipped", tmp_path / "own"
    for folder, names in ((shipped, "abc"), (own, "bd")):
        folder.mkdir()
        (folder / "bin.toml").write_text("".join(f"[rules.{name}]\n" for name in names))
    (own / "new.toml").write_text("[rules.a]\n")
    (own / "same.toml").write_text("[rules.a]\n")
    (shipped / "same.toml").write_text("[rules.a]\n")
    assert [str(one) for one in replacements(shipped, sorted(own.iterdir()), "rules")] == [
        f"{own}/bin.toml replaces the shipped one; gone: a, c",
        f"{own}/same.toml replaces the shipped one",
    ]
    assert replacements(shipped, [shipped / "bin.toml"], "rules") == []
