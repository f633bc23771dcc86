"""What all tables belong to. It knows those that were imported: `rules.store.tables` imports them all."""

from typing import Any

from sqlalchemy import Column, Index, MetaData
from sqlalchemy.sql import ColumnElement

metadata = MetaData()

_WHERE = "where"


def partial(
    name: str, *columns: Column[Any], sqlite: ColumnElement[bool], postgresql: ColumnElement[bool], unique: bool = False
) -> Index:
    """An index of some rows: which ones, in the words of each database.

    To an `Index` that is given them at once SQLAlchemy loads both databases' ways, a twentieth of all that a start loads, and only one is used.
    """
    return Index(name, *columns, unique=unique, info={_WHERE: {"sqlite": sqlite, "postgresql": postgresql}})


def told_for(index: Index, dialect: str) -> Index:
    """The same, which knows its rows now; to be made in that database."""
    if where := index.info.get(_WHERE):
        index.dialect_options[dialect]["where"] = where[dialect]
    return index
