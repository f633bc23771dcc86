"""Which timers may fire while messages keep coming: those for which all that had arrived when they were due is heard. Pure.

A mark is laid behind what is unread at some moment after a timer became due. When everything before the mark is heard, a word that would have
ended the timer has ended it, and what is due up to that moment fires, whatever has arrived since. A stream that never pauses delays a timer by
one batch, not until it pauses.
"""

from dataclasses import dataclass

PATIENCE_MS = 1_000
"""What lies before a mark and isn't heard within this time holds no timer up any longer: so much can't be heard in time."""


@dataclass(slots=True)
class Mark:
    """One per reader of the inbox."""

    heard_until_ms: int = -1
    """What had arrived by then is heard, or was taken to be heard before anything fires."""
    _lies_at_ms: int | None = None
    _since_ms: int | None = None
    """When we first wanted one; kept where it can't be laid at once."""
    _unread: int = 0
    """Before the mark."""

    def is_wanted(self, due_ms: int | None, now_ms: int) -> bool:
        """Whether a timer is due, and no mark lies. `due_ms`: when the first one is; another one may be due since it was."""
        self.heard_until_ms = min(self.heard_until_ms, now_ms)  # the clock may have been set back
        if self._lies_at_ms is not None:
            return False
        if due_ms is None or due_ms > now_ms:
            self._since_ms = None
            return False
        return True

    def lay(self, unread: int | None, now_ms: int) -> None:
        """Behind what was unread at `now_ms`. None: nobody can say how much that is; ask again."""
        if self._since_ms is None or self._since_ms > now_ms:
            self._since_ms = now_ms
        if unread is not None:
            self._lies_at_ms, self._unread = now_ms, unread
            self.take(0)

    def take(self, messages: int) -> None:
        """So many were taken out of the inbox, to be heard now."""
        if self._lies_at_ms is not None:
            self._unread -= messages
            if self._unread <= 0:
                self._passed(self._lies_at_ms)

    def give_up(self, now_ms: int) -> None:
        """What has waited for longer than PATIENCE_MS is waited for no more."""
        if self._since_ms is not None and now_ms - self._since_ms > PATIENCE_MS:
            self._passed(self._since_ms if self._lies_at_ms is None else self._lies_at_ms)

    def _passed(self, until_ms: int) -> None:
        self.heard_until_ms = max(self.heard_until_ms, until_ms)
        self._lies_at_ms = self._since_ms = None
