"""Lines of the log as a person reads them: what an event's detail says, without codes. Pure."""

import re
from collections.abc import Mapping

from console.words import Words
from rules.cases.acts import FOR
from rules.records import LogEntry

_TIMED = re.compile(r"(\d{12,})(?:: (.*))?", re.DOTALL)
_LEVELS = re.compile(r"(red|orange|yellow|blue) -> (red|orange|yellow|blue)")
_RUNG = re.compile(r"([123])(?:: (.*))?", re.DOTALL)
_ANSWER = re.compile(rf"(safe|help) {FOR}(.+)")
_PHOTO = re.compile(r"(\w+) [0-9a-f]{64}")


def said(entry: LogEntry, words: Words, names: Mapping[str, str], now_ms: int) -> str:
    """What the log adds to an event, in words."""
    detail = entry.detail
    if entry.event == "case.accepted" and detail.startswith(FOR):
        name = detail.removeprefix(FOR)
        return words("log.for", name=names.get(name, name))
    if entry.event == "case.answered" and (found := _ANSWER.fullmatch(detail)):
        return f"{words(f'answer.{found[1]}')} · {words('log.by_telephone', name=names.get(found[2], found[2]))}"
    if entry.event == "case.no_answer":
        return names.get(detail, detail)
    if entry.event in ("case.dispatched", "case.reassigned"):
        return words("log.to", name=names.get(detail, detail))
    if entry.event.startswith("sla.") and f"leg.{detail}" in words:
        return words(f"leg.{detail}")
    if found := _PHOTO.fullmatch(detail):
        return f"{words.detail(found[1])} · {words('log.photo')}"
    if found := _TIMED.fullmatch(detail):
        return " · ".join(
            part for part in (words("log.until", time=words.time(int(found[1]), now_ms)), found[2]) if part
        )
    if found := _LEVELS.fullmatch(detail):
        return f"{words(f'level.{found[1]}')} → {words(f'level.{found[2]}')}"
    if entry.event in ("case.escalated", "oncall.gap") and (found := _RUNG.fullmatch(detail)):
        reason = found[2] or ""
        said_reason = words(f"call.{reason}") if f"call.{reason}" in words else reason
        return " · ".join(part for part in (words(f"rung.{found[1]}"), said_reason) if part)
    if entry.event == "notify.queued":
        reason, _, whom = detail.partition(": ")
        return f"{words(f'call.{reason}') if f'call.{reason}' in words else reason}: {whom}"
    return words.detail(detail)
