"""What a configuration means on this machine: what would be read, where it would go, and what can't work here and now."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from edge.configuration.check import MEGABYTE
from edge.configuration.config import Config, Device, GatewayAt, of
from edge.configuration.tables import LineSettings
from edge.installer.access import may_use
from edge.installer.bridging import bridging, words
from edge.keeping.disk import FILE
from edge.models.gpio import GpioModel
from edge.models.hj212 import Hj212Model
from edge.models.modbus import ModbusModel
from edge.models.osdp import OsdpModel
from edge.models.product import Model
from edge.protocols import modbus_rtu
from edge.protocols.modbus_rtu import Pace
from edge.sources import schedule
from messages.language import Language

TURNAROUND_S = 0.02
"""What a slave commonly takes to begin its answer: for an estimate only."""


def summary(parsed: Config, language: Language = "en") -> Iterator[str]:
    """What the agent would do, a line each."""
    zh, count = language == "zh", len(parsed.devices)
    limit_bytes = min(parsed.outbox_limit_bytes, room_bytes(parsed.folder))
    most = f"{parsed.outbox_limit_bytes // MEGABYTE} MB"
    bridged = words(bridging(parsed, limit_bytes), language)
    if zh:
        yield f"网关 {parsed.site}/{parsed.edge}：{count} 台设备"
        yield f"发件箱：{parsed.folder}，最多 {most}"
        yield f"发件箱：{bridged}"
        yield f"上联：{parsed.uplink.address}，用户 {parsed.uplink.username or '（无）'}"
    else:
        yield f"edge {parsed.site}/{parsed.edge}: {count} device{'s' * (count != 1)}"
        yield f"outbox: {parsed.folder}, at most {most}"
        yield f"outbox: {bridged}"
        yield f"uplink: {parsed.uplink.address} as {parsed.uplink.username or 'nobody'}"
    for line in parsed.lines.values():
        yield from line_summary(parsed, line, language)
    if parsed.local:
        user = parsed.local.username
        address = parsed.local.address
        yield (
            f"本地代理：{address}，用户 {user or '（无）'}" if zh else f"local broker: {address} as {user or 'nobody'}"
        )
    for device in parsed.on_broker():
        if not device.gateway:
            yield f"  {on_broker(device, language)}"
    for gateway in parsed.gateways:
        yield from gateway_summary(parsed, gateway, language)


def on_broker(device: Device[Model], language: Language) -> str:
    """One device that publishes on the local broker, or whose gateway does."""
    zh = language == "zh"
    where = f"{'主题' if zh else 'topic'} {device.topic}" if device.topic else f"DevEUI {device.dev_eui}"
    return f"{where}: {device.id} ({device.announcement.model}): {', '.join(device.model.channels)}"


def gateway_summary(parsed: Config, gateway: GatewayAt, language: Language) -> Iterator[str]:
    """A gateway, by what its state is known, and its devices."""
    zh, name = language == "zh", f"{'网关' if language == 'zh' else 'gateway'} {gateway.name}"
    if gateway.eui:
        chirpstack = parsed.lorawan is not None and parsed.lorawan.server == "chirpstack"
        own = f"<region>/gateway/{gateway.eui}/state/conn" if chirpstack else ""
    else:
        own = f"{gateway.topic}/bridge/state"
    if zh:
        yield f"{name}：" + (f"状态主题 {own}；" if own else "") + "其设备同时无消息时视为网关失联"
    else:
        yield (
            f"{name}: "
            + (f"says how it is on {own}, and " * bool(own))
            + "is away when its devices fall silent together"
        )
    for device in parsed.on_broker():
        if device.gateway == gateway.name:
            yield f"  {on_broker(device, language)}"


def line_summary(parsed: Config, line: LineSettings, language: Language = "en") -> Iterator[str]:
    """One line and its devices."""
    zh = language == "zh"
    slaves = of(ModbusModel, parsed.on_line(line.name))
    calls = f"站点呼入 {line.where}" if zh else f"stations call on {line.where}"
    said = [line.where if line.listen is None else calls]
    if line.port:
        said.append(f"{line.baudrate} Bd, {line.data_bits}{line.parity}{line.stop_bits}")
    if slaves:
        busy = f"{load(line, slaves):.0%}"
        said += [line.framing] * (line.host is not None) + [f"占用 {busy}" if zh else f"busy {busy} of the time"]
    yield f"{'线路' if zh else 'line'} {line.name}: {', '.join(said)}"
    for device in parsed.on_line(line.name):
        names = ", ".join(device.model.channels)
        if not isinstance(device.model, ModbusModel):
            yield f"  {where_on_line(device, language)}{device.id} ({device.announcement.model}): {names}"
    for slave in slaves:
        yield f"  {'地址' if zh else 'unit'} {slave.unit}: {slave.id} ({slave.announcement.model})"
        for poll in schedule.polls(slave.id, slave.unit, slave.model):
            asked = poll.request
            more = f" 起共 {asked.count} 个" if zh else f" and {asked.count - 1} more"
            where = f"{asked.table} 0x{asked.address:04X}" + more * (asked.count > 1)
            every = f"每 {poll.every_s:g} 秒" if zh else f"every {poll.every_s:g} s"
            yield f"    {every} {where}: {', '.join(poll.channels)}"


def where_on_line(device: Device[Model], language: Language = "en") -> str:
    """By what a device that isn't a Modbus slave is told from the others of its line; empty for one that is alone."""
    zh = language == "zh"
    match device.model:
        case OsdpModel():
            secure = ("加密" if zh else "secure") if device.key else ("明文" if zh else "in clear")
            return f"{'地址' if zh else 'unit'} {device.unit}, {secure}: "
        case GpioModel():
            return f"{'引脚' if zh else 'pin'} {device.pin}: "
        case Hj212Model():
            return f"{'站点' if zh else 'station'} {device.mn}: "
    return ""


def warnings(parsed: Config, language: Language = "en", user: str = "") -> Iterator[str]:
    """What is allowed, and can't work here and now, for `user`; empty: for whoever runs this."""
    for line in parsed.lines.values():
        yield from _of_line(parsed, line, language, user)
    yield from _of_uplink(parsed, language)
    zh = language == "zh"
    if parsed.local and not parsed.on_broker():
        yield "local: 没有设备在它上面发布" if zh else "local: no device publishes on it"
    folder = _there(parsed.folder)
    if not may_use(folder, user):
        by = (f"用户 {user} " if zh else f"the user {user}") if user else ("本用户" if zh else "this user")
        yield f"folder: {by}不能写 {folder}" if zh else f"folder: {folder} may not be written by {by}"
    if (room := room_bytes(parsed.folder)) < parsed.outbox_limit_bytes:
        free, limit = room // MEGABYTE, parsed.outbox_limit_bytes // MEGABYTE
        yield (
            f"folder: {folder} 只有 {free} MB 可用，少于 outbox_limit_mb 的 {limit} MB：腾出空间，或改小上限"
            if zh
            else f"folder: {folder} has room for {free} MB, less than outbox_limit_mb = {limit}: make room, or ask for less"
        )


def _of_line(parsed: Config, line: LineSettings, language: Language, user: str) -> Iterator[str]:
    zh, name = language == "zh", f"{'线路' if language == 'zh' else 'line'} {line.name}"
    for path, group in ((line.port, "dialout"), (line.chip, "gpio")):
        if path and "://" not in path and not may_use(Path(path), user):
            if not Path(path).exists():
                yield f"{name}: {path} {'不存在' if zh else 'is not there'}"
            elif zh:
                yield f"{name}: 用户 {user or '$USER'} 不能使用 {path}：sudo usermod -aG {group} {user or '$USER'}，然后重启服务或重新登录"
            else:
                yield (
                    f"{name}: {path} may not be used by {user or 'this user'}: "
                    f"sudo usermod -aG {group} {user or '$USER'}, then restart the service or log in again"
                )
    for reader in of(OsdpModel, parsed.on_line(line.name)):
        if not reader.key:
            yield (
                f"{reader.id}: 用明文通信，搭线即可读到卡号：请设置 key_file"
                if zh
                else f"{reader.id}: spoken to in clear, so that whoever taps the line reads its cards: give it a key_file"
            )
    if not parsed.on_line(line.name):
        yield f"{name}: 没有设备" if zh else f"{name}: no device is on it"
    elif (busy := load(line, of(ModbusModel, parsed.on_line(line.name)))) > 1:
        yield (
            f"{name}: 每秒要传 {busy:.1f} 秒的数据，读取会比要求的慢"
            if zh
            else f"{name}: {busy:.1f} s of traffic a second; its devices are read less often than asked for"
        )


def _of_uplink(parsed: Config, language: Language) -> Iterator[str]:
    zh, ours = language == "zh", f"{parsed.site}/{parsed.edge}"
    if parsed.uplink.username is None:
        yield (
            "uplink: 没有 username；按 Gridcall 的访问规则，代理不接受无名连接"
            if zh
            else "uplink: no username; a broker with Gridcall's access rules lets nobody in without"
        )
    elif parsed.uplink.username != ours:
        yield (
            f'uplink: username 是 "{parsed.uplink.username}"；按 Gridcall 的访问规则，只有 "{ours}" 能写本网关的主题'
            if zh
            else f'uplink: username is "{parsed.uplink.username}"; '
            f"Gridcall's access rules let \"{ours}\" alone write this edge's topics"
        )


def room_bytes(folder: Path) -> int:
    """What the outbox can have of its disk: what is free, and what it has taken already."""
    outbox = folder / FILE
    return shutil.disk_usage(_there(folder)).free + (outbox.stat().st_size if outbox.exists() else 0)


def _there(folder: Path) -> Path:
    """The folder, or the nearest above it that is there already."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())


def load(line: LineSettings, slaves: Sequence[Device[ModbusModel]]) -> float:
    """The share of its time that a line is busy when all its slaves answer."""
    pace = Pace(line.baudrate, line.bits) if line.baudrate else None
    busy = 0.0
    for slave in slaves:
        for poll in schedule.polls(slave.id, slave.unit, slave.model):
            length = len(modbus_rtu.encode(poll.request)) + modbus_rtu.reply_bytes(poll.request)
            on_the_wire_s = pace.transmission_s(length) + 2 * pace.silent_s if pace else 0.0
            busy += (on_the_wire_s + TURNAROUND_S) / poll.every_s
    return busy
