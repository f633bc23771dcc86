"""What was found on a line against what the configuration says is there. Pure."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from edge.configuration.config import Device
from edge.models.modbus import ModbusChannel, ModbusModel
from edge.sources import registers
from edge.sources.schedule import Poll
from messages.kind import Channel, Kind
from messages.language import Language

SWAPS = (
    {"word_order": True},
    {"byte_order": True},
    {"word_order": True, "byte_order": True},
)
"""What makers disagree about: which register of a number comes first, which byte of a register."""
TINY = 1e-6
"""A float that is nearer to zero, and isn't zero, measures nothing: its exponent is another number's digits."""
_OTHER = {"big": "little", "little": "big"}


def strangers(
    found: Collection[int], asked: Collection[int], slaves: Sequence[Device[ModbusModel]], language: Language = "en"
) -> Iterator[str]:
    """Units of those that were asked which are on one side only."""
    known, zh = {slave.unit: slave.id for slave in slaves}, language == "zh"
    for unit in sorted(known.keys() & set(asked) - set(found)):
        device = known[unit]
        yield (
            f"地址 {unit}，配置中的 {device}，没有应答"
            if zh
            else f"unit {unit}, {device} in the configuration, does not answer"
        )
    for unit in sorted(set(found) - known.keys()):
        yield f"地址 {unit} 不在配置中" if zh else f"unit {unit} is not in the configuration"


def suspects(slave: Device[ModbusModel], poll: Poll, raw: Sequence[int], language: Language = "en") -> Iterator[str]:
    """Channels whose value can't be true as the product file reads them, and could be if its words or bytes were swapped."""
    for name, channel in poll.channels.items():
        kind = slave.kind.channels[name]
        if kind.type != "number" or channel.table in ("coil", "discrete"):
            continue
        said = _value(slave.kind, name, channel, poll, raw)
        if said is not None and _likely(said, channel, kind):
            continue
        for swap in SWAPS:
            other = channel.model_copy(update=_swapped(channel, swap))
            value = _value(slave.kind, name, other, poll, raw)
            if value is not None and _likely(value, channel, kind) and (channel.words > 1 or "word_order" not in swap):
                lines = " and ".join(f'{field} = "{getattr(other, field)}"' for field in swap)
                model, zh = slave.announcement.model, language == "zh"
                shown = ("不是数" if zh else "no number") if said is None else f"{said:g}"
                yield (
                    f"{name} 为 {shown}，不可能；在 {model} 中写 {lines} 则为 {value:g}"
                    if zh
                    else f"{name} is {shown}, which can't be; with {lines} in {model} it is {value:g}"
                )
                break


def _swapped(channel: ModbusChannel, swap: Mapping[str, bool]) -> dict[str, str]:
    return {field: _OTHER[getattr(channel, field)] for field in swap}


def _value(kind: Kind, name: str, channel: ModbusChannel, poll: Poll, raw: Sequence[int]) -> float | None:
    said = list(registers.readings(poll.device, kind, {name: channel}, poll.request.address, raw, 0))
    return said[0].value if said and isinstance(said[0].value, float) else None


def _likely(value: float, channel: ModbusChannel, kind: Channel) -> bool:
    low, high = channel.valid or kind.range or (float("-inf"), float("inf"))
    return low <= value <= high and not (channel.type.startswith("float") and 0 < abs(value) < TINY)
