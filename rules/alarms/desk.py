"""What a person does to alarms and to what keeps them quiet: a part of the desk (rules.desk).

Each act is one transaction with its actor in the log. A refusal is `ActionRefused` with "unknown" or one of REASONS, which
pages translate.
"""

import secrets
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, Row, func, select

from messages.announcement import Place
from messages.ids import DeviceId, SiteId
from rules.alarms.condition import ACTIVE, LATCHED, AlarmEvent
from rules.alarms.moves import carry
from rules.alarms.overlays import holds, upkeep
from rules.alarms.overlays.hold import Hold, What, asked
from rules.alarms.overlays.oversight import STALE_MS, SWEEP_MS
from rules.alarms.standing import Move, PutBack, Shelve, TakeOut, Unshelve, paused
from rules.cases.practice import PLAIN, Practice
from rules.records import ActionRefused, Alarm, AlarmState, Flood
from rules.store import rows
from rules.store import tables as db
from rules.store.database import Database
from rules.store.rows import Line

REASONS = (
    "over",  # the alarm is
    "acknowledged-already",
    "guards-lives",
    "not-shelved",
    "ended-already",
    "no-reason",
    "no-holder",
    "no-place",
    "too-long",
    "too-many-words",
    "over-already",  # the end that was asked for is past
)


class AlarmDesk:
    """Acts on alarms, and the lists that an operator looks through. Every method may raise `DatabaseAway`."""

    def __init__(self, database: Database, practice: Practice = PLAIN) -> None:
        self._database = database
        self._practice = practice

    def acknowledge(self, alarm_id: str, *, actor: str, at_ms: int) -> Alarm:
        """`actor` has seen it: the sound stops, the escalation does not. Raises ActionRefused."""
        with self._database.writing() as connection:
            row = _open(connection, alarm_id)
            lines = carry(connection, row, [Move(AlarmEvent.ACKNOWLEDGED, actor)], at_ms, self._practice)
            if not lines:
                raise ActionRefused("acknowledged-already", None)
            return _done(connection, alarm_id, lines, at_ms)

    def shelve(
        self, alarm_id: str, *, until_ms: int, reason: str, actor: str, at_ms: int, one_shot: bool = False
    ) -> Alarm:
        """Its rule of its device calls nobody until then, at most eight hours; `one_shot`: or until it returns.

        Another shelf takes the place of the one before. Raises ActionRefused.
        """
        with self._database.writing() as connection:
            row = _open(connection, alarm_id)
            _refuse_guarding(row.guards)
            hold = asked(
                Hold(
                    id=_new_id(),
                    what=What.SHELF,
                    site=row.site,
                    device=row.device,
                    rule=row.rule,
                    reason=reason,
                    actor=actor,
                    one_shot=one_shot,
                    from_ms=at_ms,
                    until_ms=until_ms,
                ),
                at_ms,
            )
            holds.end_shelf(connection, row, at_ms, actor)
            holds.lay(connection, hold)
            return _done(
                connection, alarm_id, carry(connection, row, [Shelve(hold.pause)], at_ms, self._practice), at_ms
            )

    def unshelve(self, alarm_id: str, *, actor: str, at_ms: int) -> Alarm:
        """It may call people again, and does at once if it is still active. Raises ActionRefused."""
        with self._database.writing() as connection:
            row = _open(connection, alarm_id)
            if rows.standing_of(row).overlays.shelved is None:
                raise ActionRefused("not-shelved", None)
            holds.end_shelf(connection, row, at_ms, actor)
            return _done(
                connection, alarm_id, carry(connection, row, [Unshelve("by hand", actor)], at_ms, self._practice), at_ms
            )

    def out_of_service(
        self,
        site: SiteId,
        device: DeviceId,
        *,
        until_ms: int,
        reason: str,
        actor: str,
        at_ms: int,
        rule: str | None = None,
    ) -> Hold:
        """A device is being worked on: its alarms, or those of one rule, call nobody until then. Raises ActionRefused."""
        with self._database.writing() as connection:
            _refuse_guarding(_guards(connection, site, device))
            hold = asked(
                Hold(
                    id=_new_id(),
                    what=What.SERVICE,
                    site=site,
                    device=device,
                    rule=rule,
                    reason=reason,
                    actor=actor,
                    from_ms=at_ms,
                    until_ms=until_ms,
                ),
                at_ms,
            )
            holds.lay(connection, hold)
            words = f"{upkeep.scope(hold)}: {paused(hold.pause)}"
            lines = [Line("device.out_of_service", None, None, actor, words)]
            for row in _under(connection, hold):
                lines += carry(connection, row, [TakeOut(hold.pause)], at_ms, self._practice)
            rows.append(connection, lines, at_ms)
            return hold

    def return_to_service(self, hold_id: str, *, actor: str, at_ms: int) -> None:
        """The work on a device is done before its time. Raises ActionRefused."""
        with self._database.writing() as connection:
            hold = _lasting(connection, hold_id, What.SERVICE)
            holds.end(connection, hold_id, actor, at_ms)
            lines = [upkeep.ended(connection, hold, actor, "by hand")]
            others = holds.lasting(connection, db.holds.c.what == What.SERVICE, holds.over(hold.site, str(hold.device)))
            for row in _under(connection, hold):
                if not any(other.covers(row.site, row.device, row.rule, _place(row)) for other in others):
                    lines += carry(connection, row, [PutBack("by hand", actor)], at_ms, self._practice)
            rows.append(connection, [line for line in lines if line], at_ms)

    def open_permit(
        self,
        site: SiteId,
        *,
        holder: str,
        reason: str,
        until_ms: int,
        actor: str,
        at_ms: int,
        from_ms: int | None = None,
        device: DeviceId | None = None,
        grid: str | None = None,
        building: str | None = None,
        unit: str | None = None,
    ) -> Hold:
        """`holder` works on a device, or somewhere: what that sets off calls nobody, but for what guards lives.

        Raises ActionRefused.
        """
        with self._database.writing() as connection:
            if device is not None:
                _refuse_guarding(_guards(connection, site, device))
            hold = asked(
                Hold(
                    id=_new_id(),
                    what=What.PERMIT,
                    site=site,
                    device=device,
                    grid=grid,
                    building=building,
                    unit=unit,
                    reason=reason,
                    actor=actor,
                    holder=holder,
                    from_ms=at_ms if from_ms is None else from_ms,
                    until_ms=until_ms,
                ),
                at_ms,
            )
            holds.lay(connection, hold)
            words = f"{hold.id} {upkeep.scope(hold)}: {hold.holder}, {paused(hold.pause)}"
            rows.append(
                connection,
                [Line("permit.opened", None, None, actor, words), *upkeep.settled(connection, at_ms, self._practice)],
                at_ms,
            )
            return hold

    def close_permit(self, hold_id: str, *, actor: str, at_ms: int, checked: bool = False) -> None:
        """The work is done. `checked`: `actor` has seen on the spot that what it set off and what is held may go.

        What is still active or held otherwise calls somebody now. Raises ActionRefused.
        """
        with self._database.writing() as connection:
            hold = _lasting(connection, hold_id, What.PERMIT)
            lines: list[Line | None] = []
            for row in _under(connection, hold) if checked else ():
                standing = rows.standing_of(row)
                if standing.state in LATCHED and not standing.called and hold.cause in standing.overlays.suppressed:
                    lines += carry(
                        connection, row, [Move(AlarmEvent.RESET, actor, "checked by the permit")], at_ms, self._practice
                    )
            holds.end(connection, hold_id, actor, at_ms)
            lines.append(upkeep.ended(connection, hold, actor, "checked" if checked else "by hand"))
            rows.append(
                connection,
                [*(line for line in lines if line), *upkeep.settled(connection, at_ms, self._practice)],
                at_ms,
            )

    def sweep(self, site: SiteId, *, actor: str, at_ms: int) -> list[str]:
        """Acknowledge what returned by itself a day ago or longer and nobody has looked at. The ids of these alarms."""
        with self._database.writing() as connection:
            old = (db.alarms.c.state == AlarmState.RTN_UNACK, db.alarms.c.changed_at_ms <= at_ms - SWEEP_MS)
            query = rows.alarms_with_cases().where(db.alarms.c.site == site, db.alarms.c.open, *old)
            lines, swept = list[Line](), list[str]()
            for row in connection.execute(query.order_by(db.alarms.c.raised_at_ms, db.alarms.c.id)).all():
                lines += carry(connection, row, [Move(AlarmEvent.ACKNOWLEDGED, actor, "sweep")], at_ms, self._practice)
                swept.append(row.id)
            rows.append(connection, lines, at_ms)
            return swept

    def grid_of(self, site: SiteId, device: DeviceId) -> str | None:
        """Where a device says that it is; None for one that nobody has announced."""
        its = select(db.devices.c.place).where(db.devices.c.site == site, db.devices.c.device == device).limit(1)
        with self._database.reading() as connection:
            place = connection.scalar(its)
        return str(place["grid"]) if place and "grid" in place else None

    def holds(self, site: SiteId | None = None) -> list[Hold]:
        """Shelves, maintenance and permits that nobody has ended, the oldest first."""
        with self._database.reading() as connection:
            return holds.lasting(connection, *([db.holds.c.site == site] if site else []))

    def quiet(self, *, limit: int = 200, sites: Collection[str] = (), grids: Collection[str] = ()) -> list[Alarm]:
        """Open alarms that call nobody, the latest first: `overlays` say why, by whom, until when."""
        its = rows.within(db.alarms, sites, grids)
        return self._listed(~db.alarms.c.annunciated, *its, limit=limit)

    def stale(
        self, now_ms: int, *, limit: int = 200, sites: Collection[str] = (), grids: Collection[str] = ()
    ) -> list[Alarm]:
        """Alarms that have been active for a day, the oldest last."""
        its = (db.alarms.c.state.in_(ACTIVE), db.alarms.c.since_ms <= now_ms - STALE_MS)
        return self._listed(*its, *rows.within(db.alarms, sites, grids), limit=limit)

    def chattering(self, *, limit: int = 200, sites: Collection[str] = (), grids: Collection[str] = ()) -> list[Alarm]:
        """Alarms that come and go faster than people can look, the latest first."""
        its = (db.alarms.c.overlays["chattering"].as_boolean(), *rows.within(db.alarms, sites, grids))
        return self._listed(*its, limit=limit)

    def uncertain(self, *, limit: int = 200, sites: Collection[str] = (), grids: Collection[str] = ()) -> list[Alarm]:
        """Alarms of which it can't be known whether they still hold, the latest first."""
        doubts = db.alarms.c.overlays["uncertain"][0].as_string()
        return self._listed(doubts.is_not(None), *rows.within(db.alarms, sites, grids), limit=limit)

    def floods(self) -> dict[SiteId, int]:
        """Sites with more new alarms than their operators can read, and since when."""
        with self._database.reading() as connection:
            query = select(db.floods).order_by(db.floods.c.site)
            return {SiteId(row.site): row.since_ms for row in connection.execute(query)}

    def flood(self, site: SiteId, *, limit: int = 50) -> Flood | None:
        """None: there is none. Else the red alarms, and of the rest how many by kind, rule and level."""
        with self._database.reading() as connection:
            since_ms = connection.scalar(select(db.floods.c.since_ms).where(db.floods.c.site == site))
            if since_ms is None:
                return None
            its = (db.alarms.c.site == site, db.alarms.c.open, db.alarms.c.annunciated)
            reds = rows.alarms_with_cases().where(*its, db.alarms.c.level == "red").order_by(db.alarms.c.raised_at_ms)
            same = (db.alarms.c.kind, db.alarms.c.rule, db.alarms.c.level)
            rest = select(*same, func.count().label("open")).where(*its, db.alarms.c.level != "red").group_by(*same)
            return Flood(
                site=site,
                since_ms=since_ms,
                reds=tuple(rows.alarm_of(row) for row in connection.execute(reds.limit(limit))),
                rest={(row.kind, row.rule, row.level): row.open for row in connection.execute(rest.order_by(*same))},
            )

    def _listed(self, *which: Any, limit: int) -> list[Alarm]:
        query = rows.alarms_with_cases().where(db.alarms.c.open, *which)
        query = query.order_by(db.alarms.c.since_ms.desc(), db.alarms.c.id)
        with self._database.reading() as connection:
            return [rows.alarm_of(row) for row in connection.execute(query.limit(limit))]


def _open(connection: Connection, alarm_id: str) -> Row[Any]:
    if (row := rows.alarm_row(connection, alarm_id)) is None:
        raise ActionRefused("unknown", None)
    if not row.open:
        raise ActionRefused("over", rows.case_in(row))
    return row


def _done(connection: Connection, alarm_id: str, lines: Sequence[Line], at_ms: int) -> Alarm:
    rows.append(connection, lines, at_ms)
    row = rows.alarm_row(connection, alarm_id)
    assert row is not None
    return rows.alarm_of(row)


def _refuse_guarding(guards: bool) -> None:
    if guards:
        raise ActionRefused("guards-lives", None)


def _guards(connection: Connection, site: SiteId, device: DeviceId) -> bool:
    """Whether lives hang on a device. Raises ActionRefused for one that nobody has announced."""
    its = select(db.devices.c.guards).where(db.devices.c.site == site, db.devices.c.device == device)
    if not (found := list(connection.scalars(its))):
        raise ActionRefused("unknown", None)
    return any(found)


def _lasting(connection: Connection, hold_id: str, what: What) -> Hold:
    row = connection.execute(select(db.holds).where(db.holds.c.id == hold_id, db.holds.c.what == what)).one_or_none()
    if row is None:
        raise ActionRefused("unknown", None)
    if row.ended_at_ms is not None:
        raise ActionRefused("ended-already", None)
    return holds.of(row)


def _under(connection: Connection, hold: Hold) -> list[Row[Any]]:
    """The open alarms that a hold lies over."""
    query = rows.alarms_with_cases().where(db.alarms.c.site == hold.site, db.alarms.c.open)
    if hold.device is not None:
        query = query.where(db.alarms.c.device == hold.device)
    return [row for row in connection.execute(query).all() if hold.covers(row.site, row.device, row.rule, _place(row))]


def _place(row: Row[Any]) -> Place:
    return Place(**row.place)


def _new_id() -> str:
    return secrets.token_hex(6)
