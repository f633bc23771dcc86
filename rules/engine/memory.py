"""What the engine knows: devices, edges, streams, the state of each rule of each device. Loaded from the database at start.

Changed by `adopt` alone, when a work has been written (rules.engine.work): this memory never knows more than the database.
"""

import math
import sys
from collections import Counter
from collections.abc import Collection, Generator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from messages.announcement import Place
from messages.ids import DeviceId, EdgeId, SiteId, StreamId
from messages.kind import Channel, Kind, Kinds
from messages.reading import Reading, Value
from rules.engine.neighbourhood import Counted, QuestionKey
from rules.engine.skew import NOTABLE_MS, Skew
from rules.engine.stream import Stream
from rules.engine.timers import MOST_DANGEROUS, StateKey, Timers, danger
from rules.language.answering import with_answers
from rules.language.code import Compute
from rules.language.neighbours import Whereabouts, whereabouts
from rules.language.rule import Rule, Rules
from rules.language.state import NEW, State, is_raised, is_running
from rules.language.terms import those_holding

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


MARK = "@"
"""In the name of a rule's state that is kept apart from another kind's (rules.engine.contested)."""


class Watch(NamedTuple):
    """The state of one rule of one device, and when it wants a Timer. Kept without its names (`Watched`): `Watch(*one)` names it."""

    state: State = NEW
    wake_at_ms: int | None = None
    edge: EdgeId | None = None
    """Who spoke last."""
    version: str | None = None
    """Of the rule that this is the state of."""


Watched = tuple[State, int | None, EdgeId | None, str | None]
"""A `Watch` without its names: there is a new one with each reading, and a plain tuple is made in a fifth of the time."""

FORGOTTEN: Watched = (NEW, None, None, None)
"""What is known of nothing."""


class Ear(NamedTuple):
    """What a channel may say, and which rules want to know it. Devices of a kind share their ears, unless their settings differ."""

    channel: Channel
    unit: str | None
    low: float
    high: float
    """Within them a number in its unit is believed at once; of a channel that is none, nothing is."""
    listeners: tuple[tuple[int, Rule, str, str], ...]
    """By their positions: a rule, its id, and the version of a state for which it is asked together with others: none that there is, if more than the last
    values decide."""
    events: frozenset[str]
    """The channel, if each reading of it counts."""
    raising: Compute | None
    """Which of the rules for which the last values decide would raise, by their positions."""
    many: bool
    """So many listen that it pays to write down later what their common state is."""


MANY = 8


class Audience(NamedTuple):
    """Who listens to devices of one kind."""

    ears: Mapping[str, Ear]
    """By channel."""
    rules: Mapping[str, Rule]
    """By their ids."""


@dataclass(slots=True)
class Voice:
    """A device that an edge speaks of."""

    device: Device
    ears: Mapping[str, Ear]
    rules: Mapping[str, Rule]
    noted_until_ms: float = -math.inf
    """A word before this tells nothing new about its silence."""


_NO_SPAN = (1.0, 0.0)
_ANY_NUMBER = (-sys.float_info.max, sys.float_info.max)


def _ear(name: str, channel: Channel, rules: list[Rule]) -> Ear:
    low, high = _ANY_NUMBER if channel.type == "number" else _NO_SPAN
    if channel.type == "number" and channel.range:
        low, high = channel.range
    listeners = tuple((at, rule, rule.id, rule.version if rule.plain else "") for at, rule in enumerate(rules))
    events = frozenset({name}) if channel.event else frozenset[str]()
    return Ear(channel, channel.unit, low, high, listeners, events, _together(rules), len(rules) >= MANY)


def _audience(kind: Kind | None, rules: tuple[Rule, ...]) -> Audience:
    ears = {
        name: _ear(name, channel, [rule for rule in rules if name in rule.channels])
        for name, channel in (kind.channels if kind else {}).items()
    }
    return Audience(ears, {rule.id: rule for rule in rules})


def _together(rules: list[Rule]) -> Compute | None:
    settings: dict[str, Value] = {}
    plain = {position: rule for position, rule in enumerate(rules) if rule.plain}
    for rule in plain.values():
        used = {name: rule.settings[name] for name in rule.raise_when.settings if name in rule.settings}
        if any(settings.get(name, value) != value for name, value in used.items()):
            return None
        settings |= used
    sentences = tuple((position, rule.raise_when.write) for position, rule in plain.items())
    return those_holding(sentences)(settings) if sentences else None


NO_WATCHES: Mapping[StateKey, Watched] = {}
NO_VOICES: Mapping[DeviceId, Voice] = {}

NOTE_EVERY_MS = 60_000
"""How often it is written down that a device speaks, where its intervals don't ask for more."""

MOST_AUDIENCES = 10_000
"""Of one kind of device, by their settings: if there are more, all are made anew as they are needed."""


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
    watches: dict[StateKey, Watched] = field(default_factory=dict)
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
    apart: set[DeviceKey] = field(default_factory=set)
    """Devices of which two kinds are told, or were since the start (rules.engine.contested)."""
    bygone: dict[DeviceKey, dict[str, str]] = field(default_factory=dict)
    """Which rules of a device still run in an earlier version, by their ids."""
    _timers: Timers = field(default_factory=Timers)
    _danger: dict[str, int] = field(default_factory=dict)
    """In which row the timers of a rule stand, by its version."""
    _suited: dict[str, dict[frozenset[tuple[str, type, Value]], tuple[Rule, ...]]] = field(default_factory=dict)
    """Rules with devices' own settings, by the kind and the settings."""
    _voices: dict[EdgeKey, dict[DeviceId, Voice]] = field(default_factory=dict)
    _audiences: dict[str, dict[tuple[Rule, ...], Audience]] = field(default_factory=dict)
    """By the kind and the rules: devices of one kind share theirs, unless their settings differ."""
    _named: dict[tuple[Rule, str], Rule] = field(default_factory=dict)
    """Rules under other names than their own."""
    _patience_ms: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for (site, edge, _), readings in self.waiting.items():
            self.waiting_of[site, edge] += len(readings)
        for site, edge, device in self.devices:
            self.devices_of[site, edge] += 1
            self.tellers.setdefault((site, device), set()).add(edge)
        self.apart = {key for key, edges in self.tellers.items() if len(edges) > 1 and self._of_two_kinds(key)}
        self.apart |= {(site, device) for site, device, rule in self.watches if MARK in rule}
        self._note_bygone()
        self._set_timers()
        for one in self.devices.values():
            for rule in self.rules_of(one) if self._answers(one.kind) else ():
                watch = self.watches.get((one.site, one.id, rule.id))
                if rule.answers and watch and is_raised(watch[0]):
                    known = self.counted.get((one.site, rule.answers), {})
                    self.counted[one.site, rule.answers] = {**known, one.id: where(one)}

    def _set_timers(self) -> None:
        of_kinds = (rule for rules in self.rules.values() for rule in rules)
        self._danger = {rule.version: danger(rule) for rule in (*self.earlier.values(), *of_kinds)}
        self._timers = Timers()
        for key, (_, wake_at_ms, _, version) in self.watches.items():
            if wake_at_ms is not None:
                self._timers.add(key, wake_at_ms, self._danger.get(version or "", MOST_DANGEROUS))

    def _of_two_kinds(self, key: DeviceKey) -> bool:
        return len({self.devices[key[0], edge, key[1]].kind for edge in self.tellers[key]}) > 1

    def has_rule(self, kind: str, name: str) -> bool:
        """Whether a rule of that name is in force for a kind."""
        return any(rule.id == name for rule in self.rules.get(kind, ()))

    def named(self, rule: Rule, name: str) -> Rule:
        """The rule under another name."""
        if rule.id == name:
            return rule
        if (known := self._named.get((rule, name))) is None:
            if len(self._named) >= MOST_AUDIENCES:
                self._named.clear()
            known = self._named[rule, name] = rule.named(name)
        return known

    def _answers(self, kind: str) -> bool:
        return any(rule.answers for rule in self.rules.get(kind, ()))

    def disputed(self, site: SiteId) -> list[DeviceId]:
        """The devices of which two edges say different things: what they are, or where."""
        found = []
        for (of, device), edges in self.tellers.items():
            if of == site and len(edges) > 1:
                told = {
                    (one.kind, one.place.model_dump_json())
                    for one in (self.devices[of, edge, device] for edge in edges)
                }
                found += [device] if len(told) > 1 else []
        return found

    def replace_rules(self, rules: Rules) -> None:
        """Other rules are in force from now on. What runs stays as it was: `Work.renew` says what becomes of the rest."""
        known = {rule.version: rule for some in self.rules.values() for rule in some if rule.written}
        self.earlier = {**self.earlier, **known}
        self.rules = rules
        self._audiences.clear()
        self._suited.clear()
        self._named.clear()
        self._voices.clear()
        self._note_bygone()
        self._set_timers()

    def _note_bygone(self) -> None:
        current = {rule.version for some in self.rules.values() for rule in some}
        self.bygone = {}
        for (site, device, rule), (state, _, _, version) in self.watches.items():
            if version is None or version in current or version not in self.earlier:
                continue
            if is_running(state):
                self.bygone.setdefault((site, device), {})[rule] = version
        needed = {version for versions in self.bygone.values() for version in versions.values()}
        self.earlier = {version: rule for version, rule in self.earlier.items() if version in needed}
        if any(rule.questions for rule in self.earlier.values()):
            self.rules = with_answers(self.rules, self.kinds, self.earlier.values())

    def rules_of(self, device: Device, fresh: Mapping[StateKey, Watched] = NO_WATCHES) -> tuple[Rule, ...]:
        """The rules that judge it now, with its own settings: those of its kind, but for what runs in an earlier version.
        `fresh`: what is newer than this memory."""
        current = self.current_rules_of(device)
        if not self.bygone or (versions := self.bygone.get((device.site, device.id))) is None:
            return current
        earlier = {}
        for name, version in versions.items():
            key = (device.site, device.id, name)
            rule = self.earlier[version]
            if rule.kind == device.kind and Watch(*(fresh.get(key) or self.watches[key])).version == version:
                earlier[name] = self.named(rule.for_device(device.settings), name)
        return (*(earlier.pop(rule.id, rule) for rule in current), *earlier.values())

    def current_rules_of(self, device: Device) -> tuple[Rule, ...]:
        """The rules of its kind, with its own settings. Devices whose settings say the same to them share them."""
        rules = self.rules.get(device.kind, ())
        own = [(name, value) for name, value in device.settings.items() if any(name in rule.settings for rule in rules)]
        if not own:
            return rules
        known = self._suited.setdefault(device.kind, {})
        key = frozenset((name, type(value), value) for name, value in own)
        if key not in known:
            if len(known) >= MOST_AUDIENCES:
                known.clear()
            known[key] = tuple(rule.for_device(device.settings) for rule in rules)
        return known[key]

    def voice_of(self, device: Device, fresh: Mapping[StateKey, Watched] = NO_WATCHES) -> Voice:
        """A device, and who listens to it now. `fresh` as in `rules_of`."""
        key = (device.site, device.edge, device.id)
        if self.devices.get(key) is not device or key[::2] in self.bygone:
            return self.voice(device, self.rules_of(device, fresh))
        of_edge = self._voices.setdefault(key[:2], {})
        if (voice := of_edge.get(device.id)) is None:
            voice = of_edge[device.id] = self.voice(device, self.current_rules_of(device))
        return voice

    def voice(self, device: Device, rules: tuple[Rule, ...]) -> Voice:
        """A device that is judged by these rules, not remembered."""
        known = self._audiences.setdefault(device.kind, {})
        if (audience := known.get(rules)) is None:
            if len(known) >= MOST_AUDIENCES:
                known.clear()
            audience = known[rules] = _audience(self.kinds.get(device.kind), rules)
        voice = Voice(device, *audience)
        if (from_ms := self.silent_from.get((device.site, device.edge, device.id))) is not None:
            voice.noted_until_ms = from_ms - self.spoken_before_ms(device.kind)
        return voice

    def spoken_before_ms(self, kind: str) -> int:
        """How long before a device of `kind` would count as silent its next word is worth noting."""
        patience_ms = self.patience_ms(kind)
        return patience_ms - min(NOTE_EVERY_MS, patience_ms // 5)

    def voices_at_once(self, site: SiteId, edge: EdgeId) -> Mapping[DeviceId, Voice]:
        """The devices of an edge that have been heard before. All of them, as long as no rule runs in an earlier version."""
        return {} if self.bygone else self._voices.get((site, edge), {})

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
        return self._timers.next_ms(self._wakes_at_ms)

    def _wakes_at_ms(self, key: StateKey) -> int | None:
        watch = self.watches.get(key)
        return watch[1] if watch is not None else None

    def knows_of(self, edge: EdgeKey) -> bool:
        """Whether an edge, or anything of it, is remembered."""
        places: tuple[Collection[tuple[str, ...]], ...] = (self.edges, self.devices, self.streams, self.waiting)
        return any(key[:2] == edge for keys in places for key in keys)

    def due(self, now_ms: int) -> Generator[StateKey, None, None]:
        """The timers that are due, the most dangerous first; they stay until a work that woke them is adopted. To be closed before."""
        return self._timers.due(now_ms, self._wakes_at_ms)

    def adopt(self, work: "Work") -> None:
        """The work is written: it is true now."""
        for teller, device in work.devices.items():
            self._adopt_device(teller, device)
        _overlay(self.silent_from, work.silent_from)
        for (site, edge, device_id), from_ms in work.silent_from.items():
            if from_ms is not None and (voice := self._voices.get((site, edge), NO_VOICES).get(device_id)) is not None:
                voice.noted_until_ms = from_ms - self.spoken_before_ms(voice.device.kind)
        _overlay(self.edges, work.edges)
        self.counted |= work.counted
        self._keep_apart(work.apart)
        _overlay(self.streams, work.streams)
        self._adopt_watches(work.watches)
        for teller in work.awaited:
            self.waiting.pop(teller, None)
        for teller, readings in work.stranded.items():
            self.waiting.setdefault(teller, []).extend(readings)
        self.waiting_of = work.waiting_of

    def _keep_apart(self, devices: Collection[DeviceKey]) -> None:
        self.apart |= set(devices)
        for site, device in devices:
            for edge in self.tellers.get((site, device), ()):
                self._voices.get((site, edge), {}).pop(device, None)

    def _adopt_watches(self, watches: Mapping[StateKey, Watched]) -> None:
        notable = [key for key, (_, wake_at_ms, edge, _) in watches.items() if wake_at_ms is not None or edge is None]
        forgotten = [key for key in notable if watches[key] == FORGOTTEN]
        for key in notable:
            self._set_timer(key, Watch(*watches[key]))
        if self.bygone:
            self._let_go(watches)
        self.watches.update(watches)
        for key in forgotten:  # of a device that is gone nothing is left behind
            del self.watches[key]

    def _let_go(self, watches: Mapping[StateKey, Watched]) -> None:
        """What ran in an earlier version, and does so no longer."""
        for key, (_, _, _, version) in watches.items():
            if (versions := self.bygone.get(key[:2])) and versions.get(key[2]) != version:
                versions.pop(key[2], None)
                if not versions:
                    del self.bygone[key[:2]]

    def _set_timer(self, key: StateKey, watch: Watch) -> None:
        before, at_ms = self.watches.get(key), watch.wake_at_ms
        if at_ms is not None and (before is None or before[1] != at_ms):
            self._timers.add(key, at_ms, self._danger.get(watch.version or "", MOST_DANGEROUS))

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
        self.apart |= other.apart
        self.earlier = {**self.earlier, **other.earlier}
        self._note_bygone()
        self._set_timers()

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
            self._voices,
        )
        for part in parts:
            for key in [key for key in part if key[0] in sites]:
                del part[key]
        self.apart = {key for key in self.apart if key[0] not in sites}
        self._set_timers()

    def _adopt_device(self, teller: TellerKey, device: Device | None) -> None:
        site, edge, device_id = teller
        self._voices.get(teller[:2], {}).pop(device_id, None)
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
