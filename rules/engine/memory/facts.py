"""The engine's facts: what was written is known, and nothing else. Loaded from the database at start.

Changed by `adopt` alone, when a work has been written (rules.engine.work): this memory never knows more than the database.
"""

from collections import Counter
from collections.abc import Collection, Generator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from messages.ids import DeviceId, EdgeId, SiteId
from messages.kind import Kinds
from messages.reading import Reading
from rules.engine.memory.audience import NO_VOICES, Audiences, Voice
from rules.engine.memory.beyond import Beyond
from rules.engine.memory.bygone import Bygone, let_go, still_running
from rules.engine.memory.plant import Device, DeviceKey, Edge, EdgeKey, StreamKey, TellerKey, where
from rules.engine.memory.silence import patience_ms, spoken_before_ms
from rules.engine.memory.variants import Variants
from rules.engine.memory.watch import FORGOTTEN, MARK, NO_WATCHES, Watch, Watched
from rules.engine.neighbourhood import Counted, QuestionKey
from rules.engine.stream import Stream
from rules.engine.timers import MOST_DANGEROUS, StateKey, Timers, danger
from rules.language.answering import with_answers
from rules.language.rule import Rule, Rules
from rules.language.state import is_raised

if TYPE_CHECKING:
    from rules.engine.work import Work

K = TypeVar("K")
V = TypeVar("V")


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
    beyond: dict[StreamKey, Beyond] = field(default_factory=dict)
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
    bygone: Bygone = field(default_factory=dict)
    variants: Variants = field(default_factory=Variants)
    """Of rules, by devices' own settings and by other names."""
    _timers: Timers = field(default_factory=Timers)
    _danger: dict[str, int] = field(default_factory=dict)
    """In which row the timers of a rule stand, by its version."""
    _voices: dict[EdgeKey, dict[DeviceId, Voice]] = field(default_factory=dict)
    _audiences: Audiences = field(default_factory=Audiences)
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
        answering = {kind for kind in self.rules if self._answers(kind)}
        for one in self.devices.values():
            for rule in self.rules_of(one) if one.kind in answering else ():
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
        self.variants.clear()
        self._voices.clear()
        self._note_bygone()
        self._set_timers()

    def _note_bygone(self) -> None:
        self.bygone = still_running(self.watches, self.rules, self.earlier)
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
                earlier[name] = self.variants.named(rule.for_device(device.settings), name)
        return (*(earlier.pop(rule.id, rule) for rule in current), *earlier.values())

    def settled(self) -> set[StateKey]:
        """The states that are beyond doubt of the rules in force: one edge alone speaks of the device, and nothing of it runs by an earlier one."""
        versions = {(kind, rule.id): rule.version for kind, rules in self.rules.items() for rule in rules}
        doubtful = self.apart | self.bygone.keys()
        kinds = {
            (site, device): one.kind
            for (site, _, device), one in self.devices.items()
            if len(self.tellers[site, device]) == 1 and (site, device) not in doubtful
        }
        return {
            (site, device, name)
            for (site, device, name), (_, _, _, version) in self.watches.items()
            if version is not None and versions.get((kinds.get((site, device), ""), name)) == version
        }

    def current_rules_of(self, device: Device) -> tuple[Rule, ...]:
        """The rules of its kind, with its own settings. Devices whose settings say the same to them share them."""
        return self.variants.of(device.kind, self.rules.get(device.kind, ()), device.settings)

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
        voice = Voice(device, *self._audiences.of(device.kind, self.kinds.get(device.kind), rules))
        if (from_ms := self.silent_from.get((device.site, device.edge, device.id))) is not None:
            voice.noted_until_ms = from_ms - self.spoken_before_ms(device.kind)
        return voice

    def spoken_before_ms(self, kind: str) -> int:
        """How long before a device of `kind` would count as silent its next word is worth noting."""
        return spoken_before_ms(self.patience_ms(kind))

    def voices_at_once(self, site: SiteId, edge: EdgeId) -> Mapping[DeviceId, Voice]:
        """The devices of an edge that have been heard before. All of them, as long as no rule runs in an earlier version."""
        return {} if self.bygone else self._voices.get((site, edge), {})

    def patience_ms(self, kind: str) -> int:
        """How long a device of `kind` may say nothing."""
        if kind not in self._patience_ms:
            self._patience_ms[kind] = patience_ms(self.kinds.get(kind))
        return self._patience_ms[kind]

    def next_wake_ms(self) -> int | None:
        """When the next timer is due, or a gap is waited for no longer."""
        due_ms = self._timers.next_ms(self._wakes_at_ms)
        if self.beyond:
            moments = [one.until_ms for one in self.beyond.values() if one.until_ms is not None]
            due_ms = min(moments if due_ms is None else (due_ms, *moments), default=None)
        return due_ms

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
        _overlay(self.beyond, work.beyond)
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
            let_go(self.bygone, watches)
        self.watches.update(watches)
        for key in forgotten:  # of a device that is gone nothing is left behind
            del self.watches[key]

    def _set_timer(self, key: StateKey, watch: Watch) -> None:
        before, at_ms = self.watches.get(key), watch.wake_at_ms
        if at_ms is not None and (before is None or before[1] != at_ms):
            self._timers.add(key, at_ms, self._danger.get(watch.version or "", MOST_DANGEROUS))

    def take_over(self, other: "Facts") -> None:
        """Know of further sites what `other`, made for the same rules, knows of them."""
        self.devices |= other.devices
        self.edges |= other.edges
        self.streams |= other.streams
        self.beyond |= other.beyond
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
            self.beyond,
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
