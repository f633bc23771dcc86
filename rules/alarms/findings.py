"""What a finding does to its alarm: raise, clear, join, or go into history. Inside the transaction of its work.

Only there, under the write lock, is it known how the alarm stands: a person may have acted a moment ago.
`rules.alarms.standing` and `rules.cases.case` decide; this carries out.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from messages.announcement import Place
from messages.ids import DeviceId, SiteId
from rules.alarms import condition as alarms
from rules.alarms import shadow
from rules.alarms.condition import AlarmEvent
from rules.alarms.overlays import chatter
from rules.alarms.standing import Abandon, Chatter, Event, Move
from rules.cases import docket
from rules.cases.acting import carried
from rules.cases.practice import PLAIN, Practice
from rules.engine.found import Abandoned, Again, Found
from rules.engine.memory.plant import where
from rules.language.change import Cleared, Ended, Graver, Happened, Raised
from rules.language.rule import graver
from rules.records import AlarmState
from rules.store import rows
from rules.store import tables as db

ACTOR = "rules"

Key = tuple[SiteId, DeviceId, str]
"""A rule of a device."""


def carry_out(connection: Connection, found: Found, now_ms: int, practice: Practice = PLAIN) -> list[rows.Line]:
    """What a finding does to its alarm, and the lines that tell it."""
    if found.rule.shadow:
        shadow.write(connection, found, now_ms)
        return []
    match found.change:
        case Raised():
            return _raise(connection, found, found.change, now_ms, practice)
        case Graver():
            return _worsen(connection, found, found.change, now_ms, practice)
        case Cleared():
            return _clear(connection, found, found.change, now_ms, practice)
        case Happened():
            return _add_past(connection, found, found.change, now_ms, practice)
        case Ended():
            return _end(connection, found, found.change)
        case Again():
            return _repeat(connection, found, found.change.at_ms, now_ms, practice)


def ordered(found: Sequence[Found], abandoned: Sequence[Abandoned] = ()) -> list[Found | Abandoned]:
    """What one work found by the time at which it became true: some of it was heard of, and some was due. What is of one rule of one device
    stays in its order: who ceases to speak of a device ends nothing that is raised by who speaks of it afterwards."""
    latest: dict[Key, int] = {}
    keyed: list[tuple[int, Found | Abandoned]] = []
    gone = deque(abandoned)
    for told, one in enumerate(found):
        while gone and gone[0].after <= told:
            keyed.append((latest.get(key_of(gone[0]), 0), gone.popleft()))
        key = key_of(one)
        latest[key] = max(latest.get(key, 0), one.change.at_ms)
        keyed.append((latest[key], one))
    keyed += [(latest.get(key_of(one), 0), one) for one in gone]
    keyed.sort(key=itemgetter(0))
    return [one for _, one in keyed]


def key_of(one: Found | Abandoned) -> Key:
    """Whose alarm it is about."""
    return (
        (one.site, one.device, one.rule)
        if isinstance(one, Abandoned)
        else (one.device.site, one.device.id, one.rule.id)
    )


def plain(found: Found) -> Found:
    """The same without what a device says in its own words, and without values: enough to call somebody."""
    device = found.device
    place = Place(grid=device.place.grid, text=device.id)
    change = found.change
    if isinstance(change, Raised | Graver | Happened):
        change = replace(change, evidence={})
    return replace(found, device=replace(device, model="", place=place, settings={}), change=change)


def abandon(connection: Connection, abandoned: Abandoned, now_ms: int, practice: Practice = PLAIN) -> list[rows.Line]:
    """Nothing will ever say that the alarm is over: it returns now, so that a person can check and close its case."""
    if (row := rows.open_alarm_row(connection, abandoned.site, abandoned.device, abandoned.rule)) is None:
        return []
    return carried(connection, row, [Abandon(abandoned.why)], now_ms, practice)


def _raise(connection: Connection, found: Found, change: Raised, now_ms: int, practice: Practice) -> list[rows.Line]:
    if (row := _open_alarm(connection, found)) is not None:
        if change.late:
            return [_line("alarm.raised", row, f"late, again at {change.at_ms}")]
        return _again(connection, row, change.at_ms, now_ms, practice)
    alarm_id = id_of(found, change.at_ms)
    row = rows.alarm_row(connection, alarm_id)
    if row is None:
        return _new_alarm(connection, found, change, now_ms, practice)
    if row.late and not change.late:  # it was thought to be over, and it still stands
        return _begin(connection, alarm_id, now_ms, practice)
    return []  # an episode that is known from before


def _again(connection: Connection, row: Row[Any], at_ms: int, now_ms: int, practice: Practice) -> list[rows.Line]:
    """Another occurrence of an open alarm."""
    if rows.standing_of(row).active:
        return []
    times = chatter.noted(row.times, at_ms)
    events: list[Event] = [Move(AlarmEvent.RAISED, detail="again")]
    more = {"times": times, "occurrences": row.occurrences + 1, "since_ms": at_ms, "flapped_at_ms": now_ms}
    figures = practice.figures.chatter
    chatters = chatter.chatters(times, figures) and not rows.standing_of(row).overlays.chattering
    if chatters:
        seconds = (times[-1] - times[-figures.times]) // 1000
        events.append(Chatter(f"{figures.times} times in {seconds} s"))
    lines = carried(connection, row, events, now_ms, practice, look=True, returned_at_ms=None, **more)
    if chatters:
        return lines + _to_mend(connection, row, at_ms, now_ms, practice)
    if rows.standing_of(row).overlays.chattering:  # who works on it knows, and is not told each time
        return lines
    return lines + docket.again(connection, row.case_id, row.level, now_ms)


def _repeat(connection: Connection, found: Found, at_ms: int, now_ms: int, practice: Practice) -> list[rows.Line]:
    """An open alarm's cause came once more: it is counted, and who works on it is told."""
    if (row := _open_alarm(connection, found)) is None:
        return []
    more = {"times": chatter.noted(row.times, at_ms), "occurrences": row.occurrences + 1}
    lines = carried(connection, row, [], now_ms, practice, **more)
    return lines + docket.again(connection, row.case_id, row.level, now_ms)


def _to_mend(
    connection: Connection, chattering: Row[Any], at_ms: int, now_ms: int, practice: Practice
) -> list[rows.Line]:
    """The device of a chattering alarm wants mending: an alarm of its own, one for each device."""
    if (row := rows.open_alarm_row(connection, chattering.site, chattering.device, chatter.RULE)) is not None:
        return _again(connection, row, at_ms, now_ms, practice)
    alarm_id = alarms.alarm_id(chattering.site, chattering.device, chatter.RULE, at_ms)
    if rows.alarm_row(connection, alarm_id) is not None:
        return []
    same = ("site", "edge", "device", "kind", "place", "evidence", "channels", "owner", "lat", "lon")
    values = {name: chattering._mapping[name] for name in same} | fresh(alarm_id, at_ms, now_ms)
    values |= {"rule": chatter.RULE, "level": chatter.level(guards=chattering.guards)}
    values |= {"title": chatter.TITLE.model_dump(), "advice": chatter.ADVICE.model_dump()}
    rows.insert_alarm(connection, values)
    return _begin(connection, alarm_id, now_ms, practice)


def _begin(connection: Connection, alarm_id: str, now_ms: int, practice: Practice) -> list[rows.Line]:
    """An alarm that is only written down, so far, is raised."""
    row = rows.alarm_row(connection, alarm_id)
    assert row is not None
    return carried(connection, row, [Move(AlarmEvent.RAISED)], now_ms, practice, look=True, late=False)


def _new_alarm(
    connection: Connection, found: Found, change: Raised | Happened, now_ms: int, practice: Practice
) -> list[rows.Line]:
    values = alarm_values(found, change, now_ms)
    rows.insert_alarm(connection, values)
    if change.late:
        return [rows.Line("alarm.raised", values["id"], None, ACTOR, "late")]
    return _begin(connection, values["id"], now_ms, practice)


def alarm_values(found: Found, change: Raised | Happened, now_ms: int) -> dict[str, Any]:
    """The row of an alarm that a rule has found, before anything has happened to it."""
    device, rule = found.device, found.rule
    title, advice = rule.told(change.evidence, device.place, device.id)
    here = where(device)
    return fresh(id_of(found, change.at_ms), change.at_ms, now_ms) | {
        "site": device.site,
        "edge": device.edge,
        "device": device.id,
        "kind": device.kind,
        "rule": rule.id,
        "level": change.level or rule.level,
        "latch": rule.latch,
        "title": title.model_dump(),
        "advice": advice.model_dump() if advice else None,
        "place": device.place.model_dump(),
        "evidence": dict(change.evidence),
        "channels": list(rule.channels),
        "limits": rule.limits(),
        "guards": rule.guards,
        "version": rule.version,
        "thresholds": dict(rule.settings),
        "gathers": list(rule.gathers) or None,
        "situation": rule.situation,
        "owner": str(device.settings.get("owner", ""))[:63],
        "lat": here.lat,
        "lon": here.lon,
    }


def fresh(alarm_id: str, at_ms: int, now_ms: int) -> dict[str, Any]:
    """What an alarm is before anything has happened to it."""
    return {
        "id": alarm_id,
        "state": AlarmState.NORM,
        "open": False,
        "late": True,
        "latch": False,
        "raised_at_ms": at_ms,
        "changed_at_ms": now_ms,
        "known_at_ms": now_ms,
        "limits": {},
        "guards": False,
        "annunciated": True,
        "overlays": {},
        "returned": False,
        "occurrences": 1,
        "times": [at_ms],
        "since_ms": at_ms,
        "flapped_at_ms": now_ms,
        "version": "",
        "thresholds": {},
        "situation": "",
    }


def _worsen(connection: Connection, found: Found, change: Graver, now_ms: int, practice: Practice) -> list[rows.Line]:
    """It became graver: it counts as not looked at, and what was promised of its case is tightened."""
    if (row := _open_alarm(connection, found)) is None:
        row = rows.alarm_row(connection, id_of(found, change.raised_at_ms))
        if row is not None:  # of the past: only its level is written down
            connection.execute(update(db.alarms).where(db.alarms.c.id == row.id).values(level=change.level))
        return []
    title, advice = found.rule.told(change.evidence, found.device.place, found.device.id)
    more: dict[str, Any] = {"level": change.level, "evidence": dict(change.evidence), "title": title.model_dump()}
    more["advice"] = advice.model_dump() if advice else None
    words = f"{row.level} -> {change.level}"
    lines = carried(connection, row, [Move(AlarmEvent.WORSENED, detail=words)], now_ms, practice, look=True, **more)
    return lines + docket.worsened(connection, row.case_id, change.level, now_ms, practice)


def _clear(connection: Connection, found: Found, change: Cleared, now_ms: int, practice: Practice) -> list[rows.Line]:
    if (row := _open_alarm(connection, found)) is not None:
        event = Move(AlarmEvent.RETURNED)
        return carried(
            connection, row, [event], now_ms, practice, look=True, returned_at_ms=change.at_ms, flapped_at_ms=now_ms
        )
    return _end(connection, found, change)


def _end(connection: Connection, found: Found, change: Cleared | Ended) -> list[rows.Line]:
    """Write down how long an episode of the past lasted."""
    row = rows.alarm_row(connection, id_of(found, change.raised_at_ms))
    if row is None or row.returned_at_ms is not None:
        return []
    connection.execute(update(db.alarms).where(db.alarms.c.id == row.id).values(returned_at_ms=change.at_ms))
    return [_line("alarm.cleared", row, "late")] if row.late else []


def _add_past(
    connection: Connection, found: Found, change: Happened, now_ms: int, practice: Practice
) -> list[rows.Line]:
    """An episode that came to light later. Known ones are left alone; life safety rings once, and stays active until
    the present shows that it is over."""
    if (row := _open_alarm(connection, found)) is not None:
        rings = not (change.over and change.late)
        if rings and row.returned_at_ms is not None and change.at_ms > row.returned_at_ms:
            lines = _again(connection, row, change.at_ms, now_ms, practice)
            return lines + _over_again(connection, found, change, now_ms, practice, returned_at_ms=change.at_ms)
        if (
            rings and change.level is not None and graver(change.level, row.level)
        ):  # it was worse than who was called knows
            worse = Graver(row.raised_at_ms, change.at_ms, change.level, change.evidence)
            return _worsen(connection, found, worse, now_ms, practice)
        return [] if row.raised_at_ms <= change.at_ms else [_line("alarm.raised", row, f"late, also at {change.at_ms}")]
    ends = func.coalesce(db.alarms.c.returned_at_ms, db.alarms.c.raised_at_ms)
    covers = (db.alarms.c.raised_at_ms <= change.at_ms) & (ends >= change.at_ms)
    if connection.execute(select(db.alarms.c.id).where(*_same_rule(found), covers).limit(1)).one_or_none():
        return []
    lines = _new_alarm(connection, found, change, now_ms, practice)
    return lines + _over_again(connection, found, change, now_ms, practice)


def _over_again(
    connection: Connection, found: Found, change: Happened, now_ms: int, practice: Practice, **more: Any
) -> list[rows.Line]:
    """What the present shows to be over returns at once; to be held or not is the alarm's affair."""
    if not change.over or (row := _open_alarm(connection, found)) is None:
        return []
    return carried(connection, row, [Move(AlarmEvent.RETURNED)], now_ms, practice, **more)


def _open_alarm(connection: Connection, found: Found) -> Row[Any] | None:
    return rows.open_alarm_row(connection, found.device.site, found.device.id, found.rule.id)


def _same_rule(found: Found) -> tuple[Any, ...]:
    columns = db.alarms.c
    return (columns.site == found.device.site, columns.device == found.device.id, columns.rule == found.rule.id)


def id_of(found: Found, at_ms: int) -> str:
    """Of the alarm that it raises at that time."""
    return alarms.alarm_id(found.device.site, found.device.id, found.rule.id, at_ms)


def _line(event: str, row: Row[Any], detail: str) -> rows.Line:
    return rows.Line(event, row.id, row.case_id, ACTOR, detail)
