"""What a user, or an editor, a disk and a copy may leave where the agent's configuration should be: one clear line in both languages."""

import os
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from edge.configuration.check import parse
from messages.settings import LIMIT_BYTES, ConfigError

GOOD: dict[str, Any] = {
    "site": "junmen",
    "edge": "pi-1",
    "folder": "state",
    "outbox_limit_mb": 64,
    "calendar": {"zone": "Asia/Shanghai", "days_off": [], "days_worked": []},
    "uplink": {"host": "broker", "port": 1883, "username": "junmen/pi-1", "keepalive": "30s", "protocol": "5"},
    "local": {"username": "local", "password": "p"},
    "lorawan": {"server": "chirpstack"},
    "lines": [
        {
            "name": "rs485-1",
            "port": "/dev/null",
            "baudrate": 9600,
            "parity": "E",
            "stop_bits": 1,
            "timeout": "300ms",
            "rs485": {"rts_on_send": True, "delay_before": "1ms"},
        },
        {"name": "plc", "host": "plc.local", "tcp_port": 502, "framing": "rtu"},
    ],
    "gateways": [{"name": "roof", "eui": "24e124fffef12345"}],
    "devices": [
        {
            "id": "gas-1",
            "model": "modbus-gas-detector",
            "line": "rs485-1",
            "unit": 11,
            "place": {"grid": "grid-1", "building": "3", "text": "101厨房"},
            "settings": {"depth": 3.5},
        },
        {
            "id": "door-1",
            "model": "json-door-controller",
            "topic": "local/door-1",
            "place": {"grid": "g", "text": "门"},
        },
    ],
}
WRONG: tuple[Any, ...] = (None, "no", -1, 10**12, 1.5, [], {"zz": 1}, "\x1b[31m\nred", "x" * 5000)
"""Values that stand where something else should; None takes the entry away."""


def toml(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return (
                '"' + "".join(one if one.isprintable() and one != '"' else f"\\u{ord(one):04x}" for one in value) + '"'
            )
        case list():
            return f"[{', '.join(map(toml, value))}]"
        case dict():
            return "{" + ", ".join(f"{key} = {toml(each)}" for key, each in value.items()) + "}"
    return str(value)


def places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    for key, each in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield (*above, key)
        yield from places(each, (*above, key))


def changed(place: tuple[Any, ...], value: Any) -> str:
    content = deepcopy(GOOD)
    here: Any = content
    for part in place[:-1]:
        here = here[part]
    if value is None:
        del here[place[-1]]
    else:
        here[place[-1]] = value
    return "".join(f"{key} = {toml(each)}\n" for key, each in content.items())


def said(path: Path) -> tuple[str, str]:
    with pytest.raises(ConfigError) as caught:
        parse(path)
    return caught.value.said("zh"), caught.value.said("en")


def test_whatever_stands_in_the_wrong_place_is_one_printable_line_in_chinese_with_its_place(tmp_path: Path) -> None:
    path, refused = tmp_path / "edge.toml", 0
    path.write_text("".join(f"{key} = {toml(each)}\n" for key, each in GOOD.items()), encoding="utf-8")
    parse(path)
    for place in places(GOOD):
        for value in WRONG:
            path.write_text(changed(place, value), encoding="utf-8")
            try:
                parse(path)
            except ConfigError as error:
                refused += 1
                for text in (error.said("zh"), error.said("en")):
                    assert text.isprintable(), text
                    assert text.startswith(f"{path}:"), text
                    assert len(text) < 3000, text
                chinese = error.said("zh").replace("not_available", "")
                assert any("一" <= sign <= "龥" for sign in chinese), (place, value, chinese)
                for english in ("should", " is ", "valid", " must ", "wanted", "Input"):
                    assert english not in chinese, (place, value, chinese)
    assert refused > 250


LINES = {
    "a closing quote of a Chinese keyboard": ('site = "junmen”', '；`”` 是中文输入法的符号：请用英文半角 "', 'type "'),
    "a full-width equals sign": ('site ＝ "junmen"', "请用英文半角 =", "type ="),
    "brackets without end": (f"a = {'[' * 50_000}", "嵌套太深", "too deep"),
    "a number without end": (f"a = {'9' * 9_000}", "不是 TOML 格式", "not TOML"),
    "a name twice": ('site = "a"\nsite = "b"', "是不是同一个名字写了两次？", "same name"),
    "a table twice": ('site = "a"\n[local]\n[local]', "是不是同一个表写了两次？", "same table"),
    "nothing": ("", "缺少这一项", "is missing"),
}


@pytest.mark.parametrize("name", LINES)
def test_what_is_no_toml_is_told_with_what_to_type(tmp_path: Path, name: str) -> None:
    source, chinese, english = LINES[name]
    path = tmp_path / "edge.toml"
    path.write_text(f"{source}\n", encoding="utf-8")
    zh, en = said(path)
    assert chinese in zh
    assert english in en
    assert zh.startswith(f"{path}:")


def put(path: Path, kind: str) -> None:
    match kind:
        case "a pipe":
            os.mkfifo(path)
        case "a folder":
            path.mkdir()
        case "a loop":
            path.symlink_to(path.with_name("other"))
            path.with_name("other").symlink_to(path)
        case "huge":
            with path.open("wb") as file:
                file.truncate(100 * 1024 * 1024)
        case "endless":
            path.symlink_to("/dev/zero")
        case "GBK":
            path.write_bytes('site = "军门社区"\n'.encode("gbk"))


FILES: dict[str, tuple[str, str]] = {
    "a pipe": ("不是普通文件", "is no file"),
    "a folder": ("这是文件夹", "Is a directory"),
    "a loop": ("符号链接绕成了圈", "Too many levels of symbolic links"),
    "huge": (f"超过 {LIMIT_BYTES >> 20} MB", "larger than"),
    "endless": ("不是普通文件", "is no file"),
    "GBK": ("请另存为 UTF-8", "save it as UTF-8"),
    "none": ("没有这个文件或文件夹", "No such file"),
}


@pytest.mark.parametrize("kind", FILES)
def test_what_is_no_file_of_settings_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "edge.toml"
    put(path, kind)
    zh, en = said(path)
    assert FILES[kind][0] in zh
    assert FILES[kind][1] in en


def test_a_letter_that_only_looks_right_is_named(tmp_path: Path) -> None:
    path = tmp_path / "edge.toml"
    path.write_text(changed(("devices", 0, "model"), "modbus-gаs-detector"), encoding="utf-8")
    zh, en = said(path)
    assert "是不是 `modbus-gas-detector`？（其中的 `а` 是 U+0430" in zh
    assert "`а` in it is U+0430, cyrillic small letter a" in en
    path.write_text(changed(("site",), "ｊunmen"), encoding="utf-8")
    assert "`ｊ` in it is U+FF4A" in said(path)[1]


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("devices", 1, "topic"), "local/+/door"),
        (("devices", 1, "topic"), "local/#"),
        (("devices", 1, "topic"), "$share/all/door"),
        (("devices", 1, "topic"), "local/\u0000door"),
        (("devices", 0, "id"), "gas/+"),
        (("edge",), "pi/1"),
        (("lines", 0, "baudrate"), 10**9),
        (("lines", 0, "port"), "/dev/tty\u0000"),
        (("folder",), "a\u0000b"),
        (("uplink", "password_file"), "a\u0000b"),
    ],
)
def test_a_name_that_would_reach_further_than_it_says_is_refused(
    tmp_path: Path, place: tuple[Any, ...], value: object
) -> None:
    path = tmp_path / "edge.toml"
    path.write_text(changed(place, value), encoding="utf-8")
    zh, _ = said(path)
    assert f"{'.'.join(map(str, place))}: " in zh
