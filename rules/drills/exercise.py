"""演练: a site practises for a time. Practice alarms are marked in their words, their cases call nobody outside, and all of it ends with the drill.

A practice case never joins what is real, nor what is real it. While a site is in a drill its other cases keep to the pages too, except red ones and those of devices on
which lives hang: a forgotten drill must not hush a real leak (docs/decisions/0043).
"""

import re
import secrets
from typing import Any

from sqlalchemy import Connection, insert, select, update

from messages.ids import SiteId
from messages.settings import Text
from rules.alarms.condition import AlarmEvent, alarm_id
from rules.alarms.findings import fresh
from rules.alarms.standing import Move
from rules.cases import acting
from rules.cases.acts import RULES, Cancel
from rules.cases.practice import Practice
from rules.drills.drill import PREFIX, Drill, running
from rules.records import OVER
from rules.store import rows
from rules.store import tables as db

MOST_MS = 4 * 3_600_000
MOST_WORDS = 200
MOST_AT_ONCE = 20
"""Practice alarms of one press."""
MARK = Text(zh="【演练】", en="[DRILL] ")


class DrillRefused(ValueError):
    """`reason` is one of REASONS."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


REASONS = ("running", "not-running", "no-reason", "too-long", "no-device", "no-rule", "open-already")


def start(connection: Connection, site: SiteId, *, actor: str, why: str, until_ms: int, now_ms: int) -> Drill:
    """Raises DrillRefused."""
    words = "".join(one for one in why if one.isprintable()).strip()[:MOST_WORDS]
    if not words:
        raise DrillRefused("no-reason")
    if not now_ms < until_ms <= now_ms + MOST_MS:
        raise DrillRefused("too-long")
    if any(one.site == site for one in running(connection, now_ms)):
        raise DrillRefused("running")
    drill = Drill(
        id=f"{PREFIX}{secrets.token_hex(6)}", site=site, why=words, actor=actor, from_ms=now_ms, until_ms=until_ms
    )
    values = {name: getattr(drill, name) for name in Drill.__dataclass_fields__}
    connection.execute(insert(db.drills).values(values))
    rows.append(connection, [rows.Line("drill.started", None, None, actor, f"{site}: {words}")], now_ms)
    return drill


def end(connection: Connection, drill: Drill, *, actor: str, now_ms: int, practice: Practice) -> None:
    """Every practice alarm returns and every practice case is struck out, so that nothing of it lives on."""
    its = (db.drills.c.id == drill.id, db.drills.c.ended_at_ms.is_(None))
    done = connection.execute(update(db.drills).where(*its).values(ended_at_ms=now_ms, ended_by=actor))
    if done.rowcount == 0:
        return
    lines: list[rows.Line] = []
    its_alarms = (db.alarms.c.open, db.alarms.c.site == drill.site, db.alarms.c.situation == drill.id)
    for row in connection.execute(rows.alarms_with_cases().where(*its_alarms)).all():
        lines += acting.carried(connection, row, [Move(AlarmEvent.RETURNED)], now_ms, practice, returned_at_ms=now_ms)
    rows.append(connection, lines, now_ms)
    for case in rows.cases_where(connection, db.cases.c.situation == drill.id):
        if case.state not in OVER:
            acting.do(connection, case.id, Cancel(RULES, "test"), now_ms, practice)
    rows.append(connection, [rows.Line("drill.ended", None, None, actor, f"{drill.site}: {drill.why}")], now_ms)


def end_due(connection: Connection, now_ms: int, practice: Practice) -> int:
    """Those whose time is over; how many."""
    its = (db.drills.c.ended_at_ms.is_(None), db.drills.c.until_ms <= now_ms)
    over = [Drill(**row._mapping) for row in connection.execute(select(db.drills).where(*its)).all()]
    for drill in over:
        end(connection, drill, actor=RULES, now_ms=now_ms, practice=practice)
    return len(over)


def raise_alarm(
    connection: Connection, drill: Drill, device: str, rule: str, *, actor: str, now_ms: int, practice: Practice
) -> str:
    """A practice alarm of a device, by the words and the level of one of its rules. Its id. Raises DrillRefused."""
    if drill.id not in {one.id for one in running(connection, now_ms)}:
        raise DrillRefused("not-running")
    its = (db.devices.c.site == drill.site, db.devices.c.device == device)
    if (found := connection.execute(select(db.devices).where(*its)).first()) is None:
        raise DrillRefused("no-device")
    written = rule_text(connection, found.kind, rule)
    if written is None:
        raise DrillRefused("no-rule")
    name = f"{PREFIX}{rule}"[:63]
    if rows.open_alarm_row(connection, drill.site, device, name) is not None:
        raise DrillRefused("open-already")
    one = alarm_id(drill.site, found.device, name, now_ms)
    spots = (found.settings.get("lat"), found.settings.get("lon"))
    lat, lon = (float(spot) if isinstance(spot, (int, float)) else None for spot in spots)
    values: dict[str, Any] = {
        "site": drill.site,
        "edge": found.edge,
        "device": found.device,
        "kind": found.kind,
        "rule": name,
        "level": written["level"],
        "title": _marked(written["title"]),
        "advice": _marked(written["advice"]) if written.get("advice") else None,
        "place": found.place,
        "evidence": {},
        "channels": [],
        "situation": drill.id,
        "owner": str(found.settings.get("owner", ""))[:63],
        "lat": lat,
        "lon": lon,
    }
    rows.insert_alarm(connection, fresh(one, now_ms, now_ms) | values)
    row = rows.alarm_row(connection, one)
    assert row is not None
    lines = [rows.Line("drill.raised", one, None, actor, f"{drill.site}/{device}: {rule}")]
    lines += acting.carried(connection, row, [Move(AlarmEvent.RAISED)], now_ms, practice, late=False)
    rows.append(connection, lines, now_ms)
    return one


def clear_alarm(
    connection: Connection, drill: Drill, alarm: str, *, actor: str, now_ms: int, practice: Practice
) -> None:
    """The practice alarm returns to normal, so that its case can be closed as a real one is. Raises DrillRefused."""
    row = rows.alarm_row(connection, alarm)
    if row is None or row.situation != drill.id or not row.open:
        raise DrillRefused("not-running")
    lines = [rows.Line("drill.cleared", alarm, row.case_id, actor)]
    lines += acting.carried(connection, row, [Move(AlarmEvent.RETURNED)], now_ms, practice, returned_at_ms=now_ms)
    rows.append(connection, lines, now_ms)


def rule_text(connection: Connection, kind: str, rule: str) -> dict[str, Any] | None:
    """As it is in force, from its file."""
    its = (db.rule_versions.c.in_force, db.rule_versions.c.kind == kind, db.rule_versions.c.rule == rule)
    written = connection.scalar(select(db.rule_versions.c.written).where(*its))
    return None if written is None else dict(written["text"])


def _marked(text: dict[str, str]) -> dict[str, str]:
    """With the mark in front, and without what only a reading could fill in."""
    return {
        language: getattr(MARK, language) + re.sub(r"\{[^}]*\}", "—", words)[:400] for language, words in text.items()
    }
