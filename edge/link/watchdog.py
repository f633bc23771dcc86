"""Whether a link that is up still carries anything. Pure: seconds are arguments.

Two kinds of deafness. A broker that answers pings and no message: nothing was answered for DEAF_S while something
waited for an answer. And one that answers and passes nothing on, or has forgotten what we subscribed to: no
receipt for longer and longer. The second may as well be a collector that is away, which a new connection doesn't
bring back and doesn't hurt; so it is tried less and less often.
"""

DEAF_S = 30.0
"""A pack of 20 kB needs as long over 1 kB/s."""
FIRST_PATIENCE_S, MOST_PATIENCE_S = 120.0, 3600.0


class Watchdog:
    """Told of every message and answer, asked every second."""

    def __init__(self) -> None:
        self._open = 0
        self._since_s = 0.0
        """The last answer, or the first question after which none came."""
        self._heard_s = 0.0
        self._patience_s = FIRST_PATIENCE_S

    def connected(self, now_s: float) -> None:
        self._since_s = self._heard_s = now_s

    def asked(self, now_s: float) -> None:
        """A message is on its way to the broker."""
        if self._open == 0:
            self._since_s = now_s
        self._open += 1

    def answered(self, now_s: float) -> None:
        """Its answer is here, or will never come."""
        self._open -= 1
        self._since_s = now_s

    def heard(self, now_s: float) -> None:
        """A receipt came."""
        self._heard_s = now_s
        self._patience_s = FIRST_PATIENCE_S

    def look(self, now_s: float, *, waits: bool) -> str | None:
        """Why the link should be renewed, if it should. `waits`: packs are out that have no receipt."""
        if not waits:
            self._heard_s = now_s
        if self._open and now_s - self._since_s >= DEAF_S:
            self._since_s = now_s
            return f"the broker has answered nothing for {DEAF_S:.0f} s"
        if now_s - self._heard_s >= self._patience_s:
            silent_s, self._heard_s = now_s - self._heard_s, now_s
            self._patience_s = min(2 * self._patience_s, MOST_PATIENCE_S)
            return f"no receipt for {silent_s:.0f} s"
        return None
