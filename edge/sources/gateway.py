"""A gateway that stands between the local broker and devices: what it says of itself, and what is heard through it.

Whatever is newer counts. A gateway whose broker has kept an old "offline" is there as soon as one of its devices speaks; and that it says
"online" proves nothing for later: a gateway that hangs is found by the silence of its devices (edge.health.figures).
"""

import asyncio
from collections.abc import Callable

import structlog

from edge.vitals import Vitals
from messages.language import NOTHING, phrase

OFFLINE = phrase("it says that it is offline")
STEADY_S = 40.0
"""How long its "online" must stand before it counts, if no device speaks earlier: one that dies at every start is away all the while. With
the time of a restart it is less than the minute that a line may be away before somebody is called (rules/library/edge_line.toml)."""

log = structlog.get_logger("gateway")


class Gateway:
    """`vitals` is its line, which its words change. `changed` is called when it is there again, or no more."""

    def __init__(self, vitals: Vitals, changed: Callable[[], None] = lambda: None) -> None:
        self.vitals = vitals
        self._changed = changed
        self._online: bool | None = None
        """Its last word; None without one."""
        self._said_nonsense = False
        self._back: asyncio.TimerHandle | None = None

    def says(self, online: bool | None, now_ms: int, *, kept: bool) -> None:
        """Its own word of itself; None is one that nobody understands. `kept`: the broker had it, for an unknown while."""
        if online is None:
            self._is_garbled()
            return
        news, self._online, self._said_nonsense = online is not self._online, online, False
        if kept and not news:
            return  # the same old word at every connect: its devices may have spoken since
        self._wait_no_more()
        if not online:
            if self.vitals.falls_mute(OFFLINE):
                log.warning("gateway is away", gateway=self.vitals.name, why=str(OFFLINE))
                self._changed()
        elif self.vitals.mute:
            self._back = asyncio.get_running_loop().call_later(STEADY_S, self._is_back)
        elif not kept:
            self.vitals.speaks(now_ms)

    def heard(self, now_ms: int) -> None:
        """A device spoke through it just now."""
        if self.vitals.mute:
            self._is_back()
        self.vitals.speaks(now_ms)

    def _is_back(self) -> None:
        self._wait_no_more()
        self.vitals.mute = NOTHING
        log.info("gateway is back", gateway=self.vitals.name)
        self._changed()

    def _wait_no_more(self) -> None:
        if self._back:
            self._back.cancel()
        self._back = None

    def _is_garbled(self) -> None:
        self.vitals.strays += 1
        if not self._said_nonsense:
            self._said_nonsense = True
            log.warning("gateway says what can't be read", gateway=self.vitals.name)
