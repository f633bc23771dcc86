"""What a batch of messages makes of what is known. Facts in, changes out: no clock, no database.

A `Work` lies over the memory (rules.engine.memory): messages go into the work, the work is written in one transaction
(`rules.store.facts`), and only then does the memory adopt it. A work that was never written never happened.

Every edge speaks for itself: what a device is, is kept by the edge that announced it, and readings are heard from any
edge that did, by its own word of kind, place and settings. The state of a rule belongs to the device, whoever speaks of it; but what was
raised by one kind no rule of another kind ends. That two edges disagree is an alarm of the site (`disputed`).
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import repeat

from messages import ranges
from messages.announcement import Announcement
from messages.ids import COLLECTOR, DeviceId, EdgeId, SiteId, ledger_of
from messages.reading import Reading
from rules.engine import count, gap, overdue, own, reports
from rules.engine import stream as streams
from rules.engine.draft import Draft
from rules.engine.enquiry import ask_around
from rules.engine.found import Audited
from rules.engine.hearing import hear, in_order
from rules.engine.judgement import abandon, give_up, look_again, renewed_watch
from rules.engine.memory.plant import Device, Edge, EdgeKey, StreamKey
from rules.engine.memory.watch import Watch
from rules.engine.overdue import FOUND_AT_ONCE, WAKE_AT_ONCE
from rules.engine.reports import count_away, speak
from rules.engine.skew import heard
from rules.engine.skew import stepped as after_step
from rules.engine.strangers import awaited
from rules.engine.stream import Stream
from rules.language.evaluation import stepped
from rules.language.state import NEW

STREAMS_PER_EDGE = 16
"""An edge begins a new stream with each new outbox; of more than these, the one unused for longest is forgotten."""


@dataclass(slots=True)
class Work(Draft):
    """What came in, and what it changes. To be written whole. These are the words that can be said to a draft."""

    def collect(self, site: SiteId, edge: EdgeId, readings: Iterable[Reading]) -> None:
        """Readings of a message of this batch; they are heard when it is settled."""
        self.pending += zip(repeat(site), repeat(edge), readings, strict=False)

    def collect_pack(self, stream: StreamKey, number: int, readings: Sequence[Reading], now_ms: int) -> None:
        """The readings of pack `number`, which was not heard; as `collect`."""
        last = self.last_heard(stream)
        if number <= last or (number == last + 1 and stream not in self.ahead and gap.open_gap(self, stream) is None):
            self.collect(*stream[:2], readings)
            self.heard(stream, number, now_ms)
        else:
            self.said(stream, number, now_ms)
            self.ahead.setdefault(stream, {})[number] = readings

    def settle(self, now_ms: int) -> None:
        """Hear what was collected, in the order of its own time: the order of the batch's packs is an accident."""
        if self.ahead:
            gap.sort(self, now_ms)
        if self.pending:
            pending, self.pending = self.pending, []
            hear(self, in_order(pending), now_ms)
        if self.ahead:
            gap.hear_ahead(self, now_ms)
        if self.clearer:
            look_again(self, now_ms)

    def announce(self, site: SiteId, edge: EdgeId, device_id: DeviceId, said: Announcement, now_ms: int) -> bool:
        """An edge says what a device is; readings that waited for this are heard now. False: there is no room."""
        device = Device(
            site=site,
            edge=edge,
            id=device_id,
            kind=said.kind,
            model=said.model,
            place=said.place,
            settings=said.settings,
        )
        teller = (site, edge, device_id)
        before = self.device(teller)
        if before != device:
            self.settle(now_ms)  # what was said before this word was said of the device as it was
            gap.give_up_all(self, now_ms, (site, edge))
        if before is None:
            if not self.has_room((site, edge)):
                return False
            self.shared += [(device, other) for other in self.told(site, device_id)[:1]]
        if before != device:
            self.devices[teller] = device
        if before is None or before.kind != device.kind:
            self.look_for_rivals(device)
            self.silent_from[teller] = now_ms + self.facts.patience_ms(device.kind)
        if before is not None and before.kind != device.kind:
            abandon(self, before, f"it is a {device.kind} now")
        if before != device:
            count.move(self, device)
        if device.kind == "edge_agent" and self.device((site, own.ENGINE, own.link_of(edge))):
            speak(self, site, own.link_of(edge), own.link_announced(edge, device.place), ())
        self.hear(site, edge, awaited(self, teller), now_ms)
        return True

    def withdraw(self, site: SiteId, edge: EdgeId, device_id: DeviceId, now_ms: int) -> None:
        """An edge no longer speaks of a device; what others say of it stays."""
        self.settle(now_ms)
        gap.give_up_all(self, now_ms, (site, edge))
        teller = (site, edge, device_id)
        if (before := self.device(teller)) is not None:
            self.devices[teller] = self.silent_from[teller] = None
            abandon(self, before, f"{edge} has withdrawn the device")

    def renew(self, now_ms: int, sites: Collection[SiteId] | None = None) -> None:
        """After a start, or when other rules came into force: what runs goes on as it was, what doesn't is judged by the new
        rules from now on, and what no rule is there for is given up. `sites`: of these alone."""
        settled = self.facts.settled()
        for key, watched in self.facts.watches.items():
            if key in settled or (sites is not None and key[0] not in sites):
                continue
            site, device, name = key
            watch = Watch(*watched)
            if watch.state == NEW:
                continue
            known = (rule for one in self.told(site, device) for rule in self.rules_of(one) if rule.id == name)
            if (rule := next(known, None)) is None:
                give_up(self, site, device, name, "there is no such rule for it any more")
            elif watch.version != rule.version:
                self.watches[site, device, name] = renewed_watch(rule, watch, now_ms)

    def step(self, by_ms: int, sites: Collection[SiteId], now_ms: int) -> None:
        """The server's clock was set by `by_ms`, to `now_ms`: all that waits for a time waits as long as it would have."""
        self.stepped = by_ms, frozenset(sites)
        for key, (state, wake_at_ms, teller, version) in self.facts.watches.items():
            if wake_at_ms is not None:
                self.watches[key] = (stepped(state, by_ms, now_ms), wake_at_ms + by_ms, teller, version)
        for edge, one in self.facts.edges.items():
            self.edges[edge] = replace(one, skew=after_step(one.skew, by_ms, now_ms))
        # what they were before a gap is known by the old clock: to be written without it
        self.watches |= {key: self.watched(key) for key in gap.hasty(self)}
        self.beyond |= {stream: beyond.moved(by_ms) for stream, beyond in self.facts.beyond.items()}
        self.silent_from |= {teller: from_ms + by_ms for teller, from_ms in self.facts.silent_from.items()}

    def status(
        self,
        site: SiteId,
        edge: EdgeId,
        *,
        online: bool,
        at_ms: int,
        now_ms: int,
        by_edge: bool = True,
        clock_trusted: bool = True,
        clock_ms: int | None = None,
        kept: bool = False,
    ) -> None:
        """An edge came, went, or said again that it is there. `by_edge`: in its own words, not in the broker's. `clock_ms`: what its clock
        showed, right or wrong. `kept`: the broker keeps it, it is the edge's newest word."""
        known = self.edge((site, edge))
        if known is None or known.online != online:
            last_ms = known.last_reading_at_ms if known else None
            self.edges[site, edge] = Edge(online, at_ms, last_ms, clock_trusted, known.skew if known else None)
            count_away(self, site, now_ms)
        elif known.clock_trusted != clock_trusted:
            self.edges[site, edge] = replace(known, clock_trusted=clock_trusted)
        if clock_ms is not None:
            one = self.edges.get((site, edge)) or self.facts.edges[site, edge]
            before_ms = known.behind_ms if known else 0
            skew = heard(known.skew if known else None, clock_ms, now_ms, kept=kept and online)
            self.edges[site, edge] = one = replace(one, skew=skew)
            if one.behind_ms > before_ms:
                self.clearer.add((site, edge))
            at_ms = min(now_ms, at_ms + one.behind_ms)
        link = self.device((site, own.ENGINE, own.link_of(edge)))
        said = own.link_said(edge, online=online, said_ms=at_ms if by_edge else None, now_ms=now_ms)
        speak(self, site, own.link_of(edge), own.link_announced(edge, link.place if link else None), said)

    def forget(self, site: SiteId, edge: EdgeId, now_ms: int) -> None:
        """An edge is gone for good, and all that was known of it with it; what other edges say of its devices stays."""
        self.settle(now_ms)
        its = [key for key in {**self.facts.devices, **self.devices} if key[:2] == (site, edge)]
        for teller in (*its, (site, own.ENGINE, own.link_of(edge)), (site, COLLECTOR, ledger_of(edge))):
            if (before := self.device(teller)) is not None:
                self.devices[teller] = self.silent_from[teller] = None
                abandon(self, before, f"{edge} is gone")
        for teller in [key for key in {**self.facts.waiting, **self.stranded} if key[:2] == (site, edge)]:
            awaited(self, teller)
        for key in [key for key in {**self.facts.streams, **self.streams} if key[:2] == (site, edge)]:
            self.streams[key] = self.beyond[key] = None
        if self.edge((site, edge)) is not None:
            self.edges[site, edge] = None
            count_away(self, site, now_ms)
        ask_around(self, now_ms)

    def audited(self, site: SiteId, found: Audited, now_ms: int) -> None:
        """How it stands with the calls of a site, as those found who look after it."""
        reports.audit(self, site, found, now_ms)

    def said(self, stream: StreamKey, number: int, now_ms: int) -> None:
        """Somebody knows of pack `number`: all up to it exist, or did."""
        self._keep(stream, streams.say(self.stream(stream), number, now_ms))

    def is_heard(self, stream: StreamKey, number: int) -> bool:
        """Also of what waits for missing packs."""
        if streams.holds(self.stream(stream), number):
            return True
        if stream in self.ahead and number in self.ahead[stream]:
            return True
        beyond = gap.open_gap(self, stream)
        return beyond is not None and ranges.holds(beyond.packs, number)

    def last_heard(self, stream: StreamKey) -> int:
        """The highest number of a pack that was heard, and doesn't wait for missing ones."""
        heard = self.stream(stream).heard
        return heard[-1][1] if heard else 0

    def heard(self, stream: StreamKey, number: int, now_ms: int) -> None:
        """The readings of pack `number` are in this work or were in an earlier one."""
        known, lost = streams.hear(self.stream(stream), number, now_ms)
        self.given_up += lost
        self._keep(stream, known)

    def catch_up(
        self, stream: StreamKey, packs: Collection[int], readings: Sequence[Reading], now_ms: int, *, last: bool
    ) -> None:
        """What the history has of packs that were missed. `last`: with this they are whole."""
        if max(packs) > self.last_heard(stream) and not gap.is_next(self, stream, packs):
            gap.hear_beyond(self, stream, packs, readings, now_ms, last=last)
            return
        self.hear(*stream[:2], readings, now_ms)
        for number in packs if last else ():
            self.heard(stream, number, now_ms)

    def stream(self, key: StreamKey) -> Stream:
        return self.known_stream(key) or Stream()

    def hear(self, site: SiteId, edge: EdgeId, readings: Iterable[Reading], now_ms: int) -> None:
        """Apply an edge's readings in their order."""
        hear(self, [(site, edge, reading) for reading in readings], now_ms)

    def wake(
        self,
        now_ms: int,
        most: int = WAKE_AT_ONCE,
        *,
        enough: int = FOUND_AT_ONCE,
        by_ms: int | None = None,
        behind: Collection[EdgeKey] = (),
    ) -> None:
        """Fire the timers that are due, the most dangerous first: `most` of them, or until they have found `enough` for one work. `by_ms`: those
        that were due by then. `behind`: edges of which something older is still unheard; theirs wait a moment."""
        by_ms = now_ms if by_ms is None else by_ms
        if self.facts.beyond:
            gap.give_up_old(self, by_ms, now_ms)
        overdue.fire(self, now_ms, most, enough, by_ms, behind)

    def _keep(self, key: StreamKey, stream: Stream) -> None:
        """Remember a stream, and forget another one of its edge if they are too many."""
        known = self.known_stream(key)
        if stream is known:
            return
        self.streams[key] = stream
        if known is None:
            keys = {other for other in (*self.facts.streams, *self.streams) if other[:2] == key[:2]}
            others = {other: found for other in keys - {key} if (found := self.known_stream(other)) is not None}
            if len(others) >= STREAMS_PER_EDGE:
                self.streams[min(others, key=lambda other: (others[other].used_at_ms, other))] = None
