"""One forced flush for all who wrote before it began."""

import threading
from collections.abc import Callable


class Commits:
    """Any thread. `flush` makes durable whatever was written before it began, and blocks until it is."""

    def __init__(self, flush: Callable[[], None]) -> None:
        self._flush = flush
        self._turn = threading.Lock()
        self._begun = self._done = 0

    def durable(self) -> None:
        """Returns when everything is that this thread has written. Raises what `flush` raises."""
        before = self._begun
        with self._turn:
            if self._done > before:  # one that began after our write has ended meanwhile
                return
            self._begun += 1
            self._flush()
            self._done = self._begun
