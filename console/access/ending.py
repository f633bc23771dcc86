"""The end of streams whose login has ended, or counts for other places now: also where that was done in another process of the console, or by the
command. What ended a login in this one has ended its streams at once."""

import asyncio
import sqlite3

from console.accounts import Accounts
from console.feed import Feed

LOOK_EVERY_S = 1.0


async def watching(feed: Feed, accounts: Accounts) -> None:
    """Until cancelled. A file that can't be read now keeps nobody from the alarms: a stream ends by itself within a minute or so."""
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        if not (owners := feed.owners()):
            continue
        try:
            standing = await asyncio.to_thread(accounts.standing)
        except sqlite3.Error:
            continue
        for owner, scope in owners:
            if standing.get(owner) != scope:
                feed.drop(owner)
