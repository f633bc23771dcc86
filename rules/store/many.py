"""Many rows of one table in one statement, however many they are.

To PostgreSQL they go as one piece of JSON, which it takes apart by itself (`json_populate_recordset`): a message and a plan for each row, and an adapted value for
each of its columns, take several times as long at both ends. SQLite is asked without messages, row by row. So is PostgreSQL for what JSON can't
carry (NUL, half a surrogate pair, an integer beyond 64 bits): there each column mends or refuses what it is given, as for any other statement.

The rows of one call name the same columns. A refused one is an error of all: see `rules.store.refusals`.
"""

import importlib
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal

import orjson
from sqlalchemy import Connection, Executable, Table, and_, bindparam, delete, update
from sqlalchemy import insert as plain_insert

from rules.store.words import Prose, Words, written

Way = Literal["insert", "put", "change", "remove"]

NUL = b"\\u0000"
"""As JSON writes it. PostgreSQL has no room for it in a text."""


def insert(connection: Connection, table: Table, some: Sequence[Mapping[str, Any]]) -> None:
    """New rows."""
    _do(connection, table, "insert", some)


def put(connection: Connection, table: Table, some: Sequence[Mapping[str, Any]]) -> None:
    """Rows by their primary key, whether they were there or not. A column that they don't name is as in a new row."""
    _do(connection, table, "put", some)


def change(connection: Connection, table: Table, some: Sequence[Mapping[str, Any]]) -> None:
    """Set the columns that they name beside their primary key. One that isn't there is left out."""
    _do(connection, table, "change", some)


def remove(connection: Connection, table: Table, keys: Iterable[Sequence[Any]]) -> None:
    """Rows by their primary key, its columns in the table's order."""
    names = [column.name for column in table.primary_key]
    _do(connection, table, "remove", [dict(zip(names, key, strict=True)) for key in keys])


def _do(connection: Connection, table: Table, way: Way, some: Sequence[Mapping[str, Any]]) -> None:
    if not some:
        return
    names = tuple(some[0])
    if connection.dialect.name == "postgresql" and (content := _content(table, names, some)) is not None:
        connection.exec_driver_sql(_together(table, way, names), (content,))
    else:
        connection.execute(_one_by_one(table, way, connection.dialect.name), _given(table, way, some))


def _content(table: Table, names: tuple[str, ...], some: Sequence[Mapping[str, Any]]) -> str | None:
    """The rows as JSON; None if that can't carry them as they are."""
    words = _words(table, names)
    try:
        content = orjson.dumps([_mended(row, words) for row in some] if words else some)
    except TypeError:
        return None
    return None if NUL in content else content.decode()


@lru_cache(maxsize=256)
def _words(table: Table, names: tuple[str, ...]) -> tuple[tuple[str, int | None], ...]:
    """Its columns of free text, and the room in them."""
    kinds = ((name, table.c[name].type) for name in names)
    return tuple(
        (name, kind.impl_instance.length if isinstance(kind, Words) else None)
        for name, kind in kinds
        if isinstance(kind, Words | Prose)
    )


def _mended(row: Mapping[str, Any], words: Iterable[tuple[str, int | None]]) -> Mapping[str, Any]:
    for name, length in words:
        if (text := row[name]) is not None and (mended := written(text, length)) is not text:
            row = {**row, name: mended}
    return row


@lru_cache(maxsize=256)
def _together(table: Table, way: Way, names: tuple[str, ...]) -> str:
    """In PostgreSQL's words. In quotes: some of our columns are called as its keywords are."""
    key = [f'"{column.name}"' for column in table.primary_key]
    quoted = [f'"{name}"' for name in names]
    others = [f'"{column.name}"' for column in table.c if f'"{column.name}"' not in key]
    given = f'json_populate_recordset(NULL::"{table.name}", %s::json) AS given'
    same = " AND ".join(f'"{table.name}".{name} = given.{name}' for name in key)
    if way == "remove":
        return f'DELETE FROM "{table.name}" USING {given} WHERE {same}'  # noqa: S608 names of our own schema
    if way == "change":
        changed = ", ".join(f"{name} = given.{name}" for name in quoted if name not in key)
        return f'UPDATE "{table.name}" SET {changed} FROM {given} WHERE {same}'  # noqa: S608 names of our own schema
    columns = ", ".join(quoted)
    made = f'INSERT INTO "{table.name}" ({columns}) SELECT {columns} FROM {given}'  # noqa: S608 names of our own schema
    if way == "insert":
        return made
    replaced = ", ".join(f"{name} = excluded.{name}" for name in others)
    return f"{made} ON CONFLICT ({', '.join(key)}) DO UPDATE SET {replaced}"


@lru_cache(maxsize=256)
def _one_by_one(table: Table, way: Way, dialect: str) -> Executable:
    """Made once, as in rules.store.rows."""
    key = [column.name for column in table.primary_key]
    same = and_(*(table.c[name] == bindparam(f"its_{name}") for name in key))
    match way:
        case "insert":
            return plain_insert(table)
        case "put":
            made = importlib.import_module(f"sqlalchemy.dialects.{dialect}").insert(table)
            replaced = {column.name: made.excluded[column.name] for column in table.c if column.name not in key}
            put: Executable = made.on_conflict_do_update(index_elements=key, set_=replaced)
            return put
        case "change":
            return update(table).where(same)
        case "remove":
            return delete(table).where(same)


def _given(table: Table, way: Way, some: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows for that. What says which row it is has a name of its own beside what is set."""
    if way in ("insert", "put"):
        return [dict(row) for row in some]
    made = [dict(row) for row in some]
    for column in table.primary_key:
        for row in made:
            row[f"its_{column.name}"] = row.pop(column.name)
    return made
