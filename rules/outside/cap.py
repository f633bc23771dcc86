"""Alarms and cases as messages of the Common Alerting Protocol 1.2 (OASIS, ITU-T X.1303bis): the mapping of section 2e of the field notes. Pure.

The log of a thing is a chain of messages: its beginning is an Alert, what changes it an Update, its end a Cancel; each names those before it,
and what begins again begins a new chain. The name and the time of a message come from its line, so that the REST interface and a webhook call the
same message alike. What a message says of the thing is what is known when it is made.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal
from xml.etree import ElementTree

from messages.alarm import Level
from messages.settings import Text
from rules.drills.drill import PREFIX, is_practice
from rules.outside.area import Area
from rules.records import OVER, Alarm, AlarmState, Case, LogEntry, Position

NAMESPACE = "urn:oasis:names:tc:emergency:cap:1.2"
CONTENT_TYPE = "application/cap+xml"
MOST_REFERENCES = 30
"""Of the latest; a chain that chatters for days would fill a message with its own history."""
MOST_HEADLINE = 160
"""The standard's advice."""

MsgType = Literal["Alert", "Update", "Cancel"]
Status = Literal["Actual", "Exercise"]

_BEGINS = {"alarm.raised", "case.reported", "case.registered", "case.reopened"}
_ENDS = {"alarm.cleared", "alarm.reset", "case.closed", "case.cancelled", "case.merged"}
_NO_NEWS = {"case.note", "case.upstream", "case.archived", "case.reassignment_asked", "case.joined"}

_SEVERITY: dict[Level, str] = {"red": "Extreme", "orange": "Severe", "yellow": "Moderate", "blue": "Minor"}
_URGENCY: dict[Level, str] = {"red": "Immediate", "orange": "Expected", "yellow": "Future", "blue": "Future"}
"""By what is promised of a level: on site in ten minutes, within the hour, later."""
_CATEGORY = {
    "gas_alarm": "Safety",
    "gas_well": "Safety",
    "smoke_alarm": "Fire",
    "heat_alarm": "Fire",
    "manual_call_point": "Fire",
    "charging_shed": "Fire",
    "charging_pile": "Fire",
    "sos_button": "Rescue",
    "bracelet": "Health",
    "elderly_door": "Health",
    "door_access": "Security",
    "barrier": "Security",
    "road_ponding": "Met",
    "sewer_quality": "Env",
    "waste_bin": "Env",
}
_RESPONSE = {
    "gas_alarm": "Evacuate",
    "smoke_alarm": "Evacuate",
    "heat_alarm": "Evacuate",
    "manual_call_point": "Evacuate",
    "manhole_cover": "Avoid",
    "gas_well": "Avoid",
    "road_ponding": "Avoid",
    "waste_bin": "Monitor",
}
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""XML 1.0, production 2."""

ElementTree.register_namespace("", NAMESPACE)


@dataclass(frozen=True, slots=True)
class Step:
    """One message of a thing's chain: the line that it comes from, and the lines of the messages before it."""

    line: LogEntry
    msg_type: MsgType
    before: tuple[LogEntry, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """Who tells whom. `life`: the mark of the database; with those of its lines no name comes twice."""

    site: str
    site_name: Text
    life: str
    addressee: str
    """The other system: messages are private, and must say for whom."""

    @property
    def sender(self) -> str:
        return f"gridcall.{self.site}.{self.life}"

    def name(self, line: LogEntry) -> str:
        return f"{self.site}.{Position.of(line, self.life).mark}.{line.seq}"

    def reference(self, line: LogEntry) -> str:
        return f"{self.sender},{self.name(line)},{_time(line.at_ms)}"


def steps(lines: Iterable[LogEntry]) -> list[Step]:
    """The messages that the log of one thing makes, in order. `lines`: those of one alarm, or of one case, and no others."""
    found: list[Step] = []
    chain: list[LogEntry] = []
    for line in lines:
        if line.event in _NO_NEWS or not line.event.startswith(("alarm.", "case.")):
            continue
        begins, ends = line.event in _BEGINS, line.event in _ENDS
        if not chain and not begins:
            continue  # of what is over, or was not told from its beginning
        msg_type: MsgType = "Cancel" if ends else "Update" if chain else "Alert"
        found.append(Step(line, msg_type, tuple(chain[-MOST_REFERENCES:])))
        chain = [] if ends else [*chain[-MOST_REFERENCES:], line]
    return found


def of_alarm(alarm: Alarm, step: Step, issuer: Issuer, where: Area) -> bytes:
    """`step`: one of the steps of its own lines."""
    certainty = "Likely"
    if alarm.overlays.uncertain or alarm.kind.endswith("camera"):
        certainty = "Possible"
    elif alarm.case is not None and alarm.case.on_site_at_ms is not None:
        certainty = "Observed"
    values = "; ".join(f"{channel} {value}" for channel, value in alarm.evidence.items())
    facts = [
        ("gridcall:alarm", str(alarm.id)),
        ("gridcall:device", str(alarm.device)),
        ("gridcall:rule", alarm.rule),
        ("gridcall:state", str(alarm.state)),
    ]
    info = _Info(
        kind=alarm.kind,
        level=alarm.level,
        title=alarm.title,
        advice=alarm.advice,
        words=values,
        onset_ms=alarm.raised_at_ms,
        certainty=certainty,
        over=step.msg_type == "Cancel" or alarm.state is AlarmState.NORM,
        facts=facts,
        status="Exercise" if alarm.rule.startswith(PREFIX) else "Actual",
    )
    return _message(step, issuer, where, info, incident=alarm.case.id if alarm.case else "")


def of_case(case: Case, devices: int, step: Step, issuer: Issuer, where: Area) -> bytes:
    """`devices`: how many of them have raised something that the case holds."""
    observed = case.origin != "alarm" or devices > 1 or case.on_site_at_ms is not None
    certainty = "Observed" if observed else "Possible" if case.kind.endswith("camera") else "Likely"
    facts = [("gridcall:case", case.id), ("gridcall:state", str(case.state)), ("gridcall:origin", case.origin)]
    info = _Info(
        kind=case.kind,
        level=case.level,
        title=case.title,
        advice=None,
        words=case.reason,
        onset_ms=case.opened_at_ms,
        certainty=certainty,
        over=step.msg_type == "Cancel" or case.state in OVER,
        facts=facts,
        status="Exercise" if is_practice(case) else "Actual",
    )
    return _message(step, issuer, where, info, incident=case.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Info:
    kind: str
    level: Level
    title: Text
    advice: Text | None
    words: str
    onset_ms: int
    certainty: str
    over: bool
    facts: Sequence[tuple[str, str]]
    status: Status


_LEVELS: dict[Level, Text] = {
    "red": Text(zh="红色", en="red"),
    "orange": Text(zh="橙色", en="orange"),
    "yellow": Text(zh="黄色", en="yellow"),
    "blue": Text(zh="蓝色", en="blue"),
}


def _message(step: Step, issuer: Issuer, where: Area, info: _Info, incident: str) -> bytes:
    alert = ElementTree.Element(f"{{{NAMESPACE}}}alert")
    _put(alert, "identifier", issuer.name(step.line))
    _put(alert, "sender", issuer.sender)
    _put(alert, "sent", _time(step.line.at_ms))
    _put(alert, "status", info.status)
    _put(alert, "msgType", step.msg_type)
    _put(alert, "scope", "Private")
    _put(alert, "addresses", f'"{issuer.addressee}"' if " " in issuer.addressee else issuer.addressee)
    _put(alert, "note", step.line.event)
    if step.before:
        _put(alert, "references", " ".join(map(issuer.reference, step.before)))
    if incident:
        _put(alert, "incidents", incident)
    for language, code in (("zh", "zh-CN"), ("en", "en-US")):
        _put_info(alert, info, language, code, issuer, where)
    written: bytes = ElementTree.tostring(alert, encoding="utf-8", xml_declaration=True)
    return written


def _put_info(alert: ElementTree.Element, info: _Info, language: str, code: str, issuer: Issuer, where: Area) -> None:
    title = getattr(info.title, language)
    one = _put(alert, "info", None)
    _put(one, "language", code)
    _put(one, "category", _CATEGORY.get(info.kind, "Infra"))
    _put(one, "event", title or info.kind)
    _put(one, "responseType", "AllClear" if info.over else _RESPONSE.get(info.kind, "Assess"))
    _put(one, "urgency", "Past" if info.over else _URGENCY[info.level])
    _put(one, "severity", _SEVERITY[info.level])
    _put(one, "certainty", info.certainty)
    _put_pair(one, "eventCode", "gridcall:kind", info.kind)
    _put(one, "onset", _time(info.onset_ms))
    _put(one, "senderName", getattr(issuer.site_name, language) or issuer.site)
    headline = f"[{getattr(_LEVELS[info.level], language)}] {title} {where.words}"
    _put(one, "headline", headline[:MOST_HEADLINE])
    if info.words:
        _put(one, "description", info.words)
    advice = getattr(info.advice, language) if info.advice else ""
    if advice and not info.over:
        _put(one, "instruction", advice)
    for name, value in (*info.facts, ("gridcall:level", info.level)):
        _put_pair(one, "parameter", name, value)
    place = _put(one, "area", None)
    _put(place, "areaDesc", where.words)
    for ring in where.polygons:
        _put(place, "polygon", " ".join(f"{lat:.6f},{lon:.6f}" for lat, lon in ring))
    for lat, lon, radius_km in where.circles:
        _put(place, "circle", f"{lat:.6f},{lon:.6f} {radius_km:g}")
    for name, value in where.geocodes:
        _put_pair(place, "geocode", name, value)


def _put(parent: ElementTree.Element, name: str, text: str | None) -> ElementTree.Element:
    element = ElementTree.SubElement(parent, f"{{{NAMESPACE}}}{name}")
    if text is not None:
        element.text = _NOT_XML.sub("\ufffd", text)
    return element


def _put_pair(parent: ElementTree.Element, element: str, name: str, value: str) -> None:
    pair = _put(parent, element, None)
    _put(pair, "valueName", name)
    _put(pair, "value", value)


def _time(at_ms: int) -> str:
    """UTC must be written as -00:00: section 3.3.2 of the standard."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S-00:00")
