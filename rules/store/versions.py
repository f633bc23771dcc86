"""Rules in the database: those in force, and those that something still runs by though their file is another by now.

So a restart judges a running alarm as the rule did that raised it, and an engine whose rule files are broken starts with the
rules that were good last.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, insert, or_, select, update

from messages.ids import SiteId
from messages.kind import Kinds
from rules.language.calendar import CHINA, Calendar
from rules.language.library import vocabulary
from rules.language.making import rewritten
from rules.language.rule import Rule, Rules
from rules.store import rows
from rules.store import tables as db
from rules.store.database import Database
from rules.store.refusals import Apart

ACTOR = "rules"
REMEMBERED_MS = 86_400_000
NOWHERE = SiteId("")


def keep(database: Database, rules: Rules, now_ms: int, said: str = "") -> None:
    """These are in force. What nothing runs by any more goes, a day later: another engine may still go by it. `said`: what is
    new in them, for the log. One that is refused is not remembered, and judges all the same. Raises DatabaseAway."""
    entries = {
        rule.version: {
            "version": rule.version,
            "kind": rule.kind,
            "rule": rule.id,
            "position": position,
            "written": dict(rule.written),
            "in_force": True,
            "at_ms": now_ms,
        }
        for some in rules.values()
        for position, rule in enumerate(some)
        if rule.written
    }
    table = db.rule_versions

    def write(some: list[dict[str, Any]]) -> Callable[[], object]:
        return partial(connection.execute, insert(table), some)

    with database.writing() as connection:
        running = select(db.states.c.version).where(db.states.c.version.is_not(None))
        useless = table.c.version.not_in(running) & (table.c.at_ms < now_ms - REMEMBERED_MS)
        connection.execute(delete(table).where(or_(useless, table.c.version.in_(list(entries)))))
        connection.execute(update(table).values(in_force=False))
        apart = Apart(connection, now_ms)
        if entries and apart.done(NOWHERE, "rules", "all", write(list(entries.values())), keeps=False) is None:
            for entry in entries.values():
                apart.done(NOWHERE, "rule", f"{entry['kind']}/{entry['rule']}", write([entry]))
        if said:
            rows.append(connection, [rows.Line("rule.changed", None, None, ACTOR, said)], now_ms)


def earlier(connection: Connection, rules: Rules, kinds: Kinds, calendar: Calendar = CHINA) -> dict[str, Rule]:
    """Those that are kept and not among `rules`, by version. One that this software can't read any more is left out."""
    current = {rule.version for some in rules.values() for rule in some}
    others = db.rule_versions.c.version.not_in(list(current))
    return {rule.version: rule for rule in _kept(connection, kinds, calendar, others)}


def last_good(database: Database, kinds: Kinds, calendar: Calendar = CHINA) -> dict[str, tuple[Rule, ...]]:
    """The rules that were in force when the engine last ran, without the answers to their questions."""
    with database.reading() as connection:
        rules: dict[str, tuple[Rule, ...]] = {}
        for rule in _kept(connection, kinds, calendar, db.rule_versions.c.in_force):
            rules[rule.kind] = (*rules.get(rule.kind, ()), rule)
        return rules


def _kept(connection: Connection, kinds: Kinds, calendar: Calendar, which: ColumnElement[bool]) -> list[Rule]:
    table = db.rule_versions
    rows_found = connection.execute(select(table).where(which).order_by(table.c.kind, table.c.position)).all()
    known = vocabulary(kinds, ()) if rows_found else {}
    found = []
    for row in rows_found:
        try:
            rule = rewritten(row.kind, row.rule, row.written, known=known, calendar=calendar)
            found.append(replace(rule, version=row.version))
        except ValueError:
            continue  # its state is then judged by what is in force
    return [rule for rule in found if rule.kind in kinds]
