"""What the engine knows, and what a batch of messages makes of it. Facts in, changes out: no clock, no database.

`Facts` is the memory, loaded from the database at start. A `Work` lies over it: messages go into the work in the
order in which they came, the work is written in one transaction (`rules.facts`), and only then do the facts adopt
it. A work that was never written never happened.
"""

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from messages.announcement import Announcement, Place
from messages.ids import DeviceId, EdgeId, SiteId, StreamId
from messages.kind import Kinds, mismatch
from messages.ranges import Range, holds, merged
from messages.reading import Quality, Reading, Value
from rules.evaluation import NEW, Change, State, Timer, step
from rules.rule import Rule, Rules

MOST_WAITING = 10_000
"""Readings of unannounced devices that are kept. The first ones stay; what comes after is dropped and counted."""

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
class Stream:
    """Which packs of a stream were heard, and the highest number that is known to exist."""

    heard: tuple[Range, ...] = ()
    said: int = 0


@dataclass(frozen=True, slots=True)
class Watch:
    """The state of one rule of one device, and when it wants a Timer."""

    state: State = NEW
    wake_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What a rule found out about a device."""

    device: Device
    rule: Rule
    change: Change


@dataclass(slots=True)
class Facts:
    """The committed truth. Changed by `adopt` alone."""

    kinds: Kinds
    rules: Rules
    devices: dict[DeviceKey, Device] = field(default_factory=dict)
    edges: dict[EdgeKey, Edge] = field(default_factory=dict)
    streams: dict[StreamKey, Stream] = field(default_factory=dict)
    watches: dict[StateKey, Watch] = field(default_factory=dict)
    waiting: dict[TellerKey, list[Reading]] = field(default_factory=dict)
    _timers: list[tuple[int, StateKey]] = field(default_factory=list)
    _bound: dict[DeviceKey, tuple[Rule, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._timers = [(watch.wake_at_ms, key) for key, watch in self.watches.items() if watch.wake_at_ms is not None]
        heapq.heapify(self._timers)

    def rules_of(self, device: Device) -> tuple[Rule, ...]:
        """The rules of its kind, with its own settings."""
        key = (device.site, device.id)
        if self.devices.get(key) is not device:
            return bound(self.rules, device)
        if key not in self._bound:
            self._bound[key] = bound(self.rules, device)
        return self._bound[key]

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
        for device in work.devices:
            self._bound.pop(device, None)
        self.devices |= work.devices
        self.edges |= work.edges
        self.streams |= work.streams
        for key, watch in work.watches.items():
            before = self.watches.get(key)
            self.watches[key] = watch
            if watch.wake_at_ms is not None and (before is None or before.wake_at_ms != watch.wake_at_ms):
                heapq.heappush(self._timers, (watch.wake_at_ms, key))
        for teller in work.awaited:
            self.waiting.pop(teller, None)
        for teller, readings in work.stranded.items():
            self.waiting.setdefault(teller, []).extend(readings)

    def _is_stale(self, at_ms: int, key: StateKey) -> bool:
        return self.watches[key].wake_at_ms != at_ms


@dataclass(slots=True)
class Work:
    """What came in, and what it changes. To be written whole."""

    facts: Facts
    devices: dict[DeviceKey, Device] = field(default_factory=dict)
    edges: dict[EdgeKey, Edge] = field(default_factory=dict)
    streams: dict[StreamKey, Stream] = field(default_factory=dict)
    watches: dict[StateKey, Watch] = field(default_factory=dict)
    found: list[Found] = field(default_factory=list)
    stranded: dict[TellerKey, list[Reading]] = field(default_factory=dict)
    """Readings of devices that nobody has announced: they wait."""
    awaited: list[TellerKey] = field(default_factory=list)
    """Devices whose waiting readings were taken."""
    readings: int = 0
    refused: int = 0
    """Readings that can't be true for their device's kind; the collector keeps them in quarantine."""
    dropped: int = 0
    """Readings of unannounced devices for which there was no room."""
    last_reading_at_ms: int | None = None

    @property
    def empty(self) -> bool:
        return not (self.devices or self.edges or self.streams or self.watches or self.stranded or self.readings)

    def announce(self, site: SiteId, edge: EdgeId, device_id: DeviceId, said: Announcement, now_ms: int) -> None:
        """An edge says what a device is; readings that waited for this are heard now."""
        device = Device(
            site=site,
            edge=edge,
            id=device_id,
            kind=said.kind,
            model=said.model,
            place=said.place,
            settings=said.settings,
        )
        key = (site, device_id)
        if self._device(key) != device:
            self.devices[key] = device
        teller = (site, edge, device_id)
        waiting = self.stranded.pop(teller, [])
        if teller in self.facts.waiting and teller not in self.awaited:
            self.awaited.append(teller)
            waiting = self.facts.waiting[teller] + waiting
        self.hear(site, edge, waiting, now_ms)

    def status(self, site: SiteId, edge: EdgeId, *, online: bool, at_ms: int) -> None:
        """An edge came, went, or said again that it is there."""
        known = self._edge((site, edge))
        if known is None or known.online != online:
            last_ms = known.last_reading_at_ms if known else None
            self.edges[site, edge] = Edge(online, at_ms, last_ms)

    def said(self, stream: StreamKey, number: int) -> None:
        """Somebody knows of pack `number`: all up to it exist, or did."""
        known = self.stream(stream)
        if number > known.said:
            self.streams[stream] = replace(known, said=number)

    def is_heard(self, stream: StreamKey, number: int) -> bool:
        return holds(self.stream(stream).heard, number)

    def heard(self, stream: StreamKey, number: int) -> None:
        """The readings of pack `number` are in this work or were in an earlier one."""
        known = self.stream(stream)
        self.streams[stream] = Stream(tuple(merged((*known.heard, (number, number)))), max(known.said, number))

    def stream(self, key: StreamKey) -> Stream:
        return self.streams.get(key) or self.facts.streams.get(key) or Stream()

    def hear(self, site: SiteId, edge: EdgeId, readings: Iterable[Reading], now_ms: int) -> None:
        """Apply readings in their order."""
        newest = None
        for reading in readings:
            device = self._device((site, reading.device))
            if device is None or device.edge != edge:
                self._strand((site, edge, reading.device), reading)
                continue
            if not self._can_be_true(device, reading):
                self.refused += 1
                continue
            self.readings += 1
            newest = max(newest or 0, min(reading.at_ms, now_ms))
            for rule in self.facts.rules_of(device):
                self._step(device, rule, reading, now_ms)
        if newest is not None:
            known = self._edge((site, edge)) or Edge(online=True, since_ms=now_ms)
            self.edges[site, edge] = replace(known, last_reading_at_ms=max(known.last_reading_at_ms or 0, newest))
            self.last_reading_at_ms = max(self.last_reading_at_ms or 0, newest)

    def wake(self, now_ms: int) -> None:
        """Fire the timers that are due."""
        for site, device_id, rule_id in self.facts.due(now_ms):
            device = self._device((site, device_id))
            rules = self.facts.rules_of(device) if device else ()
            rule = next((rule for rule in rules if rule.id == rule_id), None)
            if device and rule:
                self._step(device, rule, Timer(), now_ms)
            else:  # the rule, or the device, is no longer what it was: nobody is left to ask
                self.watches[site, device_id, rule_id] = Watch()

    def _step(self, device: Device, rule: Rule, event: Reading | Timer, now_ms: int) -> None:
        key = (device.site, device.id, rule.id)
        watch = self.watches.get(key) or self.facts.watches.get(key) or Watch()
        state, changes, wake_at_ms = step(rule, watch.state, event, now_ms)
        if state is not watch.state or wake_at_ms != watch.wake_at_ms:
            self.watches[key] = Watch(state, wake_at_ms)
        self.found += [Found(device, rule, change) for change in changes]

    def _can_be_true(self, device: Device, reading: Reading) -> bool:
        kind = self.facts.kinds.get(device.kind)
        channel = kind.channels.get(reading.channel) if kind else None
        if channel is None:
            return False
        return reading.quality is Quality.BAD or mismatch(channel, reading.value, reading.unit) is None

    def _strand(self, teller: TellerKey, reading: Reading) -> None:
        waiting = (*self.facts.waiting.values(), *self.stranded.values())
        if sum(map(len, waiting)) < MOST_WAITING:
            self.stranded.setdefault(teller, []).append(reading)
        else:
            self.dropped += 1

    def _device(self, key: DeviceKey) -> Device | None:
        return self.devices.get(key) or self.facts.devices.get(key)

    def _edge(self, key: EdgeKey) -> Edge | None:
        return self.edges.get(key) or self.facts.edges.get(key)


def bound(rules: Rules, device: Device) -> tuple[Rule, ...]:
    return tuple(rule.for_device(device.settings) for rule in rules.get(device.kind, ()))
