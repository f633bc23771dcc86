"""Personal data goes when its time is over: each day while the console runs, if `forget_after_days` is set, and by command."""

import asyncio
import sqlite3
from collections.abc import Callable
from dataclasses import asdict

import structlog

from console.access.journal import Line
from console.access.tables import DAY_MS
from console.accounts import Accounts
from rules.desk import Desk
from rules.store.database import DatabaseAway

EVERY_S = 86_400
AGAIN_S = 600
"""After a failure."""

log = structlog.get_logger("console")


def forget(desk: Desk, accounts: Accounts, days: int, now_ms: int, actor: str) -> dict[str, int]:
    """Erase what is older than so many days. How much, by sort; the journal says so too. Raises DatabaseAway, OSError, sqlite3.Error."""
    before_ms = now_ms - days * DAY_MS
    erased = {**asdict(desk.forget(before_ms)), "journal": accounts.forget(before_ms)}
    if any(erased.values()):
        said = " ".join(f"{sort} {count}" for sort, count in erased.items())
        accounts.note(Line(at_ms=now_ms, event="personal.forgotten", actor=actor, detail=f"{days} d: {said}"))
    return erased


async def forgetting(desk: Desk, accounts: Accounts, days: int | None, clock_ms: Callable[[], int]) -> None:
    """Until cancelled."""
    while days is not None:
        try:
            erased = await asyncio.to_thread(forget, desk, accounts, days, clock_ms(), "console")
        except (DatabaseAway, OSError, sqlite3.Error) as error:
            log.warning("what is personal could not be erased; trying again", why=str(error))
            await asyncio.sleep(AGAIN_S)
        else:
            if any(erased.values()):
                log.info("what is personal was erased after its time", **erased)
            await asyncio.sleep(EVERY_S)
