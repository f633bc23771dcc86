"""The draft of a work: what is known, and over it what has come in and what that changes. Plain data, and how to look things up in it.

What is to be written lies here (`rules.store.facts`, `Facts.adopt`); what changes it is beside it, a noun in each file: `hearing`, `together` and `judgement`,
`overdue`, `count` and `enquiry`, `reports`, `strangers`. `Work` is what they are reached by.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from messages.ids import DeviceId, EdgeId, SiteId
from messages.reading import Reading
from rules.engine import contested
from rules.engine.found import Abandoned, Found
from rules.engine.memory.audience import Ear, Voice
from rules.engine.memory.beyond import Beyond
from rules.engine.memory.facts import Facts
from rules.engine.memory.plant import Device, DeviceKey, Edge, EdgeKey, StreamKey, TellerKey
from rules.engine.memory.watch import FORGOTTEN, Watch, Watched
from rules.engine.neighbourhood import Counted, QuestionKey
from rules.engine.stream import Stream
from rules.engine.timers import StateKey
from rules.language.rule import Rule
from rules.language.state import State

DEVICES_PER_EDGE = 10_000
"""As the collector: an edge that announces more is broken; it must not fill our memory."""


@dataclass(slots=True)
class Draft:
    """What is known, `facts`, and what is new: it lies over them."""

    facts: Facts
    devices: dict[TellerKey, Device | None] = field(default_factory=dict)
    """None: its edge has withdrawn it."""
    silent_from: dict[TellerKey, int | None] = field(default_factory=dict)
    edges: dict[EdgeKey, Edge | None] = field(default_factory=dict)
    """None: a person has said that it is gone."""
    streams: dict[StreamKey, Stream | None] = field(default_factory=dict)
    """None: forgotten."""
    beyond: dict[StreamKey, Beyond | None] = field(default_factory=dict)
    """What waits for missing packs (rules.engine.gap). None: nothing any more."""
    ahead: dict[StreamKey, dict[int, Sequence[Reading]]] = field(default_factory=dict)
    """Packs of this batch that came before others of their stream, by their numbers."""
    watches: dict[StateKey, Watched] = field(default_factory=dict)
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
    clearer: set[EdgeKey] = field(default_factory=set)
    """Edges of which it has turned out that their clock is further behind ours: what looked old may be fresh."""
    pending: list[tuple[SiteId, EdgeId, Reading]] = field(default_factory=list)
    """Readings that were collected, and not heard."""
    apart: set[DeviceKey] = field(default_factory=set)
    """Devices of which it was said now that they are of another kind than somebody else says."""
    asked: dict[QuestionKey, None] = field(default_factory=dict)
    """The questions whose answers have changed, and nobody was told."""
    together: dict[DeviceKey, tuple[Voice, Ear, State]] = field(default_factory=dict)
    """The state that all rules of an ear are in by now. Empty but while readings are heard."""
    waiting_of: Counter[EdgeKey] = field(init=False)
    waiting: int = field(init=False)
    """Of all edges together."""
    last_reading_at_ms: int | None = None

    def __post_init__(self) -> None:
        self.waiting_of = self.facts.waiting_of.copy()
        self.waiting = self.waiting_of.total()

    @property
    def empty(self) -> bool:
        return not (
            self.devices
            or self.edges
            or self.streams
            or self.beyond
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

    def told(self, site: SiteId, device_id: DeviceId) -> list[Device]:
        """The device, as each edge that announces it does."""
        edges = self.facts.tellers.get((site, device_id), set())
        edges = edges | {edge for of_site, edge, of_id in self.devices if (of_site, of_id) == (site, device_id)}
        return [device for edge in sorted(edges) if (device := self.device((site, edge, device_id)))]

    def rules_of(self, device: Device) -> tuple[Rule, ...]:
        if self.is_contested(device):
            return contested.rules_of(self, device)
        return self.facts.rules_of(device, self.watches)

    def voice_of(self, device: Device) -> Voice:
        if self.is_contested(device):
            return self.facts.voice(device, contested.rules_of(self, device))
        return self.facts.voice_of(device, self.watches)

    def is_contested(self, device: Device) -> bool:
        """Whether another edge says, or has said, that it is of another kind."""
        key = (device.site, device.id)
        return key in self.facts.apart or key in self.apart

    def look_for_rivals(self, device: Device) -> None:
        """An edge says anew what a device is."""
        if any(one.kind != device.kind for one in self.told(device.site, device.id)):
            self.apart.add((device.site, device.id))

    def device(self, key: TellerKey) -> Device | None:
        return self.devices[key] if key in self.devices else self.facts.devices.get(key)

    def edge(self, key: EdgeKey) -> Edge | None:
        return self.edges[key] if key in self.edges else self.facts.edges.get(key)

    def known_stream(self, key: StreamKey) -> Stream | None:
        return self.streams[key] if key in self.streams else self.facts.streams.get(key)

    def watch(self, key: StateKey) -> Watch:
        return Watch(*self.watched(key))

    def watched(self, key: StateKey) -> Watched:
        return self.watches.get(key) or self.facts.watches.get(key) or FORGOTTEN

    def counts_for(self, key: QuestionKey) -> Counted:
        return self.counted[key] if key in self.counted else self.facts.counted.get(key, {})

    def has_room(self, edge: EdgeKey) -> bool:
        """For one more device."""
        fresh = sum(key[:2] == edge and key not in self.facts.devices for key, device in self.devices.items() if device)
        return self.facts.devices_of[edge] + fresh < DEVICES_PER_EDGE

    def is_anothers(self, device: Device, teller: EdgeId | None) -> bool:
        """What was raised by what another edge, `teller`, says the device is: a rule of the same name, of another kind, neither ends nor
        changes it."""
        if teller is None or teller == device.edge:
            return False
        other = self.device((device.site, teller, device.id))
        return other is not None and other.kind != device.kind

    def behind_ms(self, teller: TellerKey | EdgeKey) -> int:
        edge = self.edge(teller[:2])
        return edge.behind_ms if edge else 0
