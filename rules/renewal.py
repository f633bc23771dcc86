"""Looks whether the rule files have changed, and reads them again. A wrong file is refused, and the last good rules go on.

Files are looked at, not subscribed to: that works on every file system, and for files that are moved into their place. What is
being written is left alone until two looks are the same.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from messages.settings import ConfigError
from rules.language.rule import Rules
from rules.rule_files import Look, RuleFiles, news

EVERY_S = 1.0
REMARKS_AFTER_S = 10.0
"""After the start: to look for faults takes longer than to read the rules, and what is overdue goes first."""

log = structlog.get_logger("rules")


class Renewal:
    """One per engine. `run` once; `asked` is set to have them read now, changed or not (SIGHUP)."""

    def __init__(
        self, files: RuleFiles, look: Look, adopt: Callable[[Rules, str], Awaitable[None]], clock_ms: Callable[[], int]
    ) -> None:
        self.asked = asyncio.Event()
        self._files = files
        self._known = look
        """How they lay there when they were read, be it in vain."""
        self._adopt = adopt
        self._clock_ms = clock_ms

    async def run(self, rules: Rules) -> None:
        """Until cancelled. `rules`: those in force."""
        before = self._known
        while True:
            asked = await self._pause()
            look = await asyncio.to_thread(self._files.look)
            if asked or (look != self._known and look == before):
                self._known = look
                rules = await self._read(rules)
            before = look

    async def remark(self) -> None:
        """Say what the rules do that they may not be meant to do."""
        await asyncio.sleep(REMARKS_AFTER_S)
        await self._remark()

    async def _remark(self) -> None:
        year = self._files.calendar.local(self._clock_ms()).year
        for remark in await asyncio.to_thread(self._files.remarks, year):
            log.warning(remark)

    async def _read(self, rules: Rules) -> Rules:
        try:
            found = await asyncio.to_thread(self._files.read)
        except ConfigError as error:
            log.error("the rule files are refused; the last good rules stay in force", why=str(error))
            return rules
        if said := news(rules, found):
            await self._adopt(found, said.words())
            await self._remark()
            return found
        log.info("the rule files were read again; the rules are the same")
        return rules

    async def _pause(self) -> bool:
        """Whether somebody asked."""
        try:
            async with asyncio.timeout(EVERY_S):
                await self.asked.wait()
        except TimeoutError:
            return False
        self.asked.clear()
        return True
