"""A database that refuses some rows, as it does what it has no room for: whatever the reason, the engine sees the same."""

from sqlalchemy import text

from rules.store.database import Database


def refuse(database: Database, table: str, condition: str) -> None:
    """Rows of `table` of which `condition` is true are written no more. Its columns stand in it in braces."""
    with database.writing() as connection:
        if connection.dialect.name == "postgresql":
            plain = condition.replace("{", "").replace("}", "")
            connection.execute(
                text(f"ALTER TABLE {table} ADD CONSTRAINT refused_{table} CHECK (NOT ({plain})) NOT VALID")
            )
            return
        new = condition.replace("{", "NEW.").replace("}", "")
        for event in ("INSERT", "UPDATE"):
            connection.execute(
                text(
                    f"CREATE TRIGGER refused_{table}_{event} BEFORE {event} ON {table} WHEN {new} "
                    "BEGIN SELECT RAISE(ABORT, 'refused'); END"
                )
            )


def accept(database: Database, table: str) -> None:
    """Everything again."""
    with database.writing() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"ALTER TABLE {table} DROP CONSTRAINT refused_{table}"))
            return
        for event in ("INSERT", "UPDATE"):
            connection.execute(text(f"DROP TRIGGER refused_{table}_{event}"))
