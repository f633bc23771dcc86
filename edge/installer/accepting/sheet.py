"""The acceptance sheet: what was seen of every device, signed off, as Markdown or as an HTML page that prints. Pure.

Both languages stand on it: it goes to the property company and into the community's files. The digest at its foot is of all
that stands above it, so that a changed figure shows.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from html import escape

from edge.configuration.config import Device
from edge.installer import words
from edge.installer.accepting.acceptance import Entry, SeenChannel, Verdict, bad, missing
from edge.models.product import Model
from messages.ids import DeviceId
from messages.kind import Channel
from messages.language import Language
from messages.reading import Quality, Value

CHINA = timezone(timedelta(hours=8), "UTC+8")

_CHINESE = {Verdict.PASSED: "合格", Verdict.FAILED: "不合格", Verdict.SKIPPED: "未验收"}
_VERDICTS = {verdict: f"{chinese} {verdict}" for verdict, chinese in _CHINESE.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """All that stands on it."""

    site: str
    edge: str
    software: str
    installer: str
    begun_at_ms: int
    ended_at_ms: int
    devices: Sequence[Device[Model]]
    entries: Sequence[Entry]

    @property
    def count(self) -> dict[Verdict, int]:
        return {verdict: sum(entry.verdict is verdict for entry in self.entries) for verdict in Verdict}

    def summary(self, language: Language) -> str:
        """ "2 passed, 1 failed, 0 skipped"."""
        return ", ".join(
            f"{verdict(each, language)} {count}" if language == "zh" else f"{count} {each}"
            for each, count in self.count.items()
        )


def verdict(said: Verdict, language: Language) -> str:
    return _CHINESE[said] if language == "zh" else said


Cells = tuple[str, ...]

HEADINGS: Cells = (
    "通道 Channel",
    "首值 First",
    "末值 Last",
    "范围 Range",
    "变化 Changes",
)


def facts(sheet: Sheet) -> list[Cells]:
    """The head of the sheet, as pairs."""
    count = sheet.count
    return [
        ("社区 Site", sheet.site),
        ("网关 Edge", sheet.edge),
        ("软件 Software", sheet.software),
        ("开始 Begun", _time(sheet.begun_at_ms)),
        ("结束 Ended", _time(sheet.ended_at_ms)),
        ("结果 Result", ", ".join(f"{_VERDICTS[verdict]} {count[verdict]}" for verdict in Verdict)),
        ("安装人 Installer", sheet.installer),
    ]


def device_facts(device: Device[Model], entry: Entry) -> list[Cells]:
    """The head of one device, as pairs."""
    seen = entry.seen
    pairs: list[Cells] = [
        ("位置 Place", device.announcement.place.text),
        ("型号 Model", f"{device.announcement.model} ({device.model.name})"),
        ("结论 Verdict", _VERDICTS[entry.verdict]),
        (
            "应答 Answers",
            f"{seen.answers}, 错误 errors {words.percent(seen.errors, seen.answers + seen.errors)}"
            + (f", {seen.latency_s * 1000:.0f} ms" if seen.latency_s is not None else ""),
        ),
    ]
    if unheard := missing(seen, device.model.channels):
        names = ", ".join(words.said(device.kind.channels[name].name, "zh") + f" {name}" for name in unheard)
        pairs.append(("未收到 Not heard", names))
    if doubtful := bad(seen, device.model.channels):
        names = ", ".join(words.said(device.kind.channels[name].name, "zh") + f" {name}" for name in doubtful)
        pairs.append(("数值不可信 Bad quality", names))
    if seen.away:
        pairs.append(("失联 Away", "结束时没有应答 no answer at the end"))
    if entry.note:
        pairs.append(("备注 Note", entry.note))
    return pairs


def channel_rows(device: Device[Model], entry: Entry) -> Iterator[Cells]:
    """One row for each channel of the model."""
    for name in device.model.channels:
        channel = device.kind.channels[name]
        title = f"{channel.name.zh} {channel.name.en}"
        if seen := entry.seen.channels.get(name):
            yield (
                title,
                _value(seen.first, channel),
                _value(seen.last, channel),
                _range(seen, channel),
                _changes(seen, channel),
            )
        else:
            yield (title, "–", "–", "–", "–")


def markdown(sheet: Sheet) -> str:
    parts = [f"# 验收单 Acceptance sheet: {_md(sheet.site)}/{_md(sheet.edge)}", _md_pairs(facts(sheet))]
    for device, entry in _paired(sheet):
        table = [HEADINGS, tuple("---" for _ in HEADINGS), *channel_rows(device, entry)]
        rows = "\n".join(
            "| " + " | ".join(_md(cell) if index != 1 else cell for cell in row) + " |"
            for index, row in enumerate(table)
        )
        parts += [f"## {_md(device.id)}", _md_pairs(device_facts(device, entry)), rows]
    body = "\n\n".join(parts)
    return f"{body}\n\n签字 Signature: ____________________    日期 Date: ____________\n\nSHA-256 {digest(body)}\n"


def html(sheet: Sheet) -> str:
    parts = [f"<h1>验收单 <span lang=en>Acceptance sheet</span>: {escape(sheet.site)}/{escape(sheet.edge)}</h1>"]
    parts.append(_html_pairs(facts(sheet)))
    for device, entry in _paired(sheet):
        head = "".join(f"<th scope=col>{escape(cell)}</th>" for cell in HEADINGS)
        rows = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
            for row in channel_rows(device, entry)
        )
        parts.append(
            f'<section class="{entry.verdict}"><h2>{escape(device.id)}</h2>{_html_pairs(device_facts(device, entry))}'
            f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></section>"
        )
    body = "\n".join(parts)
    return _PAGE.format(title=escape(f"{sheet.site}/{sheet.edge}"), body=body, digest=digest(body))


def digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()


def _paired(sheet: Sheet) -> Iterator[tuple[Device[Model], Entry]]:
    devices: dict[DeviceId, Device[Model]] = {device.id: device for device in sheet.devices}
    for entry in sheet.entries:
        yield devices[entry.device], entry


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(CHINA).strftime("%Y-%m-%d %H:%M:%S UTC+8")


def _value(value: Value, channel: Channel) -> str:
    zh = words.value(value, channel, Quality.GOOD, "zh")
    return f"{zh} {words.value(value, channel, Quality.GOOD, 'en')}" if isinstance(value, bool) else zh


def _range(seen: SeenChannel, channel: Channel) -> str:
    if seen.low is None or seen.high is None:
        return "–"
    return f"{seen.low:g} … {seen.high:g} {words.unit(channel)}".rstrip()


def _changes(seen: SeenChannel, channel: Channel) -> str:
    if not seen.changes or not isinstance(seen.first, bool | str):
        return str(len(seen.changes))
    return "; ".join(f"{_time(at_ms)[11:19]} {_value(value, channel)}" for at_ms, value in seen.changes)


def _md(text: str) -> str:
    """One line, and nothing that Markdown would take for its own."""
    flat = " ".join(text.split())
    return "".join(f"\\{sign}" if sign in "\\`*_{}[]<>#|" else sign for sign in flat)


def _md_pairs(pairs: Sequence[Cells]) -> str:
    return "\n".join(f"- **{name}**: {_md(text)}" for name, text in pairs)


def _html_pairs(pairs: Sequence[Cells]) -> str:
    return "<dl>" + "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in pairs) + "</dl>"


_PAGE = """<!doctype html>
<html lang="zh-CN">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>验收单 {title}</title>
<style>
body {{ font: 15px/1.5 "Noto Sans CJK SC", "WenQuanYi Micro Hei", sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a }}
h1 {{ font-size: 1.5rem }} h2 {{ font-size: 1.1rem; margin: 0 0 .3rem }}
section {{ border-left: .4rem solid #2e7d32; padding: .2rem 0 .2rem 1rem; margin: 1.2rem 0; break-inside: avoid }}
section.failed {{ border-color: #c62828 }} section.skipped {{ border-color: #757575 }}
dl {{ display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; margin: .3rem 0 }} dt {{ color: #555 }} dd {{ margin: 0 }}
table {{ border-collapse: collapse; width: 100% }} th, td {{ text-align: left; border-bottom: 1px solid #ccc; padding: .2rem .6rem .2rem 0; vertical-align: top }}
footer {{ margin-top: 3rem }} code {{ font-size: .75rem; word-break: break-all; color: #555 }}
</style>
<body>
{body}
<footer><p>签字 Signature: ____________________ &emsp; 日期 Date: ____________</p>
<code>SHA-256 {digest}</code></footer>
</body>
</html>
"""
