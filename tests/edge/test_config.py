import sys
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edge.commands import app
from edge.configuration.check import parse
from edge.configuration.config import Config, of
from edge.installer.bridging import bridging, words
from edge.installer.checking import load, summary, warnings
from edge.models.modbus import ModbusModel
from edge.models.product import SHIPPED
from messages.settings import ConfigError

GOOD = """\
site = "junmen"
edge = "pi-1"
folder = "state"
[uplink]
username = "junmen/pi-1"
password = "p"
[local]
username = "local"
[[lines]]
name = "rs485-1"
port = "/dev/null"
baudrate = 9600
[[devices]]
id = "gas-1"
model = "modbus-gas-detector"
line = "rs485-1"
unit = 11
place = { grid = "grid-1", building = "3", unit = "2", text = "3号楼2单元101厨房" }
[[devices]]
id = "level-1"
model = "modbus-level-probe"
line = "rs485-1"
unit = 12
place = { grid = "grid-1", text = "雨水井" }
settings = { depth = 3.5 }
[[devices]]
id = "door-1"
model = "json-door-controller"
topic = "local/door-1"
place = { grid = "grid-1", text = "2单元门口" }
"""


def parsed(folder: Path, *changes: tuple[str, str]) -> Config:
    text = GOOD
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    (folder / "edge.toml").write_text(text, encoding="utf-8")
    return parse(folder / "edge.toml")


def complaint(folder: Path, *changes: tuple[str, str]) -> str:
    with pytest.raises(ConfigError) as caught:
        parsed(folder, *changes)
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(f"{folder}/", "")


def test_a_good_file_is_read_and_its_paths_are_beside_it(tmp_path: Path) -> None:
    config = parsed(tmp_path)
    assert config.folder == tmp_path / "state"
    assert [device.id for device in config.devices] == ["gas-1", "level-1", "door-1"]
    assert config.devices[1].announcement.settings == {"depth": 3.5}
    assert config.devices[0].announcement.kind == "gas_alarm"
    assert config.outbox_limit_bytes == 512 * 1024 * 1024
    assert config.lines["rs485-1"].timeout_s == 0.3
    assert not config.folder.exists()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "modbus-gas-detector",
            "modbus-gas-detektor",
            "edge.toml:15: devices.0.model: no model `modbus-gas-detektor`; did you mean `modbus-gas-detector`?",
        ),
        (
            'line = "rs485-1"',
            'line = "rs485-2"',
            "edge.toml:16: devices.0.line: no line `rs485-2`; did you mean `rs485-1`?",
        ),
        ("unit = 12", "unit = 11", "edge.toml:23: devices.1.unit: unit 11 of line rs485-1 is taken by device `gas-1`"),
        ('id = "level-1"', 'id = "gas-1"', "edge.toml:20: devices.1.id: the id gas-1 is taken by another device"),
        (
            "unit = 11\n",
            "",
            "edge.toml:13: devices.0.unit: is missing: a modbus-gas-detector is a unit on a line",
        ),
        (
            "unit = 11\n",
            'unit = 11\ntopic = "a"\n',
            "edge.toml:18: devices.0.topic: a modbus-gas-detector has no topic; it is a unit on a line",
        ),
        ("unit = 11", "unit = 248", "edge.toml:17: devices.0.unit: should be less than or equal to 247, not 248"),
        ("unit = 11", "unti = 11", "edge.toml:17: devices.0.unti: is not known here; did you mean `unit`?"),
        (
            'topic = "local/door-1"\n',
            "",
            "edge.toml:26: devices.2.topic: is missing: a json-door-controller publishes on a topic of the local broker",
        ),
        (
            'topic = "local/door-1"',
            'topic = "local/door-1"\nunit = 3',
            "edge.toml:30: devices.2.unit: a json-door-controller has no unit; it publishes on a topic",
        ),
        (
            '[local]\nusername = "local"\n',
            "",
            "edge.toml:1: local: is missing: device `door-1` publishes on the local broker",
        ),
        ('"junmen"', '"Jun men"', "edge.toml:1: site: "),
        (
            "baudrate = 9600",
            "baudrate = 12",
            "edge.toml:12: lines.0.baudrate: should be greater than or equal to 300, not 12",
        ),
        ("baudrate = 9600", 'baudrate = 9600\ntimeout = "3 s"', "edge.toml:13: lines.0.timeout: a duration such as"),
        ("[uplink]", 'kinds = ["nowhere"]\n[uplink]', "edge.toml:4: kinds: "),
        ("[uplink]", 'models = ["nowhere"]\n[uplink]', "edge.toml:4: models: "),
        (
            "[uplink]",
            '[uplink]\nhost = "mqtt://192.0.2.1"',
            "edge.toml:5: uplink.host: a name or an IP address is wanted, without `mqtt://`",
        ),
        (
            'password = "p"',
            'password_file = "secret"',
            "edge.toml:6: uplink.password_file: secret: no password can be read: No such file or directory",
        ),
        (
            "[uplink]",
            '[uplink]\nca_file = "edge.toml"',
            "edge.toml:5: uplink.ca_file: edge.toml: not a certificate (and its key): NO_CERTIFICATE_OR_CRL_FOUND",
        ),
        (
            "[uplink]",
            '[uplink]\nca_file = "edge.toml"\ncert_file = "edge.toml"\nkey_file = "edge.key"',
            "edge.toml:7: uplink.key_file: edge.key: a certificate or key can't be read: No such file or directory",
        ),
    ],
)
def test_a_mistake_is_one_line_with_file_line_and_field(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert complaint(tmp_path, (old, new)).startswith(said)


def test_two_lines_never_share_a_name_or_a_port(tmp_path: Path) -> None:
    second = '[[lines]]\nname = "{}"\nport = "{}"\nbaudrate = 9600\n[[devices]]\nid = "gas-1"'
    first = '[[devices]]\nid = "gas-1"'
    assert "name: the name rs485-1 is taken" in complaint(tmp_path, (first, second.format("rs485-1", "/dev/x")))
    assert "port: /dev/null is taken by line `rs485-1`" in complaint(tmp_path, (first, second.format("b", "/dev/null")))


def test_two_devices_never_share_a_topic_and_a_topic_holds_no_wildcard(tmp_path: Path) -> None:
    second = (
        'id = "door-2"\nmodel = "json-door-controller"\ntopic = "local/door-1"\nplace = { grid = "g", text = "" }\n'
    )
    twice = complaint(tmp_path, ("[[devices]]", f"[[devices]]\n{second}[[devices]]"))
    assert twice.endswith("devices.3.topic: topic local/door-1 is taken by device `door-2`")
    assert "devices.2.topic" in complaint(tmp_path, ("local/door-1", "local/+"))


def test_a_user_adds_a_kind_and_a_model_by_two_files(tmp_path: Path) -> None:
    for name in ("kinds", "models"):
        (tmp_path / name).mkdir()
    (tmp_path / "kinds/noise.toml").write_text(
        'name = { zh = "噪声", en = "Noise" }\n[channels.level]\nname = { zh = "声级", en = "Level" }\n'
        'meaning = "A-weighted"\ntype = "number"\nunit = "dB"\ninterval = "1min"\n'
    )
    (tmp_path / "models/acme-noise.toml").write_text(
        'protocol = "modbus"\nname = "Acme"\nsource = "none"\nkind = "noise"\npoll_every = "1s"\n'
        "[channels.level]\ninput = 0\n"
    )
    config = parsed(
        tmp_path,
        ("[uplink]", 'kinds = ["kinds"]\nmodels = ["models"]\n[uplink]'),
        ("modbus-gas-detector", "acme-noise"),
    )
    assert config.devices[0].announcement.kind == "noise"


def test_a_password_file_is_read_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from the file\n")
    assert parsed(tmp_path, ('password = "p"', 'password_file = "secret"')).uplink.secret() == "from the file"


def test_the_summary_says_what_is_asked_of_whom(tmp_path: Path) -> None:
    said = "\n".join(summary(parsed(tmp_path)))
    assert "edge junmen/pi-1: 3 devices" in said
    assert "every 1 s holding 0x0000 and 1 more: gas_concentration, alarm_contact, sensor_fault" in said
    assert "every 1 s discrete 0x0000: float_switch" in said
    assert "topic local/door-1: door-1 (json-door-controller): door_open, forced, tamper" in said


def test_what_cannot_work_is_warned_of(tmp_path: Path) -> None:
    assert list(warnings(parsed(tmp_path))) == []
    absent = parsed(tmp_path, ('"/dev/null"', f'"{tmp_path}/ttyUSB9"'))
    assert list(warnings(absent)) == [f"line rs485-1: {tmp_path}/ttyUSB9 is not there"]
    (other,) = warnings(parsed(tmp_path, ("junmen/pi-1", "pi-1")))
    assert '"junmen/pi-1" alone' in other


def test_an_outbox_that_the_disk_has_no_room_for_is_warned_of_and_bridges_no_more_than_the_disk(tmp_path: Path) -> None:
    config = parsed(tmp_path, ('folder = "state"', 'folder = "state"\noutbox_limit_mb = 1000000000'))
    (said,) = warnings(config)
    assert "has room for" in said
    assert "less than outbox_limit_mb = 1000000000" in said
    whole = words(bridging(config, config.outbox_limit_bytes), "en")
    assert whole not in "\n".join(summary(config))


def test_an_installer_reads_what_is_checked_in_his_language(tmp_path: Path) -> None:
    said = "\n".join(summary(parsed(tmp_path), "zh"))
    assert "网关 junmen/pi-1：3 台设备" in said
    assert "断网可坚持" in said
    assert "每 1 秒 holding 0x0000 起共 2 个: gas_concentration" in said
    assert list(warnings(parsed(tmp_path, ('"/dev/null"', f'"{tmp_path}/ttyUSB9"')), "zh")) == [
        f"线路 rs485-1: {tmp_path}/ttyUSB9 不存在"
    ]


def test_a_line_that_is_asked_for_too_much_is_warned_of(tmp_path: Path) -> None:
    slow = parsed(tmp_path, ("baudrate = 9600", "baudrate = 300"))
    assert load(slow.lines["rs485-1"], of(ModbusModel, slow.on_line("rs485-1"))) > 1
    assert any("read less often" in warning for warning in warnings(slow))


NOISE = """protocol = "modbus"
name = "Acme"
source = "none"
kind = "gas_alarm"
poll_every = "1s"
[channels.gas_concentration]
holding = 0
[channels.alarm_contact]
holding = 1
type = "bit"
bit = 0
"""


def with_model(folder: Path, name: str, text: str) -> Config:
    (folder / "models").mkdir()
    (folder / f"models/{name}.toml").write_text(text)
    return parsed(folder, ("[uplink]", 'models = ["models"]\n[uplink]'))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("gas_alarm", "gas_alrm", "4: kind: no kind `gas_alrm`; did you mean `gas_alarm`?"),
        (
            "channels.alarm_contact",
            "channels.alarm_contract",
            "8: channels.alarm_contract: a gas_alarm has none; did you mean `alarm_contact`?",
        ),
        (
            "holding = 0",
            'holding = 0\ntype = "bit"\nbit = 0',
            "6: channels.gas_concentration: a bit can't be the number of the kind",
        ),
        (
            "holding = 0",
            'holding = 65535\ntype = "float32"',
            "6: channels.gas_concentration: a float32 takes 2 registers, and 65535 is the last there is",
        ),
        (
            "holding = 0",
            "holding = 0\nvalid = [100, 0]",
            "8: channels.gas_concentration.valid: the lowest, 100, comes after the highest, 0",
        ),
    ],
)
def test_a_mistake_in_a_model_is_told_with_its_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        with_model(tmp_path, "acme", NOISE.replace(old, new, 1))
    assert str(caught.value) == f"{tmp_path}/models/acme.toml:{said}"


@pytest.mark.parametrize("channel", ["card", "keypad"])
def test_no_product_but_an_osdp_reader_may_tell_a_card_or_a_code(tmp_path: Path, channel: str) -> None:
    """Guarantee 10: as it stands in a message, a card's number would leave the edge."""
    door = (SHIPPED / "json-door-controller.toml").read_text(encoding="utf-8")
    with pytest.raises(ConfigError, match=rf"channels\.{channel}: may leave the edge as a keyed hash only"):
        with_model(tmp_path, "json-door", f'{door}\n[channels.{channel}]\npath = "card"\n')


def test_the_last_register_can_be_read(tmp_path: Path) -> None:
    with_model(tmp_path, "acme", NOISE.replace("holding = 0", "holding = 65535"))


def test_a_model_in_the_place_of_a_shipped_one_is_noted(tmp_path: Path) -> None:
    assert parsed(tmp_path).notes == ()
    config = with_model(tmp_path, "modbus-gas-detector", NOISE)
    file = tmp_path / "models/modbus-gas-detector.toml"
    assert [str(note) for note in config.notes] == [f"{file} replaces the shipped one; gone: sensor_fault"]
    said = CliRunner().invoke(app, ["check", str(tmp_path / "edge.toml")]).output
    assert f"note: {file} replaces the shipped one" in said


@pytest.mark.parametrize("name", ["pi-1", "pi-1-rs485-1", "pi-1-local", "gas-1-link"])
def test_no_device_takes_a_name_that_the_edge_has_for_its_own_parts(tmp_path: Path, name: str) -> None:
    said = complaint(tmp_path, ('id = "door-1"', f'id = "{name}"'))
    assert said == f"edge.toml:27: devices.2.id: `{name}` is what the edge calls a part of itself"


@pytest.mark.parametrize("name", ["gridcall", "a door", "d" * 81, "-x"])
def test_no_product_file_takes_a_name_that_is_none(tmp_path: Path, name: str) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / f"{name}.toml").write_bytes((SHIPPED / "json-door-controller.toml").read_bytes())
    said = complaint(tmp_path, ('folder = "state"', 'folder = "state"\nmodels = ["own"]'))
    assert said.startswith(f"own/{name}.toml: a model's name is its file's: ")


def test_one_device_is_one_device(tmp_path: Path) -> None:
    config = parsed(tmp_path)
    one = replace(config, devices=config.devices[:1])
    assert next(summary(one)) == "edge junmen/pi-1: 1 device"


ZIGBEE = """
[[devices]]
id = "smoke-{number}"
model = "zigbee-smoke-heiman-hs1sa"
topic = "{topic}"
place = {{ grid = "grid-1", text = "" }}
"""


def behind(folder: Path, more: str, *topics: str) -> Config:
    devices = "".join(ZIGBEE.format(number=number, topic=topic) for number, topic in enumerate(topics))
    return parsed(folder, ("[[devices]]", more + "[[devices]]"), ('text = "2单元门口" }\n', f'text = "" }}{devices}'))


def test_the_base_of_a_zigbee_topic_is_its_gateway(tmp_path: Path) -> None:
    config = behind(tmp_path, "", "zigbee2mqtt/a", "Zigbee 东/b", "local/c", "rs485-1/d", "东/e", "plain")
    assert [device.gateway for device in config.devices[2:]] == [
        "",
        "zigbee2mqtt",
        "zigbee",
        "local-2",
        "rs485-1-2",
        "zigbee2mqtt-2",
        "",
    ]
    lines = [device.id for device in config.own_devices if device.announcement.kind == "edge_line"]
    assert lines[:3] == ["pi-1-rs485-1", "pi-1-local", "pi-1-zigbee2mqtt"]
    assert config.notes == ()
    english, chinese = "\n".join(summary(config)), "\n".join(summary(config, "zh"))
    gateway = "gateway zigbee2mqtt: says how it is on zigbee2mqtt/bridge/state, and is away when its devices fall silent together"
    assert f"{gateway}\n  topic zigbee2mqtt/a: smoke-0 (zigbee-smoke-heiman-hs1sa): smoke, " in english
    assert (
        "网关 zigbee2mqtt：状态主题 zigbee2mqtt/bridge/state；其设备同时无消息时视为网关失联\n  主题 zigbee2mqtt/a"
        in chinese
    )


def test_a_base_with_a_slash_is_said_by_a_table_and_asked_for_without(tmp_path: Path) -> None:
    topics = ("east/zigbee2mqtt/a", "east/zigbee2mqtt/hall/b", "west/c")
    guessed = behind(tmp_path, "", *topics)
    assert [device.gateway for device in guessed.devices[3:]] == ["east", "east", "west"]
    assert str(guessed.notes[0]) == (
        "smoke-0: its gateway is taken to be Zigbee2MQTT with the base topic `east`;"
        " if that is `east/zigbee2mqtt`, say so in a [[gateways]] table (name, topic)"
    )
    table = '[[gateways]]\nname = "stairs"\ntopic = "east/zigbee2mqtt"\n'
    vendor = '[[gateways]]\nname = "doors"\ntopic = "local"\n[[gateways]]\nname = "none"\ntopic = "nobody"\n'
    said = behind(tmp_path, table + vendor, *topics)
    assert [device.gateway for device in said.devices[2:]] == ["doors", "stairs", "stairs", "west"]
    assert [str(note) for note in said.notes] == ["gateway none: no device's topic begins with nobody/"]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('name = "a"', "gateways.0: exactly one of topic, eui is wanted"),
        ('name = "local"\ntopic = "z"', "gateways.0.name: `local` is what the edge calls a line of its own"),
        ('name = "rs485-1"\ntopic = "z"', "gateways.0.name: the name rs485-1 is taken by another line"),
        ('name = "a"\ntopic = "z/"', "gateways.0.topic: "),
        ('name = "a"\ntopic = "z/#"', "gateways.0.topic: "),
        ('name = "a"\neui = "12"', "gateways.0.eui: "),
        (f'name = "a"\neui = "{"0" * 16}"', "lorawan: is missing: which network server does gateway `a` belong to?"),
        (
            'name = "a"\ntopic = "z"\n[[gateways]]\nname = "b"\ntopic = "z"',
            "gateways.1.topic: the gateway's topic z is taken by gateway `a`",
        ),
    ],
)
def test_a_mistake_in_a_gateway_is_told(tmp_path: Path, table: str, said: str) -> None:
    assert said in complaint(tmp_path, ("[[devices]]", f"[[gateways]]\n{table}\n[[devices]]"))


CONTACTS = """
[[devices]]
id = "magnet-1"
model = "modbus-contact-door-magnet"
line = "rs485-1"
unit = 40
at = 0
place = { grid = "grid-1", text = "" }
[[devices]]
id = "magnet-2"
model = "modbus-contact-door-magnet"
line = "rs485-1"
unit = 40
at = 5
place = { grid = "grid-1", text = "" }
"""


def test_many_contacts_share_one_module(tmp_path: Path) -> None:
    config = parsed(
        tmp_path,
        (
            'place = { grid = "grid-1", text = "2单元门口" }',
            'place = { grid = "grid-1", text = "2单元门口" }' + CONTACTS,
        ),
    )
    magnets = of(ModbusModel, config.on_line("rs485-1"))[-2:]
    assert [(magnet.unit, magnet.model.channels["door_open"].address) for magnet in magnets] == [(40, 0), (40, 5)]


@pytest.mark.parametrize(
    ("at", "said"),
    [
        ("at = 0", "unit: discrete 0 of unit 40 of line rs485-1 is taken by device `magnet-1`"),
        ("at = 65536", "at: should be less than or equal to 65535"),
    ],
)
def test_one_contact_is_one_device(tmp_path: Path, at: str, said: str) -> None:
    place = 'place = { grid = "grid-1", text = "2单元门口" }'
    assert said in complaint(tmp_path, (place, place + CONTACTS.replace("at = 5", at)))


def test_a_setting_that_no_rule_would_believe_and_an_address_from_a_manual_are_noted(tmp_path: Path) -> None:
    assert parsed(tmp_path).notes == ()
    (typo,) = parsed(tmp_path, ("depth = 3.5", "dept = 3.5")).notes
    assert str(typo).startswith("level-1: no rule for a sewer_level that is here knows the setting `dept`")
    assert "depth" in str(typo)
    (text,) = parsed(tmp_path, ("depth = 3.5", 'depth = "3.5 m"')).notes
    assert str(text) == "level-1: the setting `depth` is '3.5 m', and the rules want something like 3.0"
    (tmp_path / "own").mkdir()
    (tmp_path / "own/cover.toml").write_text(
        'protocol = "modbus"\nname = "n"\nsource = "s"\nkind = "sewer_level"\npoll_every = "1s"\n'
        "[channels.water_level]\nholding = 40003\n"
    )
    changes = (('folder = "state"', 'folder = "state"\nmodels = ["own"]'), ('"modbus-level-probe"', '"cover"'))
    (counted,) = parsed(tmp_path, *changes).notes
    assert (
        str(counted) == "level-1: cover reads water_level from holding 40003; if a manual counts from 40001, 2 is meant"
    )


def test_who_lacks_a_protocols_package_is_told_how_the_source_brings_it_for_no_registry_has_gridcall(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.configuration.check.find_spec", lambda name: None)
    reader = (
        'model = "modbus-level-probe"\nline = "rs485-1"\nunit = 12',
        'model = "osdp-reader-with-inputs"\nline = "doors"\nunit = 0',
    )
    doors = ("[[devices]]", '[[lines]]\nname = "doors"\nport = "/dev/zero"\nbaudrate = 9600\n[[devices]]')
    said = complaint(tmp_path, doors, reader, ("settings = { depth = 3.5 }\n", ""))
    assert f"source, {sys.prefix}/bin/pip install --no-build-isolation '.[osdp]'" in said
