"""A snapshot as a table for the terminal: every device with its channels, age and errors. Pure.

What needs attention is red, has a mark before it, and stands where it always stands: a row that jumps can't be watched. A row is
one line; what a narrow screen has no room for is cut or left out, and what a low one has none for is on its next page.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text as Words

from edge.configuration.config import Device
from edge.installer import words
from edge.installer.snapshot import ChannelNow, DeviceNow, Snapshot
from edge.models.product import Model
from messages.ids import DeviceId
from messages.kind import Channel
from messages.language import Language
from messages.reading import Quality

STALE = 2.5
"""A channel is stale when it is older than so many of its intervals."""

_HEADINGS = {
    "zh": ("设备", "位置", "通道", "数值", "多久前", "应答", "错误", "响应"),
    "en": ("Device", "Place", "Channel", "Value", "Age", "Answers", "Errors", "Latency"),
}
_NEVER = {"zh": "从未", "en": "never"}
NARROW, NARROWEST = 100, 66
"""A screen with fewer columns shows no counts of answers and no latency; with still fewer, no place: its channels stay readable."""
_PLACE, _CHANNEL, _ANSWERS, _LATENCY = 1, 2, 5, 7


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
    closed = {line.name for line in now.lines if not line.open}
    return [row for device in devices for row in _of_device(device, known.get(device.id), closed, now.at_ms, language)]


def _of_device(
    device: Device[Model], now: DeviceNow | None, closed: Collection[str], now_ms: int, language: Language
) -> Iterator[Row]:
    now = now or DeviceNow(DeviceId(device.id), device.line, True, 0, {}, None, None, {})
    unseen = now.away or now.line in closed
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
            bad=unseen or found is None or _doubtful(found, channel, now_ms),
        )
        first = False


def _doubtful(found: ChannelNow, channel: Channel, now_ms: int) -> bool:
    return found.quality is not Quality.GOOD or now_ms - found.at_ms > STALE * channel.interval_s * 1000


def table(shown: Sequence[Row], now: Snapshot, language: Language, width: int) -> Table:
    """For a terminal of `width` columns."""
    left_out = {_ANSWERS, _LATENCY} if width < NARROW else set()
    left_out |= {_PLACE} if width < NARROWEST else set()
    cells = [at for at in range(len(_HEADINGS[language])) if at not in left_out]
    found = Table(box=None, pad_edge=False, header_style="bold", title_justify="left", caption_justify="left")
    found.add_column("", no_wrap=True)
    for at in cells:
        gives_way = at in (_PLACE, _CHANNEL)
        found.add_column(_one_line(_HEADINGS[language][at]), no_wrap=not gives_way, overflow="ellipsis")
    for row in shown:
        style = "red" if row.bad else ""
        found.add_row("!" if row.bad else " ", *(_one_line(row.cells[at]) for at in cells), style=style)
    found.caption = Words("\n".join(lines(now, language)))
    return found


def _one_line(text: str) -> Words:
    return Words(text, no_wrap=True, overflow="ellipsis")


def pages(shown: Sequence[Row], room: int) -> list[Sequence[Row]]:
    """The rows, at most `room` on a page, each device on one page if it fits; one empty page without rows."""
    found: list[list[Row]] = [[]]
    for at, row in enumerate(shown):
        rest = next((count for count, later in enumerate(shown[at + 1 :], 1) if later.device), len(shown) - at)
        full = len(found[-1]) >= room or (row.device and rest <= room < len(found[-1]) + rest)
        if found[-1] and full:
            found.append([])
        found[-1].append(row)
    return [list(page) for page in found]


def lines(now: Snapshot, language: Language) -> list[str]:
    """How the lines are, one text each; and what the agent says of its own file."""
    there, away = ("正常", "断开") if language == "zh" else ("there", "away")
    strays = "无主数据" if language == "zh" else "strays"
    refused = (
        "新配置被拒绝，仍按原配置运行"
        if language == "zh"
        else "the new configuration is refused, the last good one runs on"
    )
    return ([f"! {refused}: {now.refused[language]}"] if now.refused else []) + [
        f"{line.name}: {there if line.open else f'{away} ({line.why[language]})'}"
        + (f", {strays} {line.strays}" * (line.strays > 0))
        for line in now.lines
    ]


def plain(shown: Sequence[Row], now: Snapshot, language: Language) -> str:
    """For a file, a pipe, a screen reader: tabs between cells, a mark before what needs a look."""
    rows_ = ["\t".join(("", *_HEADINGS[language]))]
    rows_ += ["\t".join(("!" if row.bad else "", *row.cells)) for row in shown]
    return "\n".join([*rows_, *lines(now, language)])
