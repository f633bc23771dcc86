"""The readings up to an alarm's raise, copied from the history so that they stay as long as the alarm does.

Its values at the raise are in its row from the first moment; the course before is only in the store, which may be away, and has the newest
readings a moment later. So it is asked afterwards: `wanting` says of which alarms, and a restart goes on with them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy import bindparam, select, update

from collector.stores.base import Store
from messages.ids import DeviceId, SiteId
from messages.reading import Value
from rules.store import tables as db
from rules.store.database import Database
from rules.store.refusals import Apart

MOST_READINGS, MOST_CHANNELS = 8, 6
"""Kept of each channel, and of how many of an alarm's channels, the leading ones."""
SPANS_MS = (3_600_000, 300_000)
"""How far before the raise is looked; a channel that said too much in an hour is asked for five minutes."""
MOST_ASKED = 1_000
SETTLE_MS = 3_000
"""How long the collector may take to store what raised it."""
PATIENCE_MS = 24 * 3_600_000
"""A history that has no answer for a day is asked no more."""
AT_ONCE = 20

_KEEP = update(db.alarms).where(db.alarms.c.id == bindparam("its_id")).values(before=bindparam("before"))

Course = Mapping[str, Sequence[tuple[int, Value]]]
"""By channel: times and values, the oldest first."""


@dataclass(frozen=True, slots=True)
class Wanting:
    """An alarm whose course before is not there yet."""

    id: str
    site: SiteId
    device: DeviceId
    channels: tuple[str, ...]
    raised_at_ms: int


def wanting(database: Database, now_ms: int) -> list[Wanting]:
    """Some of them, the newest first. Raises DatabaseAway."""
    columns = (db.alarms.c.id, db.alarms.c.site, db.alarms.c.device, db.alarms.c.channels, db.alarms.c.raised_at_ms)
    known = db.alarms.c.known_at_ms
    query = select(*columns).where(
        db.alarms.c.before.is_(None), known > now_ms - PATIENCE_MS, known <= now_ms - SETTLE_MS
    )
    with database.reading() as connection:
        found = connection.execute(query.order_by(known.desc(), db.alarms.c.id).limit(AT_ONCE))
        return [Wanting(row.id, row.site, row.device, tuple(row.channels), row.raised_at_ms) for row in found]


def course(store: Store, alarm: Wanting) -> Course:
    """The last readings up to the raise. Raises StoreError."""
    return {channel: _readings(store, alarm, channel) for channel in alarm.channels[:MOST_CHANNELS]}


def _readings(store: Store, alarm: Wanting, channel: str) -> list[tuple[int, Value]]:
    for span_ms in SPANS_MS:
        begin_ms = alarm.raised_at_ms - span_ms
        found = store.series(alarm.site, alarm.device, channel, begin_ms, alarm.raised_at_ms, most=MOST_ASKED)
        if all(one.low is None for one in found):
            return [(one.at_ms, one.value) for one in found[-MOST_READINGS:]]
    return [(one.at_ms, one.value) for one in found[-MOST_READINGS:]]  # means of some 300 ms each


def keep(database: Database, found: Sequence[tuple[Wanting, Course]], now_ms: int) -> None:
    """What was found of some alarms, all of it at once. One that the database refuses is none. Raises DatabaseAway."""
    if not found:
        return
    kept = [{"its_id": alarm.id, "before": dict(course)} for alarm, course in found]
    with database.writing() as connection:
        apart = Apart(connection, now_ms)
        together = partial(connection.execute, _KEEP, kept)
        if apart.done(SiteId(""), "course", "all", together, keeps=False) is not None:
            return
        for (alarm, _), one in zip(found, kept, strict=True):
            if apart.done(alarm.site, "course", alarm.id, partial(connection.execute, _KEEP, [one])) is None:
                connection.execute(_KEEP, [{"its_id": alarm.id, "before": {}}])
