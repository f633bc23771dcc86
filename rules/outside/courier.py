"""The courier: writes out what webhooks have to tell, asks their receivers on threads of its own, and writes down what they said.

At least once: a row goes after its receiver has taken it, so what a crash cut off is sent again under the same name. In order per case: of each
case one is under way. What the database refuses of one webhook or one delivery rests for a while, and holds up no other.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import structlog

from messages.ids import SiteId
from rules.notices import signing
from rules.notices.channels.base import Failed
from rules.outside import deliveries
from rules.outside.bulletin import SiteOf
from rules.outside.deliveries import Delivery
from rules.outside.hook import Hook
from rules.store.clerk import Clerk
from rules.store.database import Database
from rules.store.refusals import Apart

LOOK_S = 0.5
THREADS = 8
"""A receiver that hangs holds some of them, for some seconds each; red's notices have their own (rules.notices.sender)."""
AGAIN_MS = 60_000
"""When what the database refused is tried again."""
WHOLE = ""
"""In the place of what a delivery is about: all of a webhook."""

log = structlog.get_logger("webhooks")


class Courier:
    """One for each database: `leads` says whether it is this one of several engines. `run` once."""

    def __init__(
        self,
        database: Database,
        hooks: Sequence[Hook],
        site_of: SiteOf,
        clock_ms: Callable[[], int],
        leads: Callable[[], bool] = lambda: True,
        look_s: float = LOOK_S,
    ) -> None:
        self._database = database
        self._hooks = {hook.name: hook for hook in hooks}
        self._site_of = site_of
        self._clock_ms = clock_ms
        self._leads = leads
        self._look_s = look_s
        self._clerk = Clerk("rules-webhooks")
        self._under_way: set[tuple[str, str]] = set()
        self._resting: dict[tuple[str, str], int] = {}
        """Until when a webhook, or what it has to tell of one case, is left alone: the database has refused something of it."""
        self._news = asyncio.Event()
        self._down: set[str] = set()

    async def run(self) -> None:
        """Until cancelled."""
        try:
            with ThreadPoolExecutor(THREADS, "webhooks") as pool:
                async with asyncio.TaskGroup() as tasks:
                    while True:
                        self._news.clear()
                        for one in await self._clerk.insist(self._look) if self._leads() else ():
                            if (one.hook, one.about) not in self._under_way and len(self._under_way) < THREADS:
                                self._under_way.add((one.hook, one.about))
                                tasks.create_task(self._send(one, pool), name="webhook")
                        try:
                            async with asyncio.timeout(self._look_s):
                                await self._news.wait()
                        except TimeoutError:
                            pass
        finally:
            self._clerk.close()

    def _look(self) -> list[Delivery]:
        """Looks before it writes: mostly there is nothing."""
        now_ms, hooks = self._clock_ms(), list(self._hooks.values())
        self._resting = {
            key: until_ms for key, until_ms in self._resting.items() if now_ms < until_ms <= now_ms + AGAIN_MS
        }
        with self._database.reading() as connection:
            behind = deliveries.behind(connection, hooks)
        for hook in behind:
            if (hook.name, WHOLE) not in self._resting:
                self._fill(hook, now_ms)
        with self._database.reading() as connection:
            due = deliveries.due(connection, hooks, now_ms)
        return [one for one in due if (one.hook, one.about) not in self._resting]

    def _fill(self, hook: Hook, now_ms: int) -> None:
        try:
            with self._database.writing() as connection:
                deliveries.fill(connection, hook, self._site_of, now_ms)
        except Exception as error:
            if not self._database.refuses(error):
                raise
            log.error("the database refuses a delivery: they are written one by one", webhook=hook.name)
            with self._database.writing() as connection:
                apart = Apart(connection, now_ms)
                fill = partial(deliveries.fill, connection, hook, self._site_of, now_ms, apart)
                if apart.done(SiteId(""), "webhook", hook.name, fill) is None:
                    self._resting[hook.name, WHOLE] = now_ms + AGAIN_MS

    async def _send(self, one: Delivery, pool: ThreadPoolExecutor) -> None:
        try:
            said = await asyncio.get_running_loop().run_in_executor(pool, self._ask, one)
            await self._clerk.insist(partial(self._end, one, said))
        finally:
            self._under_way.discard((one.hook, one.about))
            self._news.set()

    def _ask(self, one: Delivery) -> Failed | None:
        hook = self._hooks[one.hook]
        headers = signing.headers(hook.key, one.id, self._clock_ms() // 1000, one.body)
        try:
            said = hook.http.ask("POST", hook.url, one.body, {"content-type": one.content_type, **headers})
        except Exception as error:  # a defect of ours must cost no more than this attempt
            log.exception("a webhook fails in a way it should not", webhook=hook.name)
            return Failed(type(error).__name__)
        return said if isinstance(said, Failed) else None

    def _end(self, one: Delivery, said: Failed | None) -> None:
        now_ms = self._clock_ms()

        def end() -> bool:
            if said is not None:
                return deliveries.failed(connection, one, said.why, now_ms, said.throttled_s)
            deliveries.taken(connection, one, now_ms)
            return False

        with self._database.writing() as connection:
            disabled = Apart(connection, now_ms).done(SiteId(""), "answer", f"{one.hook}: {one.id}", end)
        if disabled is None:
            self._resting[one.hook, one.about] = now_ms + AGAIN_MS
        self._say(one.hook, said, disabled=disabled or False)

    def _say(self, hook: str, said: Failed | None, *, disabled: bool) -> None:
        """Changes, not states."""
        if disabled and said:
            log.error("a webhook is disabled; gridcall rules webhooks enable", webhook=hook, why=said.why)
        elif said and hook not in self._down:
            log.warning("a webhook fails", webhook=hook, why=said.why)
        elif said is None and hook in self._down:
            log.info("a webhook works again", webhook=hook)
        self._down = (self._down | {hook}) if said else (self._down - {hook})
