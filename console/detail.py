"""The charts of one alarm's page: which stretch of time, which channels, which marks."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from collector.stores.base import Sample
from console import chart
from console.card import RETURNED
from console.history import Wish
from console.visit import Parts
from console.words import Words
from messages.kind import Channel
from rules.records import OVER, Alarm, LogEntry

BEFORE_MS = 30 * 60_000
AFTER_MS = 10 * 60_000
MOST_CHARTS = 4
GAP_INTERVALS = 2.5
"""A channel that was silent for longer than so many of its intervals has a gap (section 4 of the field notes)."""
UNKNOWN_INTERVAL_S = 600.0


@dataclass(frozen=True, slots=True)
class Chart:
    """One channel's course. `svg` is None when there were no readings, or the store was `away`."""

    channel: str
    latest: str
    svg: Markup | None
    away: bool


def charts(
    alarm: Alarm, entries: Sequence[LogEntry], parts: Parts, words: Words, now_ms: int, *, looked: bool = False
) -> list[Chart]:
    """The course of each channel that the alarm's rule looks at, from before it to now, or to its end. None of a kind whose readings
    are personal, unless somebody who may has asked for them, which is noted (`console.access.people`)."""
    if parts.fragments.is_personal(alarm) and not looked:
        return []
    from_ms, to_ms = span(alarm, now_ms)
    names = (alarm.channels or tuple(alarm.evidence))[:MOST_CHARTS]
    wishes = [Wish(alarm.site, alarm.device, name, from_ms, to_ms) for name in names]
    series = parts.history.series(wishes)
    from_ms = begin_ms(alarm, from_ms, to_ms, series)
    marks = [chart.Mark(alarm.raised_at_ms, "raised", words("chart.raised"))]
    marks += [
        chart.Mark(entry.at_ms, "cleared", words("chart.cleared"))
        for entry in entries
        if entry.event in ("alarm.cleared", "alarm.latched")
    ]
    drawn = []
    for name, samples in zip(names, series, strict=True):
        channel = parts.fragments.channel(alarm, name)
        title, limit = words.of(channel.name) if channel else name, alarm.limits.get(name)
        frame = chart.Frame(
            from_ms=from_ms,
            to_ms=to_ms,
            zone=parts.config.zone,
            label=words(
                "chart.label",
                channel=title,
                **{"from": words.time(from_ms, now_ms), "to": words.time(to_ms, now_ms)},
            ),
            limit=limit,
            limit_label="" if limit is None else words("chart.limit", value=words.value(limit, channel)),
            marks=marks,
            gap_ms=gap_ms(channel, to_ms - from_ms),
            states=(words.value(False, channel), words.value(True, channel)),
        )
        latest, svg = "", None
        if samples:
            value, time = words.value(samples[-1].value, channel), words.time(samples[-1].at_ms, now_ms)
            latest = words("chart.latest", value=value, time=time)
            svg = Markup(chart.draw(samples, frame))  # noqa: S704 - chart.py escapes what it is given
        drawn.append(Chart(title, latest, svg, away=samples is None))
    return drawn


def span(alarm: Alarm, now_ms: int) -> tuple[int, int]:
    """The stretch of time worth looking at."""
    over = alarm.state in RETURNED and (alarm.case is None or alarm.case.state in OVER)
    to_ms = min(now_ms, alarm.changed_at_ms + AFTER_MS) if over else now_ms
    return alarm.raised_at_ms - BEFORE_MS, max(to_ms, alarm.raised_at_ms + 60_000)


def begin_ms(alarm: Alarm, from_ms: int, to_ms: int, series: Sequence[Sequence[Sample] | None]) -> int:
    """`from_ms`, or a little before the first reading of a device that has not been there for so long."""
    first_ms = min((samples[0].at_ms for samples in series if samples), default=from_ms)
    first_ms = min(first_ms, alarm.raised_at_ms)
    return max(from_ms, first_ms - max((to_ms - first_ms) // 20, 5_000))


def gap_ms(channel: Channel | None, span_ms: int) -> int:
    """How far apart two samples may be and still be joined; a thinned series has wider steps."""
    interval_s = channel.interval_s if channel else UNKNOWN_INTERVAL_S
    return round(max(GAP_INTERVALS * interval_s * 1000, span_ms / 100))
