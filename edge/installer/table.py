"""A snapshot as a table for the terminal: every device with its channels, age and errors. Pure.

What needs attention is red and stands where it always stands: a row that jumps can't be watched.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text as Words

from edge.configuration.config import Device
from edge.installer import words
from edge.installer.snapshot import ChannelNow, DeviceNow, Snapshot
from edge.installer.words import Language
from edge.models.product import Model
from messages.ids import DeviceId
from messages.kind import Channel
from messages.reading import Quality

STALE = 2.5
"""A channel is stale when it is older than so many of its intervals."""

_HEADINGS = {
    "zh": ("设备", "位置", "通道", "数值", "时间", "应答", "错误", "响应"),
    "en": ("Device", "Place", "Channel", "Value", "Age", "Answers", "Errors", "Latency"),
}
_NEVER = {"zh": "从未", "en": "never"}


@dataclass(frozen=True, slots=True)
class Row:
    """One channel of one device; the device's own cells stand in its first row only."""

    device: str
    place: str
    channel: str
    value: str
    age: str
    answers: str
    errors: str
    latency: str
    bad: bool
    """Something here needs a look."""

    @property
    def cells(self) -> tuple[str, ...]:
        return (
            self.device,
            self.place,
            self.channel,
            self.value,
            self.age,
            self.answers,
            self.errors,
            self.latency,
        )


def rows(devices: Sequence[Device[Model]], now: Snapshot, language: Language) -> list[Row]:
    """In the order of the configuration."""
    known = {device.id: device for device in now.devices}
    return [row for device in devices for row in _of_device(device, known.get(device.id), now.at_ms, language)]


def _of_device(device: Device[Model], now: DeviceNow | None, now_ms: int, language: Language) -> Iterator[Row]:
    now = now or DeviceNow(DeviceId(device.id), device.line, True, 0, {}, None, None, {})
    first = True
    for name in device.model.channels:
        channel, found = device.kind.channels[name], now.channels.get(name)
        yield Row(
            device=device.id if first else "",
            place=device.announcement.place.text if first else "",
            channel=words.said(channel.name, language),
            value=words.value(found.value, channel, found.quality, language) if found else "–",
            age=words.age(now_ms - found.at_ms, language) if found else _NEVER[language],
            answers=str(now.answers) if first else "",
            errors=words.percent(now.errors, now.answers + now.errors) if first else "",
            latency=f"{now.latency_s * 1000:.0f} ms" if first and now.latency_s is not None else "",
            bad=now.away or found is None or _doubtful(found, channel, now_ms),
        )
        first = False


def _doubtful(found: ChannelNow, channel: Channel, now_ms: int) -> bool:
    return found.quality is not Quality.GOOD or now_ms - found.at_ms > STALE * channel.interval_s * 1000


def table(shown: Sequence[Row], now: Snapshot, language: Language) -> Table:
    """For a terminal with colours."""
    found = Table(box=None, pad_edge=False, header_style="bold", title_justify="left", caption_justify="left")
    for heading in _HEADINGS[language]:
        found.add_column(heading, justify="left", overflow="fold")
    for row in shown:
        found.add_row(*(Words(cell) for cell in row.cells), style="red" if row.bad else "")
    found.caption = Words("\n".join(lines(now, language)))
    return found


def lines(now: Snapshot, language: Language) -> list[str]:
    """How the lines are, one text each."""
    there, away = ("正常", "断开") if language == "zh" else ("there", "away")
    strays = "无主数据" if language == "zh" else "strays"
    return [
        f"{line.name}: {there if line.open else f'{away} ({line.why})'}"
        + (f", {strays} {line.strays}" * (line.strays > 0))
        for line in now.lines
    ]


def plain(shown: Sequence[Row], now: Snapshot, language: Language) -> str:
    """For a file, a pipe, a screen reader: tabs between cells, a mark before what needs a look."""
    rows_ = ["\t".join(("", *_HEADINGS[language]))]
    rows_ += ["\t".join(("!" if row.bad else "", *row.cells)) for row in shown]
    return "\n".join([*rows_, *lines(now, language)])
