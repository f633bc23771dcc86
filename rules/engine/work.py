"""What a batch of messages makes of what is known. Facts in, changes out: no clock, no database.

A `Work` lies over the memory (rules.engine.memory): messages go into the work, the work is written in one transaction
(`rules.store.facts`), and only then does the memory adopt it. A work that was never written never happened.

Every edge speaks for itself: what a device is, is kept by the edge that announced it, and readings are heard from any
edge that did, by its own word of kind, place and settings. The state of a rule belongs to the device, whoever speaks of it; but what was
raised by one kind no rule of another kind ends. That two edges disagree is an alarm of the site (`disputed`).
"""

import operator
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import islice, repeat
from typing import Any

from messages.announcement import Announcement
from messages.ids import DeviceId, EdgeId, SiteId
from messages.kind import mismatch
from messages.reading import Quality, Reading
from rules.engine import own
from rules.engine import stream as streams
from rules.engine.memory import Device, DeviceKey, Ear, Edge, EdgeKey, Facts, StreamKey, TellerKey, Voice, Watch, where
from rules.engine.neighbourhood import Counted, QuestionKey, around, largest
from rules.engine.skew import heard
from rules.engine.skew import stepped as after_step
from rules.engine.stream import Stream
from rules.engine.timers import StateKey
from rules.language.change import Change
from rules.language.evaluation import NOBODY, Timer, renewed, step, stepped
from rules.language.rest import followed, stays_calm
from rules.language.rule import Rule
from rules.language.seen import NEVER, Seen
from rules.language.state import NEW, State, is_raised, is_running, present

watch_of: Any = tuple.__new__
"""A Watch from its parts, twice as fast as by their names."""

MOST_WAITING, MOST_WAITING_OF_EDGE = 10_000, 1_000
"""Readings of unannounced devices that are kept. The first ones stay; what comes after is dropped and counted."""

DEVICES_PER_EDGE = 10_000
"""As the collector: an edge that announces more is broken; it must not fill our memory."""

STREAMS_PER_EDGE = 16
"""An edge begins a new stream with each new outbox; of more than these, the one unused for longest is forgotten."""

WAKE_AT_ONCE, FOUND_AT_ONCE = 5_000, 50
"""Timers of one work, and findings: those that come first are written, and call, before the rest. Nobody else can write meanwhile."""

MANY = 8
"""From so many rules of one channel on it pays to write their common state down later."""

HIDDEN_MS = 60_000
"""How long a device's silence is not judged while its edge is away; then it is looked at again."""


_BAD, _TIMER = Quality.BAD, Timer()


@dataclass(frozen=True, slots=True)
class Again:
    """What has raised a life-safety alarm was done again while that stands, as a button is pressed twice."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class Found:
    """What a rule found out about a device."""

    device: Device
    rule: Rule
    change: Change | Again


@dataclass(frozen=True, slots=True)
class Abandoned:
    """A rule that nothing will feed any more: what it raised can't end by itself."""

    site: SiteId
    device: DeviceId
    rule: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """How it stands with the calls of a site."""

    stuck: int = 0
    """How much stands still."""
    roster_old: bool = False
    """Its file can't be used: calls go by the last good one."""
    unstaffed: bool = False
    """Nobody is known there: every call goes to the desk."""
    disputed: int = 0
    """Of how many devices two edges say different things."""


def _came_again(rule: Rule, before: State, after: State, event: Reading) -> bool:
    """Whether an event, in its turn, says once more what is raised already."""
    if event.channel not in rule.events or event.value is not True or not is_raised(before):
        return False
    was, now = present(before), present(after)
    newest, word = was.seen.get(event.channel), Seen(*now.seen[event.channel])
    stands = now.raised_at_ms == was.raised_at_ms
    return stands and word.said_ms == event.at_ms and (newest is None or Seen(*newest).said_ms < event.at_ms)


def _in_order(said: list[tuple[SiteId, EdgeId, Reading]]) -> list[tuple[SiteId, EdgeId, Reading]]:
    """By the readings' own time; what is of one moment stays as it came."""
    moments = [one[2][2] for one in said]
    if all(map(operator.le, moments, moments[1:])):
        return said
    return [said[index] for index in sorted(range(len(said)), key=moments.__getitem__)]


def _keep_newest(newest: dict[EdgeKey, int], site: SiteId | None, edge: EdgeId | None, at_ms: int) -> None:
    if site is not None and edge is not None and at_ms > newest.get((site, edge), -1):
        newest[site, edge] = at_ms


@dataclass(slots=True)
class Work:
    """What came in, and what it changes. To be written whole."""

    facts: Facts
    devices: dict[TellerKey, Device | None] = field(default_factory=dict)
    """None: its edge has withdrawn it."""
    silent_from: dict[TellerKey, int | None] = field(default_factory=dict)
    edges: dict[EdgeKey, Edge | None] = field(default_factory=dict)
    """None: a person has said that it is gone."""
    streams: dict[StreamKey, Stream | None] = field(default_factory=dict)
    """None: forgotten."""
    watches: dict[StateKey, Watch] = field(default_factory=dict)
    found: list[Found] = field(default_factory=list)
    abandoned: list[Abandoned] = field(default_factory=list)
    shared: list[tuple[Device, Device]] = field(default_factory=list)
    """A device that an edge announces while another one already does: the new word, and an older one."""
    stranded: dict[TellerKey, list[Reading]] = field(default_factory=dict)
    """Readings of devices that nobody has announced: they wait."""
    awaited: list[TellerKey] = field(default_factory=list)
    """Devices whose waiting readings were taken."""
    readings: int = 0
    refused: int = 0
    """Readings that can't be true for their device's kind; the collector keeps them in quarantine."""
    dropped: int = 0
    """Readings of unannounced devices for which there was no room."""
    given_up: int = 0
    """Missed packs that are asked for no longer."""
    counted: dict[QuestionKey, Counted] = field(default_factory=dict)
    """Whose neighbourhood has changed, and how it is now."""
    stepped: tuple[int, frozenset[SiteId]] | None = None
    """By how much the server's clock was set, and at which sites timers are to be moved for it."""
    _pending: list[tuple[SiteId, EdgeId, Reading]] = field(default_factory=list)
    _asked: dict[QuestionKey, None] = field(default_factory=dict)
    """The questions whose answers have changed, and nobody was told."""
    _together: dict[DeviceKey, tuple[Voice, Ear, State]] = field(default_factory=dict)
    """The state that all rules of an ear are in by now. Empty but while readings are heard."""
    waiting_of: Counter[EdgeKey] = field(init=False)
    _waiting: int = field(init=False)
    last_reading_at_ms: int | None = None

    def __post_init__(self) -> None:
        self.waiting_of = self.facts.waiting_of.copy()
        self._waiting = self.waiting_of.total()

    @property
    def empty(self) -> bool:
        return not (
            self.devices
            or self.edges
            or self.streams
            or self.watches
            or self.stranded
            or self.awaited
            or self.readings
            or self.counted
            or self.stepped
        )

    @property
    def sites(self) -> set[SiteId]:
        """Whose rows it writes."""
        by_site: tuple[Collection[tuple[str, ...]], ...] = (
            self.devices,
            self.silent_from,
            self.edges,
            self.streams,
            self.watches,
            self.stranded,
            self.awaited,
        )
        sites = {SiteId(key[0]) for keys in by_site for key in keys} | (self.stepped[1] if self.stepped else set())
        return sites | {found.device.site for found in self.found} | {gone.site for gone in self.abandoned}

    def collect(self, site: SiteId, edge: EdgeId, readings: Iterable[Reading]) -> None:
        """Readings of a message of this batch; they are heard when it is settled."""
        self._pending += zip(repeat(site), repeat(edge), readings, strict=False)

    def settle(self, now_ms: int) -> None:
        """Hear what was collected, in the order of its own time: the order of the batch's packs is an accident."""
        if self._pending:
            pending, self._pending = self._pending, []
            self._hear(_in_order(pending), now_ms)

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
        before = self._device(teller)
        if before != device:
            self.settle(now_ms)  # what was said before this word was said of the device as it was
        if before is None:
            if not self._has_room((site, edge)):
                return False
            self.shared += [(device, other) for other in self._told(site, device_id)[:1]]
        if before != device:
            self.devices[teller] = device
        if before is None or before.kind != device.kind:
            self.silent_from[teller] = now_ms + self.facts.patience_ms(device.kind)
        if before is not None and before.kind != device.kind:
            self._abandon(before, f"it is a {device.kind} now")
        if before != device:
            self._move(device)
        if device.kind == "edge_agent" and self._device((site, own.ENGINE, own.link_of(edge))):
            self._own(site, own.link_of(edge), own.link_announced(edge, device.place), ())
        self.hear(site, edge, self._awaited(teller), now_ms)
        return True

    def withdraw(self, site: SiteId, edge: EdgeId, device_id: DeviceId, now_ms: int) -> None:
        """An edge no longer speaks of a device; what others say of it stays."""
        self.settle(now_ms)
        teller = (site, edge, device_id)
        if (before := self._device(teller)) is not None:
            self.devices[teller] = self.silent_from[teller] = None
            self._abandon(before, f"{edge} has withdrawn the device")

    def renew(self, now_ms: int, sites: Collection[SiteId] | None = None) -> None:
        """After a start, or when other rules came into force: what runs goes on as it was, what doesn't is judged by the new
        rules from now on, and what no rule is there for is given up. `sites`: of these alone."""
        for (site, device, name), watch in self.facts.watches.items():
            if watch.state is NEW or watch.state == NEW or (sites is not None and site not in sites):
                continue
            known = (rule for one in self._told(site, device) for rule in self._rules_of(one) if rule.id == name)
            if (rule := next(known, None)) is None:
                self._forget(site, device, name, "there is no such rule for it any more")
            elif watch.version != rule.version:
                self.watches[site, device, name] = self._renewed(rule, watch, now_ms)

    def step(self, by_ms: int, sites: Collection[SiteId], now_ms: int) -> None:
        """The server's clock was set by `by_ms`, to `now_ms`: all that waits for a time waits as long as it would have."""
        self.stepped = by_ms, frozenset(sites)
        for key, watch in self.facts.watches.items():
            if watch.wake_at_ms is not None:
                state = stepped(watch.state, by_ms, now_ms)
                self.watches[key] = watch._replace(state=state, wake_at_ms=watch.wake_at_ms + by_ms)
        for edge, one in self.facts.edges.items():
            self.edges[edge] = replace(one, skew=after_step(one.skew, by_ms, now_ms))
        self.silent_from |= {teller: from_ms + by_ms for teller, from_ms in self.facts.silent_from.items()}

    def _renewed(self, rule: Rule, watch: Watch, now_ms: int) -> Watch:
        if watch.version is None or is_running(watch.state):  # what raised it is not known any more
            return watch._replace(version=rule.version)
        state = renewed(rule, watch.state, now_ms)
        return Watch(state, present(state).look_at_ms, watch.edge, rule.version)

    def _rules_of(self, device: Device) -> tuple[Rule, ...]:
        return self.facts.rules_of(device, self.watches)

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
    ) -> None:
        """An edge came, went, or said again that it is there. `by_edge`: in its own words, not in the broker's. `clock_ms`: what its clock
        showed, right or wrong."""
        known = self._edge((site, edge))
        if known is None or known.online != online:
            last_ms = known.last_reading_at_ms if known else None
            self.edges[site, edge] = Edge(online, at_ms, last_ms, clock_trusted, known.skew if known else None)
            self._count_away(site, now_ms)
        elif known.clock_trusted != clock_trusted:
            self.edges[site, edge] = replace(known, clock_trusted=clock_trusted)
        if clock_ms is not None:
            one = self.edges.get((site, edge)) or self.facts.edges[site, edge]
            skew = heard(known.skew if known else None, clock_ms, now_ms)
            self.edges[site, edge] = one = replace(one, skew=skew)
            at_ms = min(now_ms, at_ms + one.behind_ms)
        link = self._device((site, own.ENGINE, own.link_of(edge)))
        said = own.link_said(edge, online=online, said_ms=at_ms if by_edge else None, now_ms=now_ms)
        self._own(site, own.link_of(edge), own.link_announced(edge, link.place if link else None), said)

    def forget(self, site: SiteId, edge: EdgeId, now_ms: int) -> None:
        """An edge is gone for good, and all that was known of it with it; what other edges say of its devices stays."""
        self.settle(now_ms)
        its = [key for key in {**self.facts.devices, **self.devices} if key[:2] == (site, edge)]
        for teller in (*its, (site, own.ENGINE, own.link_of(edge))):
            if (before := self._device(teller)) is not None:
                self.devices[teller] = self.silent_from[teller] = None
                self._abandon(before, f"{edge} is gone")
        for teller in [key for key in {**self.facts.waiting, **self.stranded} if key[:2] == (site, edge)]:
            self._awaited(teller)
        for key in [key for key in {**self.facts.streams, **self.streams} if key[:2] == (site, edge)]:
            self.streams[key] = None
        if self._edge((site, edge)) is not None:
            self.edges[site, edge] = None
            self._count_away(site, now_ms)
        self._ask_around(now_ms)

    def _count_away(self, site: SiteId, now_ms: int) -> None:
        known = {**self.facts.edges, **self.edges}
        away = sum(one is not None and not one.online for (of, _), one in known.items() if of == site)
        self._own(site, own.site_device(site), own.site_announced(site), [own.site_said(site, away, now_ms)])

    def audited(self, site: SiteId, found: Audited, now_ms: int) -> None:
        """How it stands with the calls of a site, as those found who look after it."""
        said = [
            own.site_stuck(site, found.stuck, now_ms),
            *own.site_staffed(site, old=found.roster_old, unstaffed=found.unstaffed, now_ms=now_ms),
            own.site_disputed(site, found.disputed, now_ms),
        ]
        self._own(site, own.site_device(site), own.site_announced(site), said)

    def _own(self, site: SiteId, device_id: DeviceId, said: Announcement, readings: Iterable[Reading]) -> None:
        """The engine speaks of a device of its own: no edge, no silence, no reading that is counted."""
        if said.kind not in self.facts.kinds:
            return
        device = Device(
            site=site, edge=own.ENGINE, id=device_id, kind=said.kind, model=said.model, place=said.place, settings={}
        )
        teller = (site, own.ENGINE, device_id)
        if self._device(teller) != device:
            self.devices[teller] = device
        for reading in readings:
            for rule in self._rules_of(device):
                self._step(device, rule, reading, reading.at_ms)

    def said(self, stream: StreamKey, number: int, now_ms: int) -> None:
        """Somebody knows of pack `number`: all up to it exist, or did."""
        self._keep(stream, streams.say(self.stream(stream), number, now_ms))

    def is_heard(self, stream: StreamKey, number: int) -> bool:
        return streams.holds(self.stream(stream), number)

    def heard(self, stream: StreamKey, number: int, now_ms: int) -> None:
        """The readings of pack `number` are in this work or were in an earlier one."""
        known, lost = streams.hear(self.stream(stream), number, now_ms)
        self.given_up += lost
        self._keep(stream, known)

    def stream(self, key: StreamKey) -> Stream:
        return self._stream(key) or Stream()

    def hear(self, site: SiteId, edge: EdgeId, readings: Iterable[Reading], now_ms: int) -> None:
        """Apply an edge's readings in their order."""
        self._hear([(site, edge, reading) for reading in readings], now_ms)

    def _hear(self, readings: Iterable[tuple[SiteId, EdgeId, Reading]], now_ms: int) -> None:
        newest, newest_broken = dict[EdgeKey, int](), dict[EdgeKey, int]()
        spoke = dict[TellerKey, int]()
        of_site: SiteId | None = None
        of_edge: EdgeId | None = None
        at_once: Mapping[DeviceId, Voice] = {}
        last_ms, behind_ms = -1, 0
        for site, edge, reading in readings:
            device_id, channel, at_ms, value, unit, quality = reading
            if edge is not of_edge or site is not of_site:
                _keep_newest(newest, of_site, of_edge, last_ms)
                of_site, of_edge, last_ms, behind_ms = site, edge, -1, self._behind_ms((site, edge))
                at_once = self.facts.voices_at_once(site, edge) if not self.devices else {}
            if (voice := at_once.get(device_id)) is None:
                if (device := self._device((site, edge, device_id))) is None:
                    self._strand((site, edge, device_id), reading)
                    continue
                voice = self.facts.voice_of(device, self.watches)
            if (ear := voice.ears.get(channel)) is None:
                self.refused += 1
                continue
            known, usual_unit, low, high, listeners, _, _ = ear
            if at_ms > now_ms:
                at_ms = now_ms
            if quality is _BAD:  # a broken sensor is not one that watches
                _keep_newest(newest_broken, site, edge, at_ms)
            else:
                believed = value.__class__ is float and low <= value <= high and (unit is None or unit == usual_unit)
                if not believed and mismatch(known, value, unit) is not None:
                    self.refused += 1
                    continue
                if at_ms > last_ms:
                    last_ms = at_ms
                if at_ms + behind_ms >= voice.noted_until_ms:
                    teller = (site, edge, device_id)
                    spoke[teller] = max(at_ms, spoke.get(teller, at_ms))
            self.readings += 1
            if listeners:
                self._judge(voice, ear, reading, now_ms)
        self._write_down(*self._together)
        _keep_newest(newest, of_site, of_edge, last_ms)
        self._note_edges(newest, now_ms)
        self._note_edges(newest_broken, now_ms)
        self._note_speakers(spoke, now_ms)
        self._ask_around(now_ms)

    def _note_edges(self, newest: Mapping[EdgeKey, int], now_ms: int) -> None:
        for edge_key, at_ms in newest.items():
            known = self._edge(edge_key) or Edge(online=True, since_ms=now_ms)
            self.edges[edge_key] = replace(known, last_reading_at_ms=max(known.last_reading_at_ms or 0, at_ms))
            self.last_reading_at_ms = max(self.last_reading_at_ms or 0, at_ms)

    def _note_speakers(self, spoke: Mapping[TellerKey, int], now_ms: int) -> None:
        """Not at each reading, but often enough that no device which keeps its intervals looks silent."""
        for teller, said_ms in spoke.items():
            if (device := self._device(teller)) is None:
                continue
            at_ms = min(now_ms, said_ms + self._behind_ms(teller))
            known_ms = self.silent_from.get(teller) or self.facts.silent_from.get(teller)
            if known_ms is None or at_ms >= known_ms - self.facts.spoken_before_ms(device.kind):
                self.silent_from[teller] = at_ms + self.facts.patience_ms(device.kind)

    def wake(self, now_ms: int, most: int = WAKE_AT_ONCE) -> None:
        """Fire the timers that are due, the most dangerous first: `most` of them, or as many as find enough for one work."""
        enough = len(self.found) + FOUND_AT_ONCE
        with closing(self.facts.due(now_ms)) as due:
            for key in islice(due, most):
                self._fire(key, now_ms)
                if len(self.found) >= enough:
                    break
        self._ask_around(now_ms)

    def _fire(self, key: StateKey, now_ms: int) -> None:
        site, device_id, rule_id = key
        watch = self._watch(key)
        if found := self._asked_at_once(key, watch):
            self._step(*found, _TIMER, now_ms)
            return
        told = sorted(self._told(site, device_id), key=lambda device: device.edge != watch.edge)
        asked = ((device, rule) for device in told for rule in self._rules_of(device) if rule.id == rule_id)
        if (found := next(asked, None)) is None:  # the rule, or the device, is no longer what it was
            self.watches[key] = Watch()
        elif found[1].silences and self._is_hidden(told):
            self.watches[key] = watch._replace(wake_at_ms=now_ms + HIDDEN_MS)
        else:
            self._step(*found, _TIMER, now_ms)

    def _asked_at_once(self, key: StateKey, watch: Watch) -> tuple[Device, Rule] | None:
        """Whom a timer is for, where that is beyond doubt: the edge that spoke last is there and has said nothing new of the device."""
        if self.devices or self.facts.bygone or watch.edge is None:
            return None
        site, device_id, rule_id = key
        if (voice := self.facts.voices_at_once(site, watch.edge).get(device_id)) is None:
            if (device := self.facts.devices.get((site, watch.edge, device_id))) is None:
                return None
            voice = self.facts.voice_of(device)
        if (rule := voice.rules.get(rule_id)) is None:
            return None
        edge = self._edge((site, watch.edge))
        return None if edge is not None and not edge.online else (voice.device, rule)

    def _is_hidden(self, told: Iterable[Device]) -> bool:
        """All edges that speak of a device are away: that is one situation, and the device's silence is no other."""
        edges = [self._edge((device.site, device.edge)) for device in told]
        return all(edge is not None and not edge.online for edge in edges)

    def _judge(self, voice: Voice, ear: Ear, reading: Reading, now_ms: int) -> None:
        """What a reading means for the rules that listen. Nearly always it turns none of them; then those that were in one state
        are in one state again, and it is made once for all of them."""
        device = voice.device
        _, _, _, _, listeners, events, raising = ear
        site, edge, device_id, watches, known = device.site, device.edge, reading[0], self.watches, self.facts.watches
        if len(listeners) >= MANY and self._stays_together(voice, ear, reading, now_ms):
            return
        if self._together:
            self._write_down((site, device_id))
        before: State | None = None
        after: State | None = None
        turned: Collection[int] | None = None
        for position, (rule, rule_id, at_rest) in enumerate(listeners):
            key = (site, device_id, rule_id)
            watch = watches.get(key) or known.get(key)
            if watch is not None:
                state, wake_at_ms, _, version = watch
                if wake_at_ms is None and version == at_rest:
                    if state is not before and state != before:
                        before, after, turned = state, followed(state, reading, now_ms, events), None
                        if after is not None and raising is not None and after[1][0] is None:
                            turned = frozenset(raising(after[0], NEVER))
                    if after is not None and (stays_calm(rule, after) if turned is None else position not in turned):
                        watches[key] = watch_of(Watch, (after, None, edge, version))
                        continue
            self._step(device, rule, reading, now_ms)

    def _stays_together(self, voice: Voice, ear: Ear, reading: Reading, now_ms: int) -> bool:
        """Whether all the rules, which are many, were in one state and are so again. Which one is written down when they part, or all is
        heard."""
        key = (voice.device.site, voice.device.id)
        _, _, _, _, _, events, raising = ear
        known_voice, known_ear, state = self._together.get(key) or (voice, ear, self._one_state(voice, ear))
        if raising is None or state is None or known_voice is not voice or known_ear is not ear:
            return False
        after = followed(state, reading, now_ms, events)
        if after is None or raising(after[0], NEVER):
            return False
        self._together[key] = (voice, ear, after)
        return True

    def _one_state(self, voice: Voice, ear: Ear) -> State | None:
        """The state that all rules of an ear are in, if it is one, and nothing is raised."""
        site, device_id = voice.device.site, voice.device.id
        first: State | None = None
        for _, rule_id, at_rest in ear.listeners:
            state, wake_at_ms, _, version = self._watch((site, device_id, rule_id))
            if wake_at_ms is not None or version != at_rest or is_raised(state):
                return None
            if first is None:
                first = state
            elif state is not first and state != first:
                return None
        return first

    def _write_down(self, *devices: DeviceKey) -> None:
        """The states of rules that stayed together."""
        for site, device_id in devices:
            if (found := self._together.pop((site, device_id), None)) is None:
                continue
            voice, ear, state = found
            for _, rule_id, version in ear.listeners:
                self.watches[site, device_id, rule_id] = watch_of(Watch, (state, None, voice.device.edge, version))

    def _step(self, device: Device, rule: Rule, event: Reading | Timer, now_ms: int) -> None:
        key = (device.site, device.id, rule.id)
        watch = self._watch(key)
        before = watch.state
        if is_running(before) and self._is_anothers(device, watch):
            return
        if behind_ms := self._behind_ms((device.site, device.edge)):
            rule = rule.lenient(behind_ms)
        answers = self._answers(device, rule) if rule.questions else NOBODY
        state, changes, wake_at_ms = step(rule, before, event, now_ms, answers)
        if state is not watch.state or wake_at_ms != watch.wake_at_ms:
            self.watches[key] = watch = watch_of(Watch, (state, wake_at_ms, device.edge, rule.version))
            if rule.version in self.facts.earlier and not is_running(state):  # its time is over
                current = (one for one in self.facts.current_rules_of(device) if one.id == rule.id)
                successor = next(current, None)
                self.watches[key] = self._renewed(successor, watch, now_ms) if successor else Watch()
        if rule.answers is not None:
            self._count(device, rule.answers, counts=is_raised(state))
        else:
            self.found += [Found(device, rule, change) for change in changes]
            if rule.life_safety and isinstance(event, Reading) and _came_again(rule, before, state, event):
                self.found.append(Found(device, rule, Again(event.at_ms)))

    def _count(self, device: Device, question: str, *, counts: bool) -> None:
        """Whether a device counts for a question."""
        key = (device.site, question)
        known = self._counted(key)
        if counts == (device.id in known):
            return
        others = {other: place for other, place in known.items() if other != device.id}
        self.counted[key] = {**others, device.id: where(device)} if counts else others
        self._asked[key] = None

    def _move(self, device: Device) -> None:
        """It may stand elsewhere now, or be something else."""
        for key in [key for key in {**self.facts.counted, **self.counted} if key[0] == device.site]:
            known = self._counted(key)
            if device.id not in known:
                continue
            if any(rule.answers == key[1] for rule in self._rules_of(device)):
                self.counted[key] = {**known, device.id: where(device)}
            else:
                self.counted[key] = {other: place for other, place in known.items() if other != device.id}
            self._asked[key] = None

    def _ask_around(self, now_ms: int) -> None:
        """Rules that ask about a neighbourhood that has changed judge anew."""
        asked, self._asked = self._asked, {}
        if not asked:
            return
        sites, questions = {site for site, _ in asked}, {question for _, question in asked}
        asking: dict[str, list[Rule]] = {}
        for rules in (*self.facts.rules.values(), self.facts.earlier.values()):
            for rule in rules:
                if any(one.key in questions for one in rule.questions):
                    asking.setdefault(rule.kind, []).append(rule)
        for site in sites if asking.get(own.SITE) else ():
            self._own(site, own.site_device(site), own.site_announced(site), ())
        for teller in {**self.facts.devices, **self.devices}:
            device = self._device(teller)
            if device is None or device.site not in sites or not asking.get(device.kind):
                continue
            names = {rule.id for rule in asking[device.kind]}
            for rule in self._rules_of(device):
                if rule.id in names:
                    self._step(device, rule, Timer(), now_ms)

    def _answers(self, device: Device, rule: Rule) -> dict[str, int]:
        here = None if device.kind == own.SITE else where(device)
        answers = {}
        for question in rule.questions:
            counted = self._counted((device.site, question.key))
            count = largest(counted, question.within) if here is None else around(counted, here, question.within)
            answers[question.key] = count
        return answers

    def _counted(self, key: QuestionKey) -> Counted:
        return self.counted[key] if key in self.counted else self.facts.counted.get(key, {})

    def _strand(self, teller: TellerKey, reading: Reading) -> None:
        edge = teller[:2]
        if self._waiting < MOST_WAITING and self.waiting_of[edge] < MOST_WAITING_OF_EDGE:
            self.stranded.setdefault(teller, []).append(reading)
            self.waiting_of[edge] += 1
            self._waiting += 1
        else:
            self.dropped += 1

    def _awaited(self, teller: TellerKey) -> list[Reading]:
        """What waited for this announcement, and waits no longer."""
        readings = self.stranded.pop(teller, [])
        if teller in self.facts.waiting and teller not in self.awaited:
            self.awaited.append(teller)
            readings = self.facts.waiting[teller] + readings
        self.waiting_of[teller[:2]] -= len(readings)
        self._waiting -= len(readings)
        return readings

    def _abandon(self, before: Device, why: str) -> None:
        """The rules of what a device was, unless another edge still says that it is."""
        if all(device.kind != before.kind for device in self._told(before.site, before.id)):
            current = (rule.id for rule in self.facts.rules.get(before.kind, ()))
            for name in dict.fromkeys((*current, *self.facts.bygone.get((before.site, before.id), ()))):
                if self._watch((before.site, before.id, name)).state != NEW:
                    self._forget(before.site, before.id, name, why)

    def _forget(self, site: SiteId, device: DeviceId, rule: str, why: str) -> None:
        self.watches[site, device, rule] = Watch()
        for key in [key for key in {**self.facts.counted, **self.counted} if key[0] == site]:
            if rule.startswith("?") and device in (known := self._counted(key)):
                self.counted[key] = {other: place for other, place in known.items() if other != device}
                self._asked[key] = None
        if not rule.startswith("?"):
            self.abandoned.append(Abandoned(site, device, rule, why))

    def _keep(self, key: StreamKey, stream: Stream) -> None:
        """Remember a stream, and forget another one of its edge if they are too many."""
        known = self._stream(key)
        if stream is known:
            return
        self.streams[key] = stream
        if known is None:
            keys = {other for other in (*self.facts.streams, *self.streams) if other[:2] == key[:2]}
            others = {other: found for other in keys - {key} if (found := self._stream(other)) is not None}
            if len(others) >= STREAMS_PER_EDGE:
                self.streams[min(others, key=lambda other: (others[other].used_at_ms, other))] = None

    def _has_room(self, edge: EdgeKey) -> bool:
        """For one more device."""
        fresh = sum(key[:2] == edge and key not in self.facts.devices for key, device in self.devices.items() if device)
        return self.facts.devices_of[edge] + fresh < DEVICES_PER_EDGE

    def _told(self, site: SiteId, device_id: DeviceId) -> list[Device]:
        """The device, as each edge that announces it does."""
        edges = self.facts.tellers.get((site, device_id), set())
        edges = edges | {edge for of_site, edge, of_id in self.devices if (of_site, of_id) == (site, device_id)}
        return [device for edge in sorted(edges) if (device := self._device((site, edge, device_id)))]

    def _device(self, key: TellerKey) -> Device | None:
        return self.devices[key] if key in self.devices else self.facts.devices.get(key)

    def _stream(self, key: StreamKey) -> Stream | None:
        return self.streams[key] if key in self.streams else self.facts.streams.get(key)

    def _watch(self, key: StateKey) -> Watch:
        return self.watches.get(key) or self.facts.watches.get(key) or Watch()

    def _is_anothers(self, device: Device, watch: Watch) -> bool:
        """What was raised by what another edge says the device is: a rule of the same name, of another kind, neither ends nor changes it."""
        if watch.edge is None or watch.edge == device.edge:
            return False
        other = self._device((device.site, watch.edge, device.id))
        return other is not None and other.kind != device.kind

    def _behind_ms(self, teller: TellerKey | EdgeKey) -> int:
        edge = self._edge(teller[:2])
        return edge.behind_ms if edge else 0

    def _edge(self, key: EdgeKey) -> Edge | None:
        return self.edges[key] if key in self.edges else self.facts.edges.get(key)
