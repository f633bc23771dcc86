"""From when on overdue timers fire after a start: what was said while nobody listened comes before what became due. Pure.

It is over when the history has told all that was missed and the broker's mail is read: nothing comes any more over a connection that is up, or
what comes was said after it was. Whoever has no answer is not waited for, beyond SETTLE_MS.
"""

from dataclasses import dataclass

SETTLE_MS = 1_500
"""The longest wait."""

QUIET_MS = 250
"""So long without a message over a connection that stands: the broker has no mail left. Each comes at the acknowledgement of another."""


@dataclass(slots=True)
class Settling:
    """`ends_at_ms`: timers fire from then on."""

    ends_at_ms: int

    @classmethod
    def begun(cls, now_ms: int) -> "Settling":
        return cls(now_ms + SETTLE_MS)

    def over(self, now_ms: int) -> None:
        """The history has answered, and the broker has been silent for QUIET_MS, or tells what was said after we came back."""
        self.ends_at_ms = min(self.ends_at_ms, now_ms)

    def lasts(self, now_ms: int) -> bool:
        """Not for an hour because the clock was set back by one; but a clock that goes back by as little as one may while it is slewed ends nothing."""
        return now_ms < self.ends_at_ms <= now_ms + 2 * SETTLE_MS

    def may_fire(self, due_ms: int | None, heard_until_ms: int, now_ms: int) -> bool:
        """Whether timers fire now. `heard_until_ms`: what had arrived by then is heard (rules.shell.mark)."""
        return due_ms is not None and due_ms <= min(heard_until_ms, now_ms) and not self.lasts(now_ms)

    def owes(self, due_ms: int | None, now_ms: int) -> bool:
        """Whether something that was overdue when it ended has still to fire. `due_ms`: when the oldest timer is due."""
        return self.lasts(now_ms) or (due_ms is not None and due_ms <= min(self.ends_at_ms, now_ms))

    def wait_ms(self, due_ms: int | None, most_ms: int, now_ms: int) -> int:
        """How long messages may be waited for."""
        if self.lasts(now_ms):
            most_ms = min(most_ms, QUIET_MS)
            due_ms = None if due_ms is None else max(due_ms, self.ends_at_ms)
        return most_ms if due_ms is None else min(most_ms, max(0, due_ms - now_ms))
