"""What the collector says of itself on the wire, so that a breach of the ledger is an alarm like any other. Pure.

One device for each edge whose ledger it keeps, and one in each site for itself. The collector is the "edge" of these devices: no
edge may be called so.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from collector.watch.ledger import Balance, EdgeKey
from messages import announcement, pack, topics
from messages.announcement import OWN_MODEL, Announcement, Place
from messages.ids import COLLECTOR, DeviceId, SiteId, ledger_of
from messages.reading import Reading

LEDGER_KIND, OWN_KIND = "edge_ledger", "collector"
NEARLY_FULL = 80.0
"""% of the quarantine."""
WHY_LIMIT = 500
Message = tuple[str, bytes, bool]
"""Topic, payload, retained."""


def announced(edge: EdgeKey, place: Place) -> Message:
    said = Announcement(kind=LEDGER_KIND, model=OWN_MODEL, place=place)
    return topics.announcement(edge[0], COLLECTOR, ledger_of(edge[1])), announcement.encode(said), True


def said(edge: EdgeKey, balance: Balance, at_ms: int) -> Message:
    device = ledger_of(edge[1])
    readings = [
        Reading(device=device, channel="balanced", at_ms=at_ms, value=balance.breach is None),
        Reading(device=device, channel="missing_packs", at_ms=at_ms, value=float(balance.missing_packs), unit="count"),
        Reading(device=device, channel="why", at_ms=at_ms, value=balance.breach or ""),
    ]
    return topics.readings(edge[0], COLLECTOR), pack.encode_unnumbered(readings), False


@dataclass(frozen=True, slots=True)
class State:
    """How a collector is."""

    away: str
    """Why the store takes nothing; empty while it does."""
    locked_out: bool
    too_small: Sequence[str]
    """What of the broker is."""
    quarantine_used: float
    """%."""

    @property
    def grave(self) -> tuple[object, ...]:
        """A change of this is said at once."""
        return bool(self.away), self.locked_out, tuple(self.too_small), self.quarantine_used >= NEARLY_FULL


def announced_itself(site: SiteId, name: str) -> Message:
    said = Announcement(kind=OWN_KIND, model=OWN_MODEL, place=Place(grid="unknown", text=name))
    return topics.announcement(site, COLLECTOR, DeviceId(name)), announcement.encode(said), True


def said_of_itself(site: SiteId, name: str, state: State, at_ms: int) -> Message:
    why = "; ".join([*([state.away] if state.away else []), *state.too_small])
    device = DeviceId(name)
    readings = [
        Reading(device=device, channel="store_takes", at_ms=at_ms, value=not state.away),
        Reading(device=device, channel="locked_out", at_ms=at_ms, value=state.locked_out),
        Reading(device=device, channel="broker_fits", at_ms=at_ms, value=not state.too_small),
        Reading(device=device, channel="quarantine_used", at_ms=at_ms, value=state.quarantine_used, unit="%"),
        Reading(device=device, channel="why", at_ms=at_ms, value=printable(why)[:WHY_LIMIT]),
    ]
    return topics.readings(site, COLLECTOR), pack.encode_unnumbered(readings), False


def printable(text: str) -> str:
    """A database's words may hold anything; a reading that is a text may not."""
    return "".join(character if character.isprintable() else " " for character in text)
