"""The register of labels on assets, as rows: one of a device holds, those that were stolen or copied are ended and kept. Inside the caller's
transaction.

They are kept as they are, not as hashes: a label is read by everybody who walks past it, and a sheet can be printed again.
"""

import secrets
from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from messages.announcement import OWN_MODEL
from messages.ids import DeviceId, SiteId
from rules.assets.label import LENGTH, SIGNS, Label
from rules.store import rows
from rules.store import tables as db

MOST_WORDS = 200


class LabelRefused(ValueError):
    """`reason` is one of REASONS."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


REASONS = ("no-label", "no-reason")


def find(connection: Connection, code: str) -> Label | None:
    """The label with a code, also one that has been replaced."""
    row = connection.execute(select(db.labels).where(db.labels.c.code == code)).one_or_none()
    return _label(row) if row else None


def holding(connection: Connection, sites: Collection[str] = ()) -> dict[tuple[SiteId, DeviceId], Label]:
    """Those that hold, by device; of some sites, or of all."""
    query = select(db.labels).where(db.labels.c.ended_at_ms.is_(None))
    found = map(_label, connection.execute(query.where(db.labels.c.site.in_(sites)) if sites else query))
    return {(one.site, one.device): one for one in found}


def make(connection: Connection, devices: Iterable[tuple[SiteId, DeviceId]], *, actor: str, now_ms: int) -> list[Label]:
    """A label for each known device that has none."""
    known = db.devices.c
    there = {(row.site, row.device) for row in connection.execute(select(known.site, known.device, known.model))}
    own = select(known.site, known.device).where(known.model == OWN_MODEL)
    there -= {(row.site, row.device) for row in connection.execute(own)}
    wanting = sorted(there & set(devices) - holding(connection).keys())
    made = [_insert(connection, site, device, actor, now_ms) for site, device in wanting]
    counted: dict[SiteId, list[str]] = {}
    for one in made:
        counted.setdefault(one.site, []).append(one.device)
    lines = [
        rows.Line("asset.labelled", None, None, actor, f"{site}: {_few(names)}") for site, names in counted.items()
    ]
    rows.append(connection, lines, now_ms)
    return made


def replace(connection: Connection, site: SiteId, device: DeviceId, *, why: str, actor: str, now_ms: int) -> Label:
    """The label was stolen, copied or worn: it counts for nothing from now on, and the device has a new one. Raises LabelRefused."""
    words = "".join(one for one in why if one.isprintable()).strip()[:MOST_WORDS]
    if not words:
        raise LabelRefused("no-reason")
    its = (db.labels.c.site == site, db.labels.c.device == device, db.labels.c.ended_at_ms.is_(None))
    ended = connection.execute(
        update(db.labels).where(*its).values(ended_at_ms=now_ms, ended_by=actor, why=words)
    ).rowcount
    if not ended:
        raise LabelRefused("no-label")
    made = _insert(connection, site, device, actor, now_ms)
    line = rows.Line("asset.label_replaced", None, None, actor, f"{site}/{device}: {words}")
    rows.append(connection, [line], now_ms)
    return made


def _insert(connection: Connection, site: SiteId, device: DeviceId, actor: str, now_ms: int) -> Label:
    code = "".join(secrets.choice(SIGNS) for _ in range(LENGTH))
    label = Label(code=code, site=site, device=device, made_at_ms=now_ms, made_by=actor)
    connection.execute(insert(db.labels).values({name: getattr(label, name) for name in Label.__dataclass_fields__}))
    return label


def _label(row: Row[Any]) -> Label:
    return Label(**row._mapping)


def _few(names: list[str]) -> str:
    """Some names for the log, and how many there are."""
    return ", ".join(names) if len(names) <= 5 else f"{', '.join(names[:5])} … ({len(names)})"
