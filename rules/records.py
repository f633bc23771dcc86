"""What is read back from the rules' database: alarms with their cases, the log, and how alive the engine is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, Self

from messages.alarm import Level
from messages.announcement import Place
from messages.ids import DeviceId, EdgeId, SiteId
from messages.reading import Value
from messages.settings import Text
from rules.cases.policy import Policy


class AlarmState(StrEnum):
    """ISA-18.2 condition states (letters of its diagram in brackets); `pending` is ours."""

    NORM = "norm"
    """[A] inactive, nothing to do: the alarm is over."""
    PENDING = "pending"
    """The condition is true and its delay is running. Not shown to workers."""
    UNACK = "unack"
    """[B] active, nobody has looked."""
    ACKED = "acked"
    """[C] active, seen."""
    RTN_UNACK = "rtn_unack"
    """[D] back to normal by itself, and nobody has looked."""
    LATCH_UNACK = "latch_unack"
    """[E] back to normal at the sensor, but held until a person has checked; nobody has looked."""
    LATCH_ACK = "latch_ack"
    """[F] the same, seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """That a person keeps an alarm from calling people, for a time: it is shelved or out of service."""

    until_ms: int
    actor: str
    reason: str
    one_shot: bool = False
    """Of a shelved one: over as soon as the alarm returns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlays:
    """What lies over an alarm's state (ISA-18.2, letters G to I). It is judged and logged all the same."""

    shelved: Pause | None = None
    """[G] by a person, because it is a nuisance now."""
    out_of_service: Pause | None = None
    """[I] by a person, for maintenance."""
    suppressed: tuple[str, ...] = ()
    """[H] by design. Why, e.g. "permit p-1", "edge pi-1", "storm a1b2": each a word and an id."""
    uncertain: tuple[str, ...] = ()
    """Why it can't be known whether it still holds: "edge", "silent", "clock". It then never clears by itself."""
    chattering: bool = False
    """It comes and goes faster than people can look; it counts as active until it has been quiet."""
    stale: bool = False
    """It has been active for a day."""

    @property
    def annunciated(self) -> bool:
        """Whether it may call people."""
        return self.shelved is None and self.out_of_service is None and not self.suppressed


class CaseState(StrEnum):
    """The legs of a case 工单, and what may become of it beside them."""

    REPORTED = "reported"  # 上报
    REGISTERED = "registered"  # 受理
    DISPATCHED = "dispatched"  # 派遣
    ACCEPTED = "accepted"  # 接单
    ON_SITE = "on_site"  # 到场
    HANDLING = "handling"  # 处置
    FEEDBACK = "feedback"  # 反馈: done, and to be checked
    VERIFYING = "verifying"  # 核查
    CLOSED = "closed"  # 办结
    ARCHIVED = "archived"  # 归档
    REJECTED = "rejected"  # 退单: whoever had it gave it back
    REOPENED = "reopened"  # 返工
    SUSPENDED = "suspended"  # 挂账: it can't be done now
    CANCELLED = "cancelled"  # 误报, 注销
    MERGED = "merged"  # 并案: another case goes on with it


WAITING = frozenset(
    {
        CaseState.REPORTED,
        CaseState.REGISTERED,
        CaseState.DISPATCHED,
        CaseState.REJECTED,
        CaseState.REOPENED,
    }
)
"""Nobody has accepted it."""
TAKEN = frozenset({CaseState.ACCEPTED, CaseState.ON_SITE, CaseState.HANDLING})
"""Somebody works on it."""
DONE = frozenset({CaseState.FEEDBACK, CaseState.VERIFYING})
"""Said to be done, not checked."""
OVER = frozenset({CaseState.CLOSED, CaseState.ARCHIVED, CaseState.CANCELLED, CaseState.MERGED})
"""There is nothing left to do."""


Origin = Literal["alarm", "report", "ticket"]
"""Who brought it up: a sensor, a person on the spot, or another system."""


Presence = Literal["geofence", "code", "manual"]
"""How it is known that somebody is on the spot: where the phone is, the code on the asset, or his word."""


@dataclass(frozen=True, slots=True)
class Photo:
    """A picture that is kept as a file (rules.cases.photos); its name there is its hash."""

    sha256: str
    size: int
    media: str
    """"image/jpeg" …"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """The work that a situation causes. Every `_at_ms` is server time; a `_by_ms` is a promise, None if none."""

    id: str
    site: SiteId
    place: Place
    kind: str
    """The device kind, or the class of a report."""
    subject: str
    """The device that it began with; empty where there is none."""
    title: Text
    level: Level
    """The gravest that it ever was: levels only tighten."""
    origin: Origin
    policy: Policy
    """What is promised and who is called, frozen at the opening: later settings change no running case."""
    state: CaseState
    opened_at_ms: int
    clock_from_ms: int
    """From when the calls for somebody to accept count: the opening, a reopening, a rise of its level, an escalation by hand."""
    lat: float | None = None
    lon: float | None = None
    owner: str = ""
    """权属单位: whose asset it is."""
    situation: str = ""
    """The word by which rules make several alarms one case."""
    accept_by_ms: int | None = None
    arrive_by_ms: int | None = None
    handle_by_ms: int | None = None
    first_rung: int = 1
    """Where the calls begin: 1 grid, 2 street, 3 department."""
    rung: int = 1
    """How far up they have come."""
    escalated_at_ms: int | None = None
    dispatched_at_ms: int | None = None
    dispatched_to: str | None = None
    accepted_at_ms: int | None = None
    accepted_by: str | None = None
    checked_in_at_ms: int | None = None
    """报到: a department that was called is there."""
    checked_in_by: str | None = None
    on_site_at_ms: int | None = None
    on_site_by: str | None = None
    on_site_how: Presence | None = None
    handling_at_ms: int | None = None
    feedback_at_ms: int | None = None
    feedback_by: str | None = None
    outcome: str | None = None
    """One of `rules.cases.acts.OUTCOMES`, or of its CANCELLATIONS, or its SAFE."""
    photo: Photo | None = None
    verified_by: str | None = None
    """Who checks, or has checked. "rules" where a sensor has shown it."""
    closed_at_ms: int | None = None
    closed_by: str | None = None
    archived_at_ms: int | None = None
    extension_until_ms: int | None = None
    """Until when somebody asks for more time 延期; None: nobody does."""
    extension_by: str | None = None
    extension_at_ms: int | None = None
    suspended_until_ms: int | None = None
    """When it is to be looked at again."""
    reason: str = ""
    """Why it was last given back, suspended, escalated, cancelled or reopened."""
    reopened: int = 0
    """How often."""
    parent: str | None = None
    """The case that it was merged into."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One alarm of one (device, rule) with its case, as a page shows it."""

    id: str
    site: SiteId
    edge: EdgeId
    device: DeviceId
    kind: str
    rule: str
    level: Level
    state: AlarmState
    title: Text
    advice: Text | None
    """What to do first, e.g. "open the windows, touch no switch"."""
    place: Place
    raised_at_ms: int
    """When the condition had been true for its delay, by the readings' own time."""
    changed_at_ms: int
    known_at_ms: int
    """When the engine found it: later than `raised_at_ms` by the way through the chain, or by an outage."""
    late: bool
    """Found so long after it happened that it rings no phone (guarantee 5); it then has no case."""
    evidence: Mapping[str, Value] = field(default_factory=dict)
    """The channels' values that raised it."""
    channels: tuple[str, ...] = ()
    """The channels that its rule looks at, the leading one first."""
    limits: Mapping[str, float] = field(default_factory=dict)
    """A line to draw for a channel that is compared with a number, in the channel's unit."""
    guards: bool = False
    """Lives hang on it: it can be neither shelved nor suppressed."""
    overlays: Overlays = Overlays()
    occurrences: int = 1
    """How often it has begun since it was opened."""
    times: tuple[int, ...] = ()
    """When, by the readings' time: the first, and the latest (`rules.alarms.overlays.chatter.MOST_TIMES`)."""
    version: str = ""
    """Of the rule that raised it."""
    thresholds: Mapping[str, Value] = field(default_factory=dict)
    """What the names in its rule stood for."""
    before: Mapping[str, Sequence[tuple[int, Value]]] | None = None
    """Some readings of its channels up to the raise, each with its time. None: the history was not yet asked."""
    case: Case | None = None
    open: bool = True
    """There is something to do: it is not over, or the work on it is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flood:
    """More new alarms at a site than its operators can read (rules.alarms.overlays.flood)."""

    site: SiteId
    since_ms: int
    reds: tuple[Alarm, ...]
    rest: Mapping[tuple[str, str, Level], int]
    """How many others are open, by kind, rule and level."""


@dataclass(frozen=True, slots=True)
class Calling:
    """An alarm that calls, as far as every page has to know."""

    id: str
    state: AlarmState
    changed_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One line of the append-only log. `seq` grows by one; whoever has seen n asks for what came after n."""

    seq: int
    at_ms: int
    event: str
    """A name of field practice: "alarm.raised", "alarm.cleared", "case.accepted" …"""
    alarm: str | None
    case: str | None
    actor: str
    """A person as the roster names him, a login that the roster doesn't know, or "rules" for what the engine did by itself."""
    detail: str = ""
    number: int | None = None
    """Of the lines of its case: 1, 2, 3 … without a gap."""
    device_at_ms: int | None = None
    """When the actor did it, by the clock of the phone; `at_ms` is when it was heard of."""
    key: str | None = None
    """Of the act, from whoever did it: the same act sent twice is one line."""
    mark: int | None = field(default=None, compare=False, repr=False)
    """Random, of the transaction that wrote it: no other line of this number has it, in whichever copy of the database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """That the engine lives, and how fresh what it knows is. Written every second, with or without readings."""

    at_ms: int
    last_reading_at_ms: int | None
    """The newest measuring time that the engine has seen."""
    readings: int
    """Readings evaluated since the database was made."""
    hears: bool
    """Whether the broker was connected: without it the engine lives, and learns nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeState:
    """What is known of one edge."""

    site: SiteId
    edge: EdgeId
    online: bool
    since_ms: int
    """Since when it has been online or offline."""
    last_reading_at_ms: int | None
    devices: int
    clock_trusted: bool = True
    """By its own word; its devices' alarms are uncertain while it isn't."""
    behind_ms: int | None = None
    """How far its clock is behind the server's (`rules.engine.skew`); None: it has not said what it shows."""
    silent: tuple[DeviceId, ...] = ()
    """Its devices that have said nothing for longer than they may (`rules.engine.memory.silence.SILENT_INTERVALS`)."""


MOST_POSITION = 60


@dataclass(frozen=True, slots=True)
class Position:
    """How far in which log: the number of its last line and the mark of that line, or that of the database before the first one. Who
    finds them together has all that came before, too; another database, and one that was set back to a copy, has another mark there."""

    mark: str
    seq: int

    def __str__(self) -> str:
        return f"{self.mark}-{self.seq}"

    @classmethod
    def of(cls, line: LogEntry, life: str) -> Self:
        """`life`: the mark of the database, under which lines go that are older than marks."""
        return cls(life if line.mark is None else f"{line.mark:x}", line.seq)

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """What `str` made; None for anything else, be it ever so long."""
        mark, _, seq = text.partition("-")
        return cls(mark, int(seq)) if len(text) <= MOST_POSITION and seq.isascii() and seq.isdecimal() else None


class ActionRefused(Exception):
    """The case or the alarm can't take this step now; the message is for the person who tried."""

    def __init__(self, reason: str, case: Case | None) -> None:
        super().__init__(reason)
        self.reason = reason
        """A word that pages translate: one of REFUSALS, or of `rules.alarms`."""
        self.case = case


REFUSALS = (
    "unknown",
    "taken",
    "on-the-way",
    "not-accepted",
    "not-on-site",
    "not-done",
    "done",
    "still-active",
    "closed",
    "merged",
    "suspended",
    "not-suspended",
    "own-work",
    "own-wish",
    "on-leave",
    "reason-missing",
    "not-yours",
    "top-rung",
    "not-called",
    "not-asked",
    "asked-already",
    "too-early",
    "key-used",
)
"""Why an act on a case is refused."""
