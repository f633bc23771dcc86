"""What time, people and the plant make of an open alarm, beside its own rule: the overlays that it should have now. Pure.

The engine looks once a second, and whenever an alarm is raised: each open alarm against what is around it. Nothing else ends a shelf, a
permit or maintenance, so a restart loses none of them: what became due meanwhile is found by the first look.
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field

from messages.alarm import Level
from messages.announcement import Place
from messages.ids import DeviceId, EdgeId, SiteId
from rules.alarms.condition import ACTIVE, AlarmEvent
from rules.alarms.figures import SHIPPED, Figures
from rules.alarms.overlays.hold import Hold, What
from rules.alarms.standing import (
    Age,
    Doubt,
    Event,
    Move,
    PutBack,
    Settle,
    Shelve,
    Standing,
    Suppress,
    TakeOut,
    Trust,
    Unshelve,
    Unsuppress,
)

SWEEP_MS = STALE_MS = 24 * 3_600_000
"""Section 4 of the field notes."""

AHEAD_MS = 60_000
"""What has changed so far after now did so before the server's clock was set back."""

LINKS = frozenset({"device_link", "edge_line"})
"""Kinds by which an edge says what it doesn't hear. When it is itself away, that is one situation and these are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """An open alarm, as far as this module asks."""

    id: str
    site: SiteId
    edge: EdgeId
    """Who spoke of the device when it was raised."""
    device: DeviceId
    kind: str
    rule: str
    level: Level
    place: Place
    standing: Standing
    since_ms: int
    """When it last began, by the readings' time."""
    flapped_at_ms: int
    """When its rule last raised or cleared it, by the server's."""
    case: str | None = None
    unfinished: bool = False
    """Its case is not closed."""
    taken: bool = False
    """Somebody has taken its case up."""


@dataclass(frozen=True, slots=True)
class Parent:
    """An active alarm that gathers others, as a storm does its water alarms."""

    id: str
    site: SiteId
    word: str
    """The rule's name, e.g. "storm"."""
    gathers: tuple[str, ...]
    """"kind.rule" of its children, or "kind.*"."""
    case: str | None = None

    @property
    def cause(self) -> str:
        return f"{self.word} {self.id}"


@dataclass(frozen=True, slots=True)
class Around:
    """What is around the alarms of some sites."""

    holds: Sequence[Hold] = ()
    away: Set[tuple[SiteId, EdgeId]] = frozenset()
    """Edges that are not connected."""
    guessing: Set[tuple[SiteId, EdgeId]] = frozenset()
    """Edges whose clock isn't trusted."""
    tellers: Mapping[tuple[SiteId, DeviceId], Sequence[EdgeId]] = field(default_factory=dict)
    silent: Set[tuple[SiteId, EdgeId, DeviceId]] = frozenset()
    """Devices that say nothing for longer than they may, and the edge that should hear them."""
    parents: Sequence[Parent] = ()


def due(alarm: Watched, around: Around, now_ms: int, figures: Figures = SHIPPED) -> list[Event]:
    """What has to happen to the alarm. What comes over it comes before what goes, so that it doesn't ring in between."""
    events = [*_paused(alarm, around, now_ms), *_suppressed(alarm, around, now_ms), *_doubted(alarm, around)]
    order = (Shelve, TakeOut, Suppress, Doubt)
    return [
        *sorted(events, key=lambda event: not isinstance(event, order)),
        *_aged(alarm, now_ms, figures),
    ]


def _paused(alarm: Watched, around: Around, now_ms: int) -> Iterator[Event]:
    over = alarm.standing.overlays
    shelf = _latest(alarm, around, What.SHELF, now_ms)
    if shelf and over.shelved != shelf.pause:
        yield Shelve(shelf.pause)
    elif shelf is None and over.shelved:
        yield Unshelve("over")
    service = _latest(alarm, around, What.SERVICE, now_ms)
    if service and over.out_of_service != service.pause:
        yield TakeOut(service.pause)
    elif service is None and over.out_of_service:
        yield PutBack("over")


def _latest(alarm: Watched, around: Around, what: What, now_ms: int) -> Hold | None:
    """Of what lies over it, that which lasts longest."""
    found = [hold for hold in _over(alarm, around, now_ms) if hold.what is what]
    return max(found, key=lambda hold: (hold.until_ms, hold.id), default=None)


def _over(alarm: Watched, around: Around, now_ms: int) -> Iterator[Hold]:
    for hold in around.holds:
        if hold.lasts(now_ms) and hold.covers(alarm.site, alarm.device, alarm.rule, alarm.place):
            yield hold


def _suppressed(alarm: Watched, around: Around, now_ms: int) -> Iterator[Event]:
    wanted = set(_causes(alarm, around, now_ms))
    known = set(alarm.standing.overlays.suppressed)
    yield from (Suppress(cause) for cause in sorted(wanted - known))
    yield from (Unsuppress(cause) for cause in sorted(known - wanted))


def _causes(alarm: Watched, around: Around, now_ms: int) -> Iterator[str]:
    if alarm.standing.guards:
        return
    yield from (hold.cause for hold in _over(alarm, around, now_ms) if hold.what is What.PERMIT)
    if alarm.kind in LINKS and (alarm.site, alarm.edge) in around.away:
        yield f"edge {alarm.edge}"
    if alarm.level != "red":  # guarantee 9: no flood delays a red one
        yield from (parent.cause for parent in parents_of(alarm, around.parents))


def parents_of(alarm: Watched, parents: Sequence[Parent]) -> Iterator[Parent]:
    """Those that gather it. An alarm whose own case somebody has taken up already is left to that person."""
    names = {f"{alarm.kind}.{alarm.rule}", f"{alarm.kind}.*"}
    for parent in parents:
        ours = parent.site == alarm.site and parent.id != alarm.id and not names.isdisjoint(parent.gathers)
        if ours and (not alarm.taken or alarm.case == parent.case):
            yield parent


def _doubted(alarm: Watched, around: Around) -> Iterator[Event]:
    known = set(alarm.standing.overlays.uncertain)
    wanted = set(_doubts(alarm, around)) if alarm.standing.state in ACTIVE else known
    yield from (Doubt(reason) for reason in sorted(wanted - known))
    yield from (Trust(reason) for reason in sorted(known - wanted))


def _doubts(alarm: Watched, around: Around) -> Iterator[str]:
    """A device that several edges speak of is known as long as one of them hears it."""
    edges = [(alarm.site, edge) for edge in around.tellers.get((alarm.site, alarm.device), ())]
    if not edges:
        return
    if all(edge in around.away for edge in edges):
        yield "edge"
    if all((*edge, alarm.device) in around.silent for edge in edges):
        yield "silent"
    if all(edge in around.guessing for edge in edges):
        yield "clock"


def _aged(alarm: Watched, now_ms: int, figures: Figures) -> Iterator[Event]:
    standing = alarm.standing
    if standing.state not in ACTIVE:
        return
    if standing.overlays.chattering and now_ms - alarm.flapped_at_ms >= figures.chatter.quiet * 1000:
        yield Settle()
    if not standing.overlays.stale and now_ms - alarm.since_ms >= STALE_MS:
        yield Age()
    waited_ms = now_ms - standing.condition.changed_at_ms
    set_back = (
        alarm.level == "red" and waited_ms < -AHEAD_MS
    )  # by a clock that was right then: red rings early rather than late
    waited = set_back or waited_ms >= figures.realarm.after_ms(alarm.level)
    if alarm.unfinished and standing.active and waited:
        yield Move(AlarmEvent.REALARMED, detail="its case is unfinished")
