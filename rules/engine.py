"""What the engine knows, and what a batch of messages makes of it. Facts in, changes out: no clock, no database.

`Facts` is the memory, loaded from the database at start. A `Work` lies over it: messages go into the work in the
order in which they came, the work is written in one transaction (`rules.facts`), and only then do the facts adopt
it. A work that was never written never happened.

Every edge speaks for itself: what a device is, is kept by the edge that announced it, and readings are heard from any
edge that did. The state of a rule belongs to the device, whoever speaks of it.
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from messages.announcement import Announcement, Place
from messages.ids import DeviceId, EdgeId, SiteId, StreamId
from messages.kind import Kinds, mismatch
from messages.reading import Quality, Reading, Value
from rules import stream as streams
from rules.language.evaluation import NEW, Change, State, Timer, step
from rules.language.rule import Rule, Rules
from rules.stream import Stream

MOST_WAITING, MOST_WAITING_OF_EDGE = 10_000, 1_000
"""Readings of unannounced devices that are kept. The first ones stay; what comes after is dropped and counted."""

DEVICES_PER_EDGE = 10_000
"""As the collector: an edge that announces more is broken; it must not fill our memory."""

STREAMS_PER_EDGE = 16
"""An edge begins a new stream with each new outbox; of more than these, the one unused for longest is forgotten."""

SILENT_INTERVALS = 2.5
"""A device is silent that has said nothing for so many of its shortest intervals: every channel is sent at least once
in its own (section 4 of the field notes)."""
UNKNOWN_INTERVAL_S = 600.0
"""Of a kind that we don't know; nothing that such a device says is understood."""
NOTE_EVERY_MS = 60_000
"""How often it is written down that a device speaks, where its intervals don't ask for more."""

DeviceKey = tuple[SiteId, DeviceId]
EdgeKey = tuple[SiteId, EdgeId]
StreamKey = tuple[SiteId, EdgeId, StreamId]
TellerKey = tuple[SiteId, EdgeId, DeviceId]
"""A device, and the edge that speaks of it."""
StateKey = tuple[SiteId, DeviceId, str]
"""The last part is the rule's id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device as its edge announced it."""

    site: SiteId
    edge: EdgeId
    id: DeviceId
    kind: str
    model: str
    place: Place
    settings: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Edge:
    online: bool
    since_ms: int
    last_reading_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Watch:
    """The state of one rule of one device, and when it wants a Timer."""

    state: State = NEW
    wake_at_ms: int | None = None
    edge: EdgeId | None = None
    """Who spoke last."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a rule found out about a device."""

    device: Device
    rule: Rule
    change: Change


@dataclass(frozen=True, slots=True)
class Abandoned:
    """A rule that nothing will feed any more: what it raised can't end by itself."""

    site: SiteId
    device: DeviceId
    rule: str
    why: str


@dataclass(slots=True)
class Facts:
    """The committed truth. Changed by `adopt` alone."""

    kinds: Kinds
    rules: Rules
    devices: dict[TellerKey, Device] = field(default_factory=dict)
    edges: dict[EdgeKey, Edge] = field(default_factory=dict)
    streams: dict[StreamKey, Stream] = field(default_factory=dict)
    watches: dict[StateKey, Watch] = field(default_factory=dict)
    waiting: dict[TellerKey, list[Reading]] = field(default_factory=dict)
    silent_from: dict[TellerKey, int] = field(default_factory=dict)
    """When a device counts as silent, if it says nothing until then."""
    waiting_of: Counter[EdgeKey] = field(default_factory=Counter)
    """How many readings wait, by edge."""
    devices_of: Counter[EdgeKey] = field(default_factory=Counter)
    tellers: dict[DeviceKey, set[EdgeId]] = field(default_factory=dict)
    """Who has announced a device."""
    _timers: list[tuple[int, StateKey]] = field(default_factory=list)
    _bound: dict[TellerKey, tuple[Rule, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for (site, edge, _), readings in self.waiting.items():
            self.waiting_of[site, edge] += len(readings)
        for site, edge, device in self.devices:
            self.devices_of[site, edge] += 1
            self.tellers.setdefault((site, device), set()).add(edge)
        self._timers = [(watch.wake_at_ms, key) for key, watch in self.watches.items() if watch.wake_at_ms is not None]
        heapq.heapify(self._timers)

    def rules_of(self, device: Device) -> tuple[Rule, ...]:
        """The rules of its kind, with its own settings."""
        key = (device.site, device.edge, device.id)
        if self.devices.get(key) is not device:
            return bound(self.rules, device)
        if key not in self._bound:
            self._bound[key] = bound(self.rules, device)
        return self._bound[key]

    def patience_ms(self, kind: str) -> int:
        """How long a device of `kind` may say nothing."""
        known = self.kinds.get(kind)
        interval_s = min(one.interval_s for one in known.channels.values()) if known else UNKNOWN_INTERVAL_S
        return round(SILENT_INTERVALS * interval_s * 1000)

    def next_wake_ms(self) -> int | None:
        """When the next timer is due."""
        while self._timers and self._is_stale(*self._timers[0]):
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def due(self, now_ms: int) -> list[StateKey]:
        """The timers that are due, in their order; they stay until a work that woke them is adopted."""
        found = []
        while (at_ms := self.next_wake_ms()) is not None and at_ms <= now_ms:
            found.append(heapq.heappop(self._timers))
        for entry in found:
            heapq.heappush(self._timers, entry)
        return list(dict.fromkeys(key for _, key in found))

    def adopt(self, work: "Work") -> None:
        """The work is written: it is true now."""
        for teller, device in work.devices.items():
            self._adopt_device(teller, device)
        for teller, from_ms in work.silent_from.items():
            if from_ms is None:
                self.silent_from.pop(teller, None)
            else:
                self.silent_from[teller] = from_ms
        self.edges |= work.edges
        for key_of_stream, stream in work.streams.items():
            if stream is None:
                self.streams.pop(key_of_stream, None)
            else:
                self.streams[key_of_stream] = stream
        for key, watch in work.watches.items():
            before = self.watches.get(key)
            self.watches[key] = watch
            if watch.wake_at_ms is not None and (before is None or before.wake_at_ms != watch.wake_at_ms):
                heapq.heappush(self._timers, (watch.wake_at_ms, key))
        for teller in work.awaited:
            self.waiting.pop(teller, None)
        for teller, readings in work.stranded.items():
            self.waiting.setdefault(teller, []).extend(readings)
        self.waiting_of = work.waiting_of

    def _adopt_device(self, teller: TellerKey, device: Device | None) -> None:
        site, edge, device_id = teller
        self._bound.pop(teller, None)
        before = self.devices.pop(teller, None)
        edges = self.tellers.setdefault((site, device_id), set())
        if device is None:
            edges.discard(edge)
        else:
            self.devices[teller] = device
            edges.add(edge)
        if not edges:
            del self.tellers[site, device_id]
        self.devices_of[site, edge] += (device is not None) - (before is not None)

    def _is_stale(self, at_ms: int, key: StateKey) -> bool:
        return self.watches[key].wake_at_ms != at_ms


@dataclass(slots=True)
class Work:
    """What came in, and what it changes. To be written whole."""

    facts: Facts
    devices: dict[TellerKey, Device | None] = field(default_factory=dict)
    """None: its edge has withdrawn it."""
    silent_from: dict[TellerKey, int | None] = field(default_factory=dict)
    edges: dict[EdgeKey, Edge] = field(default_factory=dict)
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
    waiting_of: Counter[EdgeKey] = field(init=False)
    _waiting: int = field(init=False)
    last_reading_at_ms: int | None = None

    def __post_init__(self) -> None:
        self.waiting_of = self.facts.waiting_of.copy()
        self._waiting = self.waiting_of.total()

    @property
    def empty(self) -> bool:
        return not (self.devices or self.edges or self.streams or self.watches or self.stranded or self.readings)

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
        self.hear(site, edge, self._awaited(teller), now_ms)
        return True

    def withdraw(self, site: SiteId, edge: EdgeId, device_id: DeviceId) -> None:
        """An edge no longer speaks of a device; what others say of it stays."""
        teller = (site, edge, device_id)
        if (before := self._device(teller)) is not None:
            self.devices[teller] = self.silent_from[teller] = None
            self._abandon(before, f"{edge} has withdrawn the device")

    def abandon_gone(self) -> None:
        """After a start: rules that were taken away while we were down."""
        for (site, device, rule), watch in self.facts.watches.items():
            alive = any(known.id == rule for one in self._told(site, device) for known in self.facts.rules_of(one))
            if watch.state != NEW and not alive:
                self._forget(site, device, rule, "there is no such rule for it any more")

    def status(self, site: SiteId, edge: EdgeId, *, online: bool, at_ms: int) -> None:
        """An edge came, went, or said again that it is there."""
        known = self._edge((site, edge))
        if known is None or known.online != online:
            last_ms = known.last_reading_at_ms if known else None
            self.edges[site, edge] = Edge(online, at_ms, last_ms)

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
        """Apply readings in their order."""
        newest, spoke = None, dict[TellerKey, int]()
        for reading in readings:
            device = self._device((site, edge, reading.device))
            if device is None:
                self._strand((site, edge, reading.device), reading)
                continue
            if not self._can_be_true(device, reading):
                self.refused += 1
                continue
            self.readings += 1
            at_ms, teller = min(reading.at_ms, now_ms), (site, edge, device.id)
            newest = max(newest or 0, at_ms)
            if reading.quality is not Quality.BAD:  # else a sensor that is broken would count as one that watches
                spoke[teller] = max(spoke.get(teller, 0), at_ms)
            for rule in self.facts.rules_of(device):
                self._step(device, rule, reading, now_ms)
        if newest is not None:
            known = self._edge((site, edge)) or Edge(online=True, since_ms=now_ms)
            self.edges[site, edge] = replace(known, last_reading_at_ms=max(known.last_reading_at_ms or 0, newest))
            self.last_reading_at_ms = max(self.last_reading_at_ms or 0, newest)
        for teller, at_ms in spoke.items():
            self._note_speaker(teller, at_ms)

    def wake(self, now_ms: int) -> None:
        """Fire the timers that are due."""
        for key in self.facts.due(now_ms):
            site, device_id, rule_id = key
            spoke_last = self._watch(key).edge
            told = sorted(self._told(site, device_id), key=lambda device: device.edge != spoke_last)
            asked = ((device, rule) for device in told for rule in self.facts.rules_of(device) if rule.id == rule_id)
            if found := next(asked, None):
                self._step(*found, Timer(), now_ms)
            else:  # the rule, or the device, is no longer what it was: nobody is left to ask
                self.watches[key] = Watch()

    def _step(self, device: Device, rule: Rule, event: Reading | Timer, now_ms: int) -> None:
        key = (device.site, device.id, rule.id)
        watch = self._watch(key)
        state, changes, wake_at_ms = step(rule, watch.state, event, now_ms)
        if state is not watch.state or wake_at_ms != watch.wake_at_ms:
            self.watches[key] = Watch(state, wake_at_ms, device.edge)
        self.found += [Found(device, rule, change) for change in changes]

    def _note_speaker(self, teller: TellerKey, at_ms: int) -> None:
        """Not at each reading, but often enough that no device which keeps its intervals looks silent."""
        if (device := self._device(teller)) is None:
            return
        patience_ms = self.facts.patience_ms(device.kind)
        known_ms = self.silent_from.get(teller) or self.facts.silent_from.get(teller)
        if known_ms is None or at_ms + patience_ms - known_ms >= min(NOTE_EVERY_MS, patience_ms // 5):
            self.silent_from[teller] = at_ms + patience_ms

    def _can_be_true(self, device: Device, reading: Reading) -> bool:
        kind = self.facts.kinds.get(device.kind)
        channel = kind.channels.get(reading.channel) if kind else None
        if channel is None:
            return False
        return reading.quality is Quality.BAD or mismatch(channel, reading.value, reading.unit) is None

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
            for rule in self.facts.rules.get(before.kind, ()):
                if self._watch((before.site, before.id, rule.id)).state != NEW:
                    self._forget(before.site, before.id, rule.id, why)

    def _forget(self, site: SiteId, device: DeviceId, rule: str, why: str) -> None:
        self.watches[site, device, rule] = Watch()
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

    def _edge(self, key: EdgeKey) -> Edge | None:
        return self.edges.get(key) or self.facts.edges.get(key)


def bound(rules: Rules, device: Device) -> tuple[Rule, ...]:
    return tuple(rule.for_device(device.settings) for rule in rules.get(device.kind, ()))
