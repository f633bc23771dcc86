"""How far a dry run has come, on a terminal; and Ctrl-C, which ends it early and keeps what was judged."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from messages.language import Language, phrase
from messages.settings import duration_words

SAY_EVERY_S = 2.0


@dataclass(slots=True)
class Progress:
    """One per run, in the main thread."""

    language: Language
    clock_s: Callable[[], float]
    stopped: bool = False
    """Somebody has pressed Ctrl-C. Pressed again, it is as without us."""
    _said_s: float = 0.0
    _began_s: float = 0.0

    def told(self, share: float, count: int) -> bool:
        """Say how far it is; whether to go on."""
        if self.clock_s() - self._said_s > SAY_EVERY_S:
            self._said_s = self.clock_s()
            left_s = (self.clock_s() - self._began_s) * (1 - share) / max(share, 1e-6)
            left = duration_words(round(left_s / 10) * 10)
            said = phrase("{share:4.0%}, {count} readings, {left} to go", share=share, count=count, left=left)
            self._write(f"\r\033[K{said.said(self.language)}")
        return not self.stopped

    @contextmanager
    def shown(self) -> Iterator[None]:
        before = signal.signal(signal.SIGINT, self._stop)
        self._began_s = self.clock_s()
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)
            self._write("\r\033[K")

    def _stop(self, *_: object) -> None:
        if self.stopped:
            raise KeyboardInterrupt
        self.stopped = True

    def _write(self, text: str) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(text)
            sys.stderr.flush()
