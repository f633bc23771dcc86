"""The engine's facts in the database: read at start, and a work written in one transaction."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import orjson
import structlog
from pydantic import TypeAdapter
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Connection,
    Row,
    Table,
    Text,
    bindparam,
    case,
    cast,
    delete,
    func,
    insert,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.sql import Select

from messages.announcement import Place
from messages.ids import DeviceId, EdgeId, SiteId
from messages.kind import Kinds
from messages.reading import Quality, Reading, Value
from rules.alarms import findings, newcomers
from rules.alarms.overlays import upkeep
from rules.cases import acting
from rules.cases.practice import PLAIN, Practice
from rules.drills import exercise
from rules.engine import gap
from rules.engine.found import Abandoned, Found
from rules.engine.memory import bookmark
from rules.engine.memory.facts import Facts
from rules.engine.memory.plant import Device, Edge, TellerKey
from rules.engine.memory.watch import FORGOTTEN, Watched
from rules.engine.share import LEAD
from rules.engine.skew import Skew
from rules.engine.stream import Stream
from rules.engine.timers import StateKey
from rules.engine.work import Work
from rules.escalation import timers
from rules.escalation.clocks import Clocks
from rules.language.calendar import CHINA, Calendar
from rules.language.rule import Rules
from rules.language.state import NEW, from_json, to_json
from rules.store import leases, many, rows, versions
from rules.store import tables as db
from rules.store.database import Database
from rules.store.leases import Holder
from rules.store.refusals import Apart

_LAST, _LAST_MS = db.pulse.c.last_reading_at_ms, bindparam("last_ms", type_=BigInteger)
_BEAT = update(db.pulse).values(
    at_ms=bindparam("now_ms"),
    last_reading_at_ms=case((or_(_LAST.is_(None), _LAST < _LAST_MS), _LAST_MS), else_=_LAST),
    readings=db.pulse.c.readings + bindparam("more"),
    hears=func.coalesce(bindparam("hears_it", type_=Boolean), db.pulse.c.hears),
)
"""Made once, as in rules.store.rows: it ends each work."""

log = structlog.get_logger("rules")


def load(
    database: Database,
    kinds: Kinds,
    rules: Rules,
    calendar: Calendar = CHINA,
    sites: Collection[SiteId] | None = None,
) -> Facts:
    """Everything that was known of `sites` (None: of all) when it was last written."""

    def of(table: Table) -> Select[Any]:
        return select(table) if sites is None else select(table).where(table.c.site.in_(list(sites)))

    with database.reading() as connection:

        def all_of(table: Table, *names: str) -> Sequence[Any]:
            """Of tables of tens of thousands of rows, which are taken apart by their order and not by their names: a start waits for it. JSON stays
            text, to be read all at once."""
            columns = (table.c[name] for name in names)
            query = select(*(cast(one, Text) if isinstance(one.type, JSON) else one for one in columns))
            return connection.execute(query if sites is None else query.where(table.c.site.in_(list(sites)))).all()

        waiting: dict[TellerKey, list[Reading]] = {}
        for row in connection.execute(of(db.waiting).order_by(db.waiting.c.id)):
            waiting.setdefault((row.site, row.edge, row.device), []).append(_reading(row))
        streams = {
            (row.site, row.edge, row.stream): Stream(tuple((a, b) for a, b in row.heard), row.said, row.used_at_ms)
            for row in connection.execute(of(db.streams))
        }
        watches, marks = _watches(all_of(db.states, *_STATE))
        return Facts(
            kinds,
            rules,
            earlier=versions.earlier(connection, rules, kinds, calendar),
            devices=_devices(all_of(db.devices, *_DEVICE)),
            edges={(row.site, row.edge): _edge(row) for row in connection.execute(of(db.edges))},
            streams=streams,
            beyond=bookmark.reopened(marks, streams, watches),
            watches=watches,
            waiting=waiting,
            silent_from={(site, edge, device): ms for site, edge, device, ms in all_of(db.silences, *_SILENCE)},
        )


def commit(
    database: Database, work: Work, now_ms: int, holder: Holder | None = None, practice: Practice = PLAIN
) -> None:
    """Write a work and the calls that it causes: all of it or nothing. Raises DatabaseAway, and LeaseLost if `holder` doesn't own all its sites any more.

    Called again for a work that it has written, it does nothing: the answer to a commit may get lost on its way. What the database
    refuses of it goes to a place of its own (`rules.store.refusals`), and the rest is written.
    """
    try:
        _commit(database, work, holder, lambda connection: _write(connection, work, now_ms, practice))
    except Exception as error:
        if not database.refuses(error):
            raise
        log.error("the database refuses a work: its parts are written one by one", why=str(error)[:500])
        _commit(
            database,
            work,
            holder,
            lambda connection: _write_apart(connection, Apart(connection, now_ms), work, now_ms, practice),
        )
    if holder is not None:
        holder.works += 1


def _commit(database: Database, work: Work, holder: Holder | None, write: Callable[[Connection], None]) -> None:
    with database.writing() as connection:
        if holder is None or not leases.is_written(connection, holder):
            if holder is not None:
                leases.fence(connection, holder, work.sites)
            write(connection)


def _write(connection: Connection, work: Work, now_ms: int, practice: Practice) -> None:
    for table, some in _rows(work):
        _replace(connection, table, some)
    for teller in work.awaited:
        _take_waiting(connection, teller)
    stranded = [_waiting_row(*teller, reading) for teller, some in work.stranded.items() for reading in some]
    if stranded:
        connection.execute(insert(db.waiting), stranded)
    if work.stepped is not None:
        timers.step_clock(connection, *work.stepped, now_ms)
    lines: list[rows.Line] = []
    found, clocks = findings.ordered(work.found, work.abandoned), Clocks(connection, practice, now_ms)
    new = newcomers.among(connection, found, now_ms, practice)
    newcomers.write(connection, new.values(), clocks)
    for at, one in enumerate(found):
        if isinstance(one, Abandoned):
            lines += findings.abandon(connection, one, now_ms, practice)
        else:
            lines += new[at].lines if at in new else findings.carry_out(connection, one, now_ms, practice)
    clocks.say(lines, first=len(new) == len(found))
    timers.fire_cases(connection, practice, now_ms, (line.case for line in lines if line.case), clocks)
    _beat(connection, now_ms, work.readings, work.last_reading_at_ms)


def _write_apart(connection: Connection, apart: Apart, work: Work, now_ms: int, practice: Practice) -> None:
    """The same, part by part: what is refused is kept for people to look at, and the rest is written."""
    for table, some in _rows(work):
        for key, row in some.items():
            apart.done(SiteId(key[0]), table.name, "/".join(key), partial(_replace, connection, table, {key: row}))
    for teller in work.awaited:
        _take_waiting(connection, teller)
    for teller, readings in work.stranded.items():
        for reading in readings:
            row = _waiting_row(*teller, reading)
            name = f"{'/'.join(teller)} {reading.channel} at {reading.at_ms}"
            apart.done(teller[0], "reading", name, partial(connection.execute, insert(db.waiting), row))
    for one in findings.ordered(work.found, work.abandoned):
        lines: Sequence[rows.Line] | None
        if isinstance(one, Abandoned):
            name = f"{one.device}/{one.rule}: {one.why}"
            abandon = partial(_told, connection, partial(findings.abandon, connection, one, now_ms, practice), now_ms)
            lines = apart.done(one.site, "abandoned", name, abandon)
        else:
            lines = _find(connection, apart, one, now_ms, practice)
        _fire(connection, apart, lines, now_ms, practice)
    _beat(connection, now_ms, work.readings, work.last_reading_at_ms)


def _find(
    connection: Connection, apart: Apart, found: Found, now_ms: int, practice: Practice
) -> Sequence[rows.Line] | None:
    """A finding as it is, or, if that is refused, without all that isn't needed to call somebody."""
    site, name = found.device.site, f"{found.device.id}/{found.rule.id}: {found.change}"
    for one in (found, findings.plain(found)):
        carry = partial(_told, connection, partial(findings.carry_out, connection, one, now_ms, practice), now_ms)
        lines = apart.done(site, "finding" if one is found else "plain finding", name, carry)
        if lines is not None:
            return lines
    return None


def _told(connection: Connection, act: Callable[[], list[rows.Line]], now_ms: int) -> list[rows.Line]:
    lines = act()
    rows.append(connection, lines, now_ms)
    return lines


def _fire(
    connection: Connection, apart: Apart, lines: Sequence[rows.Line] | None, now_ms: int, practice: Practice
) -> None:
    """The first calls of a case; what is refused is tried again, and kept, by rules.escalation.loop."""
    for case_id in dict.fromkeys(line.case for line in lines or () if line.case):
        fire = partial(timers.fire_cases, connection, practice, now_ms, [case_id])
        apart.done(SiteId(""), "step", case_id, fire, keeps=False)


def _rows(work: Work) -> Iterator[tuple[Table, Mapping[tuple[str, ...], dict[str, Any] | None]]]:
    """What a work leaves of tables that are written by key; None is taken away."""
    yield db.devices, {key: _device_row(one, work) if one else None for key, one in work.devices.items()}
    yield db.silences, {key: _silence_row(key, ms) for key, ms in work.silent_from.items()}
    yield db.edges, {key: _edge_row(key, one) if one else None for key, one in work.edges.items()}
    yield db.streams, {key: _stream_row(key, one) if one else None for key, one in work.streams.items()}
    # what knows nothing has no row: of a device that is gone nothing is left behind
    yield db.states, {k: None if one == FORGOTTEN else _state_row(k, one, work) for k, one in work.watches.items()}


def _take_waiting(connection: Connection, teller: TellerKey) -> None:
    of_it = tuple_(db.waiting.c.site, db.waiting.c.edge, db.waiting.c.device) == teller
    connection.execute(delete(db.waiting).where(of_it))


def beat(
    database: Database,
    now_ms: int,
    practice: Practice = PLAIN,
    *,
    hears: bool,
    looks: bool = True,
    operators: Mapping[SiteId, int] | None = None,
    holder: Holder | None = None,
) -> bool:
    """Write down that the engine lives, and whether it hears the broker; and, if it `looks`, do to the open alarms what is
    due. Whether that was anything. Raises LeaseLost if it looks, and `holder` is not the one to look any more."""
    look = partial(_look, operators=operators, practice=practice, now_ms=now_ms) if looks else None
    try:
        return _beaten(database, now_ms, hears, look, holder)
    except Exception as error:
        if look is None or not database.refuses(error):
            raise
        return _beaten(database, now_ms, hears, partial(look, apart=True), holder)


def _beaten(
    database: Database, now_ms: int, hears: bool, look: Callable[..., bool] | None, holder: Holder | None
) -> bool:
    with database.writing() as connection:
        if look is not None and holder is not None:
            leases.fence(connection, holder, {LEAD})
        _beat(connection, now_ms, hears=hears)
        return look(connection, database) if look is not None else False


def _look(
    connection: Connection,
    database: Database,
    *,
    now_ms: int,
    operators: Mapping[SiteId, int] | None,
    practice: Practice,
    apart: bool = False,
) -> bool:
    """`apart`: something in it is refused; what that is is kept, and the rest is done."""

    each = Apart(connection, now_ms)

    def alarms() -> int:
        lines = upkeep.look(connection, now_ms, operators, practice, each.alarm if apart else None)
        rows.append(connection, lines, now_ms)
        return len(lines)

    parts: dict[str, Callable[[], int]] = {
        "look": alarms,
        "gather": lambda: acting.gather(connection, now_ms, practice),
        "drill": lambda: exercise.end_due(connection, now_ms, practice),
    }
    done = [each.done(SiteId(""), "look", name, act) if apart else act() for name, act in parts.items()]
    return any(done)


def _beat(
    connection: Connection, now_ms: int, readings: int = 0, last_ms: int | None = None, hears: bool | None = None
) -> None:
    """`hears` None: as it was, at first not."""
    its = {"now_ms": now_ms, "more": readings, "last_ms": last_ms or None, "hears_it": hears}
    if connection.execute(_BEAT, its).rowcount != 1:
        first = {"at_ms": now_ms, "last_reading_at_ms": last_ms or None, "readings": readings, "hears": bool(hears)}
        connection.execute(insert(db.pulse).values(id=1, **first))


def _replace(connection: Connection, table: Table, some: Mapping[tuple[str, ...], dict[str, Any] | None]) -> None:
    """Write rows by their primary key, whether they were there or not; None takes one away."""
    many.remove(connection, table, [key for key, row in some.items() if row is None])
    many.put(connection, table, [row for row in some.values() if row is not None])


_DEVICE = ("site", "edge", "device", "kind", "model", "place", "settings")
_STATE = ("site", "device", "rule", "state", "wake_at_ms", "edge", "version")
_SILENCE = ("site", "edge", "device", "from_ms")
_GAP = "gap"
"""In the JSON of a state: what it was before the gap that is open (rules.engine.memory.bookmark)."""
_PLACES = TypeAdapter(list[Place])


def device_of(row: Row[Any]) -> Device:
    return _device(*(getattr(row, name) for name in _DEVICE))


def _device(
    site: SiteId,
    edge: EdgeId,
    device: DeviceId,
    kind: str,
    model: str,
    place: Mapping[str, str],
    settings: Mapping[str, Value],
) -> Device:
    return Device(site=site, edge=edge, id=device, kind=kind, model=model, place=Place(**place), settings=settings)


def _devices(found: Sequence[Any]) -> dict[TellerKey, Device]:
    """Their JSON is text."""
    places = _PLACES.validate_json(_together(row[5] for row in found))
    settings = orjson.loads(_together(row[6] for row in found))
    return {
        (site, edge, device): Device(site=site, edge=edge, id=device, kind=kind, model=model, place=place, settings=own)
        for (site, edge, device, kind, model, _, _), place, own in zip(found, places, settings, strict=True)
    }


def _watches(found: Sequence[Any]) -> tuple[dict[StateKey, Watched], list[tuple[StateKey, Any]]]:
    """And what some of them were before a gap. Their JSON is text. Rules of a device that have heard the same are in one state: it is made once."""
    contents = orjson.loads(_together(row[3] for row in found))
    watches, marks = dict[StateKey, Watched](), list[tuple[StateKey, Any]]()
    before, state = "", NEW
    for (site, device, rule, text, wake_at_ms, edge, version), content in zip(found, contents, strict=True):
        if text != before:
            before, state = text, from_json(content)
        watches[site, device, rule] = (state, wake_at_ms, edge, version)
        if _GAP in content:
            marks.append(((site, device, rule), content[_GAP]))
    return watches, marks


def _together(texts: Iterable[str]) -> str:
    """Many pieces of JSON as one array: one by one they take several times as long."""
    return f"[{','.join(texts)}]"


def _device_row(device: Device, work: Work) -> dict[str, Any]:
    return {
        "site": device.site,
        "device": device.id,
        "edge": device.edge,
        "kind": device.kind,
        "model": device.model,
        "place": device.place.model_dump(),
        "settings": dict(device.settings),
        "guards": _guards(device.kind, work.facts),
    }


def _guards(kind: str, known: Facts) -> bool:
    said = known.kinds.get(kind)
    return (said is not None and said.guards_lives) or any(rule.guards for rule in known.rules.get(kind, ()))


def _silence_row(key: TellerKey, from_ms: int | None) -> dict[str, Any] | None:
    return None if from_ms is None else {"site": key[0], "edge": key[1], "device": key[2], "from_ms": from_ms}


def _edge(row: Row[Any]) -> Edge:
    skew = None if row.behind_ms is None else Skew(row.behind_ms)
    return Edge(row.online, row.since_ms, row.last_reading_at_ms, row.clock_trusted, skew)


def _edge_row(key: tuple[str, str], edge: Edge) -> dict[str, Any]:
    return {
        "site": key[0],
        "edge": key[1],
        "online": edge.online,
        "since_ms": edge.since_ms,
        "last_reading_at_ms": edge.last_reading_at_ms,
        "clock_trusted": edge.clock_trusted,
        "behind_ms": edge.skew.ahead_ms if edge.skew else None,
    }


def _stream_row(key: tuple[str, str, str], stream: Stream) -> dict[str, Any]:
    return {
        "site": key[0],
        "edge": key[1],
        "stream": key[2],
        "heard": [list(part) for part in stream.heard],
        "said": stream.said,
        "used_at_ms": stream.used_at_ms,
    }


def _state_row(key: StateKey, watch: Watched, work: Work) -> dict[str, Any]:
    state, wake_at_ms, edge, version = watch
    content = to_json(state)
    if (work.beyond or work.facts.beyond) and (mark := gap.bookmark(work, key)) is not None:
        content[_GAP] = mark
    return {
        "site": key[0],
        "device": key[1],
        "rule": key[2],
        "state": content,
        "wake_at_ms": wake_at_ms,
        "edge": edge,
        "version": version,
    }


def _waiting_row(site: str, edge: str, device: str, reading: Reading) -> dict[str, Any]:
    content = [reading.channel, reading.at_ms, reading.value, reading.unit, reading.quality.value]
    return {"site": site, "edge": edge, "device": device, "reading": content}


def _reading(row: Row[Any]) -> Reading:
    channel, at_ms, value, unit, quality = row.reading
    return Reading(device=row.device, channel=channel, at_ms=at_ms, value=value, unit=unit, quality=Quality(quality))
