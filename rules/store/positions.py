"""Positions in the log: the last one, that of a line, and whether one lies in it. Inside the caller's transaction.

A number alone says nothing: a database that was set back to a copy gives the same numbers to other lines. So each line carries a random
mark of the transaction that wrote it. Lines from before there were marks go under the mark of the database, which is as old as its tables.
"""

from sqlalchemy import Connection, select

from rules.records import Position
from rules.store.schema.log import counters, log


def end(connection: Connection) -> Position:
    """Of the last line."""
    last = connection.execute(select(log.c.seq, log.c.mark).order_by(log.c.seq.desc()).limit(1)).one_or_none()
    return _written(connection, last.seq, last.mark) if last else Position(life(connection), 0)


def at(connection: Connection, seq: int) -> Position | None:
    """Of a line; 0 is before the first one."""
    if seq == 0:
        return Position(life(connection), 0)
    line = connection.execute(select(log.c.mark).where(log.c.seq == seq)).one_or_none()
    return _written(connection, seq, line.mark) if line else None


def holds(connection: Connection, position: Position) -> bool:
    """Whether it lies in this log, and so all that came before it."""
    return at(connection, position.seq) == position


def life(connection: Connection) -> str:
    """The mark of the database itself."""
    return f"{connection.scalar(select(counters.c.value).where(counters.c.name == 'life')) or 0:x}"


def _written(connection: Connection, seq: int, mark: int | None) -> Position:
    return Position(life(connection) if mark is None else f"{mark:x}", seq)
