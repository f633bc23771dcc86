"""Copies of a rules' database, and the way back to one, as the README says it."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import make_url


def file_of(url: str) -> Path:
    return Path(make_url(url).database or "")


def back_up(file: Path, to: Path) -> None:
    """While everything runs."""
    with closing(sqlite3.connect(file)) as live, closing(sqlite3.connect(to)) as copy:
        live.backup(copy)


def restore(backup: Path, file: Path) -> None:
    """As somebody does while the engine is stopped."""
    for more in ("-wal", "-shm"):
        file.with_name(file.name + more).unlink(missing_ok=True)
    os.replace(backup, file)
