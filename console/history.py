"""The collector's history for the charts, on a thread of its own and never waited for longer than a glance.

A store may be used from one thread at a time, and one that is away may take its time to say so. The page with the
buttons must not wait for it: it is shown without its charts, and says why.
"""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from concurrent.futures import TimeoutError as StillReading
from dataclasses import dataclass
from typing import TypeVar

import structlog

from collector.stores.base import Sample, Store, StoreError
from messages.ids import DeviceId, SiteId
from messages.reading import Reading

PATIENCE_S = 1.5
MOST_WAITING = 8
MOST_SAMPLES = 600

T = TypeVar("T")

log = structlog.get_logger("history")


@dataclass(frozen=True, slots=True)
class Wish:
    """One channel over one stretch of time, both ends included."""

    site: SiteId
    device: DeviceId
    channel: str
    from_ms: int
    to_ms: int


class History:
    """Reads of one store. `series` may be called from any thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="history")
        self._waiting: set[Future[list[Sample]] | Future[list[Reading]]] = set()
        self._away = False

    def series(self, wishes: Sequence[Wish]) -> list[list[Sample] | None]:
        """The samples of each wish; None where the store could not give them in time."""
        asked = [self._ask(wish) for wish in wishes]
        wait([future for future in asked if future], PATIENCE_S)
        return [self._answer(future) if future else None for future in asked]

    def latest(self, site: SiteId, device: DeviceId) -> list[Reading] | None:
        """The newest reading of each channel; None where the store could not give them in time."""
        if len(self._waiting) >= MOST_WAITING:
            return None
        future = self._thread.submit(self._store.latest, site, device)
        self._waiting.add(future)
        future.add_done_callback(self._waiting.discard)
        wait([future], PATIENCE_S)
        return self._answer(future)

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _ask(self, wish: Wish) -> Future[list[Sample]] | None:
        if len(self._waiting) >= MOST_WAITING:
            return None
        future = self._thread.submit(
            self._store.series, wish.site, wish.device, wish.channel, wish.from_ms, wish.to_ms, most=MOST_SAMPLES
        )
        self._waiting.add(future)
        future.add_done_callback(self._waiting.discard)
        return future

    def _answer(self, future: Future[list[T]]) -> list[T] | None:
        try:
            found = future.result(0)
        except StillReading:
            future.cancel()
            self._say(away=True, why=f"no answer in {PATIENCE_S} s")
            return None
        except StoreError as error:
            self._say(away=True, why=str(error))
            return None
        self._say(away=False)
        return found

    def _say(self, *, away: bool, why: str = "") -> None:
        if away and not self._away:
            log.warning("the history can't be read", why=why)
        elif self._away and not away:
            log.info("the history can be read again")
        self._away = away
