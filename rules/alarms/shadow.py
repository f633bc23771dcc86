"""What rules in shadow would have raised: written down beside the alarms, told to nobody. Inside the transaction of its work."""

from sqlalchemy import Connection, insert, select, update

from rules.alarms.condition import alarm_id
from rules.engine.found import Found
from rules.language.change import Cleared, Ended, Graver, Happened, Raised
from rules.store import tables as db


def write(connection: Connection, found: Found, now_ms: int) -> None:
    """An episode begins, becomes graver or ends. The same episode is one row, however often it is found."""
    device, rule = found.device, found.rule
    match found.change:
        case Raised() | Happened() as change:
            name = alarm_id(device.site, device.id, rule.id, change.at_ms)
            if connection.execute(select(db.shadows.c.id).where(db.shadows.c.id == name)).one_or_none() is None:
                connection.execute(
                    insert(db.shadows).values(
                        id=name,
                        site=device.site,
                        device=device.id,
                        kind=device.kind,
                        model=device.model,
                        grid=device.place.grid,
                        rule=rule.id,
                        version=rule.version,
                        level=change.level or rule.level,
                        raised_at_ms=change.at_ms,
                        known_at_ms=now_ms,
                        evidence=dict(change.evidence),
                    )
                )
        case Graver() as change:
            name = alarm_id(device.site, device.id, rule.id, change.raised_at_ms)
            connection.execute(update(db.shadows).where(db.shadows.c.id == name).values(level=change.level))
        case Cleared() | Ended() as change:
            name = alarm_id(device.site, device.id, rule.id, change.raised_at_ms)
            its = (db.shadows.c.id == name, db.shadows.c.cleared_at_ms.is_(None))
            connection.execute(update(db.shadows).where(*its).values(cleared_at_ms=change.at_ms))
