"""What the engine knows: devices, edges, streams, the state of each rule of each device. Loaded from the database at start.

Changed by `adopt` alone, when a work has been written (rules.engine.work): this memory never knows more than the database.
"""

import heapq
import sys
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from messages.announcement import Place
from messages.ids import DeviceId, EdgeId, SiteId, StreamId
from messages.kind import Channel, Kinds
from messages.reading import Reading, Value
from rules.engine.neighbourhood import Counted, QuestionKey
from rules.engine.skew import NOTABLE_MS, Skew
from rules.engine.stream import Stream
from rules.language.code import Compute
from rules.language.evaluation import NEW, State, is_running
from rules.language.neighbours import Whereabouts, whereabouts
from rules.language.rule import Rule, Rules, with_answers
from rules.language.terms import any_holding

if TYPE_CHECKING:
    from rules.engine.work import Work

K = TypeVar("K")
V = TypeVar("V")

SILENT_INTERVALS = 2.5
"""A device is silent that has said nothing for so many of its shortest intervals: every channel is sent at least once
in its own (section 4 of the field notes)."""
UNKNOWN_INTERVAL_S = 600.0
"""Of a kind that we don't know; nothing that such a device says is understood."""
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
    clock_trusted: bool = True
    skew: Skew | None = None
    """None: it has not said what its clock shows."""

    @property
    def behind_ms(self) -> int:
        """By how much its readings look older than they are."""
        return self.skew.ahead_ms if self.skew and self.skew.ahead_ms > NOTABLE_MS else 0


class Watch(NamedTuple):
    """The state of one rule of one device, and when it wants a Timer."""

    state: State = NEW
    wake_at_ms: int | None = None
    edge: EdgeId | None = None
    """Who spoke last."""
    version: str | None = None
    """Of the rule that this is the state of."""


FORGOTTEN = Watch()
"""What is known of nothing."""


class Ear(NamedTuple):
    """What a channel of a device may say, and who wants to know it."""

    device: Device
    channel: Channel
    span: tuple[float, float]
    """Within it a number is believed at once; of a channel that is none, it is empty."""
    rules: tuple[tuple[Rule, StateKey], ...]
    event: bool
    any_raises: Compute | None
    """Whether any of the rules would raise, if they are several and the last values decide for all of them."""


_NO_SPAN = (1.0, 0.0)
_ANY_NUMBER = (-sys.float_info.max, sys.float_info.max)


def _ear(device: Device, name: str, channel: Channel, rules: tuple[tuple[Rule, StateKey], ...]) -> Ear:
    low, high = _ANY_NUMBER if channel.type == "number" else _NO_SPAN
    if channel.type == "number" and channel.range:
        low, high = channel.range
    return Ear(device, channel, (low, high), rules, channel.event, _together([rule for rule, _ in rules]))


def _together(rules: list[Rule]) -> Compute | None:
    settings: dict[str, Value] = {}
    for rule in rules:
        used = {name: rule.settings[name] for name in rule.raise_when.settings if name in rule.settings}
        if not rule.plain or any(settings.get(name, value) != value for name, value in used.items()):
            return None
        settings |= used
    return any_holding(tuple(rule.raise_when.write for rule in rules))(settings) if len(rules) > 1 else None


NO_WATCHES: Mapping[StateKey, Watch] = {}


@dataclass(slots=True)
class Facts:
    """The committed truth. Changed by `adopt` alone."""

    kinds: Kinds
    rules: Rules
    earlier: Mapping[str, Rule] = field(default_factory=dict)
    """Rules that were in force once, by their versions: what one of them raised it goes on judging until it is over."""
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
    counted: dict[QuestionKey, Counted] = field(default_factory=dict)
    """Who counts for a question about the neighbourhood."""
    bygone: dict[DeviceKey, dict[str, str]] = field(default_factory=dict)
    """Which rules of a device still run in an earlier version, by their ids."""
    _timers: dict[int, list[StateKey]] = field(default_factory=dict)
    """Who is to be woken, by the moment."""
    _moments: list[int] = field(default_factory=list)
    """Those moments: a heap."""
    _bound: dict[TellerKey, tuple[Rule, ...]] = field(default_factory=dict)
    _ears: dict[TellerKey, Mapping[str, Ear]] = field(default_factory=dict)
    _patience_ms: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for (site, edge, _), readings in self.waiting.items():
            self.waiting_of[site, edge] += len(readings)
        for site, edge, device in self.devices:
            self.devices_of[site, edge] += 1
            self.tellers.setdefault((site, device), set()).add(edge)
        self._set_timers()
        self._note_bygone()
        for one in self.devices.values():
            for rule in self.rules_of(one) if self._answers(one.kind) else ():
                watch = self.watches.get((one.site, one.id, rule.id))
                if rule.answers and watch and watch.state.live.raised_at_ms is not None:
                    known = self.counted.get((one.site, rule.answers), {})
                    self.counted[one.site, rule.answers] = {**known, one.id: where(one)}

    def _set_timers(self) -> None:
        self._timers = {}
        for key, watch in self.watches.items():
            if watch.wake_at_ms is not None:
                self._timers.setdefault(watch.wake_at_ms, []).append(key)
        self._moments = list(self._timers)
        heapq.heapify(self._moments)

    def _answers(self, kind: str) -> bool:
        return any(rule.answers for rule in self.rules.get(kind, ()))

    def replace_rules(self, rules: Rules) -> None:
        """Other rules are in force from now on. What runs stays as it was: `Work.renew` says what becomes of the rest."""
        known = {rule.version: rule for some in self.rules.values() for rule in some if rule.written}
        self.earlier = {**self.earlier, **known}
        self.rules = rules
        self._bound.clear()
        self._ears.clear()
        self._note_bygone()

    def _note_bygone(self) -> None:
        current = {rule.version for some in self.rules.values() for rule in some}
        self.bygone = {}
        for (site, device, rule), watch in self.watches.items():
            if watch.version is None or watch.version in current or watch.version not in self.earlier:
                continue
            if is_running(watch.state):
                self.bygone.setdefault((site, device), {})[rule] = watch.version
        needed = {version for versions in self.bygone.values() for version in versions.values()}
        self.earlier = {version: rule for version, rule in self.earlier.items() if version in needed}
        if any(rule.questions for rule in self.earlier.values()):
            self.rules = with_answers(self.rules, self.kinds, self.earlier.values())

    def rules_of(self, device: Device, fresh: Mapping[StateKey, Watch] = NO_WATCHES) -> tuple[Rule, ...]:
        """The rules that judge it now, with its own settings: those of its kind, but for what runs in an earlier version.
        `fresh`: what is newer than this memory."""
        current = self.current_rules_of(device)
        if not self.bygone or (versions := self.bygone.get((device.site, device.id))) is None:
            return current
        earlier = {}
        for name, version in versions.items():
            key = (device.site, device.id, name)
            rule = self.earlier[version]
            if rule.kind == device.kind and (fresh.get(key) or self.watches[key]).version == version:
                earlier[name] = rule.for_device(device.settings)
        return (*(earlier.pop(rule.id, rule) for rule in current), *earlier.values())

    def current_rules_of(self, device: Device) -> tuple[Rule, ...]:
        """The rules of its kind, with its own settings."""
        key = (device.site, device.edge, device.id)
        if self.devices.get(key) is not device:
            return bound(self.rules, device)
        if key not in self._bound:
            self._bound[key] = bound(self.rules, device)
        return self._bound[key]

    def ears_of(self, device: Device, fresh: Mapping[StateKey, Watch] = NO_WATCHES) -> Mapping[str, Ear]:
        """By channel: who listens to a device now. `fresh` as in `rules_of`."""
        key = (device.site, device.edge, device.id)
        if self.devices.get(key) is not device or key[::2] in self.bygone:
            return self._listening(device, self.rules_of(device, fresh))
        if key not in self._ears:
            self._ears[key] = self._listening(device, self.current_rules_of(device))
        return self._ears[key]

    def _listening(self, device: Device, rules: tuple[Rule, ...]) -> Mapping[str, Ear]:
        kind = self.kinds.get(device.kind)
        keyed = [(rule, (device.site, device.id, rule.id)) for rule in rules]
        return {
            name: _ear(device, name, channel, tuple((rule, key) for rule, key in keyed if name in rule.channels))
            for name, channel in (kind.channels if kind else {}).items()
        }

    def ears_at_once(self) -> Mapping[TellerKey, Mapping[str, Ear]]:
        """Who listens to the devices that have been heard before. Of all of them, as long as no rule runs in an earlier version."""
        return {} if self.bygone else self._ears

    def patience_ms(self, kind: str) -> int:
        """How long a device of `kind` may say nothing."""
        if kind not in self._patience_ms:
            self._patience_ms[kind] = self._patience_of(kind)
        return self._patience_ms[kind]

    def _patience_of(self, kind: str) -> int:
        known = self.kinds.get(kind)
        interval_s = min(one.interval_s for one in known.channels.values()) if known else UNKNOWN_INTERVAL_S
        return round(SILENT_INTERVALS * interval_s * 1000)

    def next_wake_ms(self) -> int | None:
        """When the next timer is due."""
        while self._moments:
            at_ms = self._moments[0]
            keys = self._timers[at_ms]
            while keys and self._wakes_at_ms(keys[-1]) != at_ms:
                keys.pop()
            if keys:
                return at_ms
            del self._timers[heapq.heappop(self._moments)]
        return None

    def _wakes_at_ms(self, key: StateKey) -> int | None:
        watch = self.watches.get(key)
        return watch.wake_at_ms if watch is not None else None

    def knows_of(self, edge: EdgeKey) -> bool:
        """Whether an edge, or anything of it, is remembered."""
        places: tuple[Collection[tuple[str, ...]], ...] = (self.edges, self.devices, self.streams, self.waiting)
        return any(key[:2] == edge for keys in places for key in keys)

    def due(self, now_ms: int, most: int) -> list[StateKey]:
        """The timers that are due, in their order, but no more than `most`; they stay until a work that woke them is adopted."""
        found, moments = list[StateKey](), list[int]()
        while len(found) < most and (at_ms := self.next_wake_ms()) is not None and at_ms <= now_ms:
            moments.append(heapq.heappop(self._moments))
            keys = {key for key in self._timers[at_ms] if self._wakes_at_ms(key) == at_ms}
            self._timers[at_ms] = sorted(keys)
            found += self._timers[at_ms][: most - len(found)]
        for at_ms in moments:
            heapq.heappush(self._moments, at_ms)
        return found

    def adopt(self, work: "Work") -> None:
        """The work is written: it is true now."""
        for teller, device in work.devices.items():
            self._adopt_device(teller, device)
        _overlay(self.silent_from, work.silent_from)
        _overlay(self.edges, work.edges)
        self.counted |= work.counted
        _overlay(self.streams, work.streams)
        self._adopt_watches(work.watches)
        for teller in work.awaited:
            self.waiting.pop(teller, None)
        for teller, readings in work.stranded.items():
            self.waiting.setdefault(teller, []).extend(readings)
        self.waiting_of = work.waiting_of

    def _adopt_watches(self, watches: Mapping[StateKey, Watch]) -> None:
        forgotten = list[StateKey]()
        for key, watch in watches.items():
            if watch[1] is not None:
                self._set_timer(key, watch[1])
            elif watch[2] is None and watch == FORGOTTEN:  # of a device that is gone nothing is left behind
                forgotten.append(key)
            if self.bygone and (versions := self.bygone.get(key[:2])) and versions.get(key[2]) != watch.version:
                versions.pop(key[2], None)
                if not versions:
                    del self.bygone[key[:2]]
        self.watches.update(watches)
        for key in forgotten:
            del self.watches[key]

    def _set_timer(self, key: StateKey, at_ms: int) -> None:
        before = self.watches.get(key)
        if before is not None and before.wake_at_ms == at_ms:
            return
        if (keys := self._timers.get(at_ms)) is None:
            self._timers[at_ms] = [key]
            heapq.heappush(self._moments, at_ms)
        else:
            keys.append(key)

    def take_over(self, other: "Facts") -> None:
        """Know of further sites what `other`, made for the same rules, knows of them."""
        self.devices |= other.devices
        self.edges |= other.edges
        self.streams |= other.streams
        self.watches |= other.watches
        self.waiting |= other.waiting
        self.silent_from |= other.silent_from
        self.waiting_of += other.waiting_of
        self.devices_of += other.devices_of
        self.tellers |= other.tellers
        self.counted |= other.counted
        self.earlier = {**self.earlier, **other.earlier}
        self._set_timers()
        self._note_bygone()

    def leave(self, sites: Collection[SiteId]) -> None:
        """Forget these sites: they are another worker's."""
        parts: tuple[dict[Any, Any], ...] = (
            self.devices,
            self.edges,
            self.streams,
            self.watches,
            self.waiting,
            self.silent_from,
            self.waiting_of,
            self.devices_of,
            self.tellers,
            self.counted,
            self.bygone,
            self._bound,
            self._ears,
        )
        for part in parts:
            for key in [key for key in part if key[0] in sites]:
                del part[key]
        self._set_timers()

    def _adopt_device(self, teller: TellerKey, device: Device | None) -> None:
        site, edge, device_id = teller
        self._bound.pop(teller, None)
        self._ears.pop(teller, None)
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


def _overlay(known: dict[K, V], news: Mapping[K, V | None]) -> None:
    """What is new, over what is known; None takes it away."""
    for key, value in news.items():
        if value is None:
            known.pop(key, None)
        else:
            known[key] = value


def where(device: Device) -> Whereabouts:
    return whereabouts(device.place, device.settings)


def bound(rules: Rules, device: Device) -> tuple[Rule, ...]:
    return tuple(rule.for_device(device.settings) for rule in rules.get(device.kind, ()))
