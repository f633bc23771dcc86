"""Figures as an installer reads them, in Chinese or English. Pure."""

import errno
import os

from messages.kind import Channel
from messages.language import Language, Phrase
from messages.reading import Quality, Value
from messages.settings import Text

_SIGNS = {"Cel": "°C", "deg": "°", "%EL": "%", "%RH": "%", "m3": "m³", "/": "", "count": ""}
"""How a meter's own display writes a unit."""

_WAYS_OUT = {
    os.strerror(errno.EAGAIN): Text(
        zh="串口被别的程序占用；如果是网关程序，先停止它：systemctl stop gridcall@edge",
        en="another program has the port; if it is the agent, stop it first: systemctl stop gridcall@edge",
    ),
    os.strerror(errno.ENOENT): Text(
        zh="没有这个串口；有哪些：ls /dev/serial/by-id/ /dev/ttyUSB* /dev/ttyAMA*",
        en="there is no such port; which there are: ls /dev/serial/by-id/ /dev/ttyUSB* /dev/ttyAMA*",
    ),
    os.strerror(errno.EACCES): Text(
        zh="没有权限：sudo usermod -aG dialout $USER，然后重新登录",
        en="no permission: sudo usermod -aG dialout $USER, then log in again",
    ),
}
"""Why a port can't be opened, and what an installer does then."""


def said(text: Text, language: Language) -> str:
    return text.zh if language == "zh" else text.en


def age(ms: int, language: Language) -> str:
    """How long ago: "4 s", "3 min"."""
    seconds = max(ms, 0) / 1000
    units = (("秒", " s", 1), ("分钟", " min", 60), ("小时", " h", 3600), ("天", " d", 86400))
    zh, en, length = next((unit for unit in reversed(units) if seconds >= 2 * unit[2] or unit[2] == 1), units[0])
    return f"{seconds / length:.0f}{zh if language == 'zh' else en}"


def value(found: Value, channel: Channel, quality: Quality, language: Language) -> str:
    """With its unit, or in its own words; a doubtful one with a mark."""
    match found:
        case bool():
            words = channel.when_true if found else channel.when_false
            text = said(words, language) if words else str(found).lower()
        case str():
            text = found
        case _:
            text = f"{found:g} {unit(channel)}".rstrip()
    marks = {Quality.GOOD: "", Quality.UNCERTAIN: " ?", Quality.BAD: " !"}
    return text + marks[quality]


def unit(channel: Channel) -> str:
    return _SIGNS.get(channel.unit or "", channel.unit or "")


def percent(part: int, whole: int) -> str:
    """ "2.5 %"; a dash where nothing was asked."""
    return f"{100 * part / whole:.1f} %" if whole else "–"


def no_port(why: Phrase, language: Language) -> str:
    """Why a port can't be opened, in an installer's words and with the way out; the kernel's own where there are none."""
    way_out = _WAYS_OUT.get(str(why))
    return said(way_out, language) if way_out else why.said(language)
