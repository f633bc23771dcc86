"""The rules as they are in force, with their versions and what they have raised. Reads the rules' database alone."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from messages.alarm import Level
from messages.ids import is_identifier
from rules.language.library import SHIPPED
from rules.store import tables as db
from rules.store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of a rule. `text`: as its file has it; `settings` and `channels`: what its names stand for."""

    kind: str
    rule: str
    version: str
    in_force: bool
    at_ms: int
    running: int
    """Alarms and timers that still go by it."""
    text: Mapping[str, Any]
    settings: Mapping[str, Mapping[str, Any]]
    channels: Mapping[str, Mapping[str, Any]]

    @property
    def level(self) -> Level:
        found: Level = self.text["level"]
        return found

    @property
    def shadow(self) -> bool:
        return bool(self.text.get("shadow"))


@dataclass(frozen=True, slots=True)
class Raised:
    """Of one rule: alarms that are open, that were raised lately, and those of a rule in shadow, which called nobody."""

    open: int
    lately: int
    in_shadow: int


def versions(database: Database, kind: str | None = None) -> list[Version]:
    """Those in force first, in their files' order. Raises DatabaseAway."""
    table = db.rule_versions
    query = select(table).order_by(table.c.in_force.desc(), table.c.kind, table.c.position, table.c.at_ms.desc())
    if kind is not None:
        query = query.where(table.c.kind == kind)
    counted = select(db.states.c.version, func.count()).group_by(db.states.c.version)
    with database.reading() as connection:
        running: dict[str | None, int] = {row[0]: row[1] for row in connection.execute(counted)}
        return [
            Version(
                kind=row.kind,
                rule=row.rule,
                version=row.version,
                in_force=row.in_force,
                at_ms=row.at_ms,
                running=running.get(row.version, 0),
                text=row.written["text"],
                settings=row.written.get("settings", {}),
                channels=row.written.get("channels", {}),
            )
            for row in connection.execute(query)
        ]


def raised(database: Database, since_ms: int, sites: tuple[str, ...] = ()) -> Mapping[tuple[str, str], Raised]:
    """By kind and rule; of some sites, or of all. Raises DatabaseAway."""
    a, s = db.alarms.c, db.shadows.c
    within = [a.site.in_(sites)] if sites else []
    in_shadow = [s.site.in_(sites)] if sites else []
    with database.reading() as connection:

        def counts(*its: Any) -> Counter[tuple[str, str]]:
            query = select(a.kind, a.rule, func.count()).where(*its, *within).group_by(a.kind, a.rule)
            return Counter({(kind, rule): count for kind, rule, count in connection.execute(query)})

        opened, lately = counts(a.open), counts(a.raised_at_ms >= since_ms, ~a.late)
        query = select(s.kind, s.rule, func.count()).where(s.raised_at_ms >= since_ms, *in_shadow)
        shadows = {(kind, rule): count for kind, rule, count in connection.execute(query.group_by(s.kind, s.rule))}
    names = {*opened, *lately, *shadows}
    return {name: Raised(opened[name], lately[name], shadows.get(name, 0)) for name in names}


def file_of(kind: str, folders: tuple[Path, ...]) -> Path | None:
    """The file that holds a kind's own rules: the user's, or the shipped one."""
    if not is_identifier(kind):
        return None
    return next((path for folder in (*reversed(folders), SHIPPED) if (path := folder / f"{kind}.toml").is_file()), None)
