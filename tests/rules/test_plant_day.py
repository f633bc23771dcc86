"""Days of a plant with a seed each, on which everything goes wrong at once: what stands red must be ringing, however.

An engine over a real database hears packs as edges send them. Meanwhile it is killed or without its database, packs come late, twice and in
another order, edges lose their network, their outbox and their name, devices go from one edge to another, are announced as something else
and come back, rules are read anew, clocks are set, permits and drills begin, rosters break, channels fail, and people accept, give back and
close what they please. What must be true is said here without a look at how the engine comes to it (`Day.look`). GRIDCALL_PLANT_DAYS asks for more of them.
"""

import heapq
import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import func, select

from messages import announcement, pack, status, topics
from messages.announcement import Announcement
from messages.ids import DeviceId, EdgeId, StreamId
from messages.reading import Reading, Value
from messages.status import EdgeStatus
from rules.desk import Desk
from rules.drills import exercise
from rules.engine.intake import take
from rules.engine.work import Work
from rules.escalation import timers
from rules.notices import sendings
from rules.notices.channels.base import Failed, Taken
from rules.notices.notice import TOLD
from rules.records import DONE, OVER, TAKEN, WAITING, ActionRefused, AlarmState, Case, CaseState
from rules.store import facts
from rules.store import tables as db
from tests.rules.course import at
from tests.rules.room import PLACE, SITE
from tests.rules.test_telling import PEOPLE, Street

DAYS = int(os.environ.get("GRIDCALL_PLANT_DAYS", "2"))
LASTS_S, STEP_S, INTERVAL_S = 300, 2, 30
SLACK_S = 10
"""From when a red reading is here, its delay is over and the engine runs, until somebody is told."""
RESEND_S = 15
"""What was being sent at a kill is sent again so much later."""
QUIET_S = 130
"""Between the call of the street and that of the department nobody is called for two minutes."""
RETURNED = frozenset({CaseState.REJECTED, CaseState.REOPENED, CaseState.REGISTERED})


@dataclass
class Sensor:
    """A device, and what is red of it."""

    id: str
    kind: str
    channel: str
    calm: Value
    red: Value
    delay_s: float = 0
    guards: bool = True
    """Nothing that a person does may silence it."""
    settings: dict[str, Value] = field(default_factory=dict)
    edge: str = "pi-1"
    stands: bool = False
    heard_s: float | None = None
    """When the first red reading of this time came to the engine."""
    anew_s: float = 0
    """Since when its delays may have begun anew."""

    @property
    def value(self) -> Value:
        return self.red if self.stands else self.calm


def sensors() -> list[Sensor]:
    return [
        Sensor("gas-1", "gas_alarm", "alarm_contact", False, True),
        Sensor("gas-2", "gas_alarm", "gas_concentration", 0.0, 40.0),
        Sensor("smoke-1", "smoke_alarm", "smoke", False, True),
        Sensor("heat-1", "heat_alarm", "heat", False, True),
        Sensor("cord-1", "sos_button", "held", False, True),
        Sensor("lin-band", "bracelet", "fall", False, True, 30),
        Sensor("shed-1", "charging_shed", "smoke", False, True),
        Sensor("cover-1", "manhole_cover", "tilt", 1.0, 80.0, guards=False, settings={"in_road": True}),
        Sensor("cover-2", "manhole_cover", "tilt", 1.0, 30.0, 30, guards=False, settings={"in_road": True}),
        Sensor("lamp-1", "smart_lamp", "leakage", 1.0, 60.0, guards=False),
        Sensor("bin-1", "waste_bin", "temperature", 20.0, 90.0, 30, guards=False),
    ]


class Day:
    """`run` it. Seconds are the plant's own; the server's clock is `ahead_s` before them."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.random = random.Random(seed)
        self.street = Street(folder)
        self.site_file = folder / "sites" / f"{SITE}.toml"
        self.sensors = sensors()
        self.streams: dict[str, tuple[int, int]] = {}
        """How often an edge began a new outbox, and the last pack of this one."""
        self.edges = ["pi-1", "pi-2"]
        self.cut_until: dict[str, float] = {}
        self.under_way: list[tuple[float, int, str, bytes]] = []
        self.later: list[tuple[float, int, Callable[[], None]]] = []
        self.order = count()
        self.now_s, self.ahead_s, self.back_at_s = 0.0, 0.0, 0.0
        self.may_fail_until: dict[str, float] = {}
        self.told: dict[str, tuple[int, float]] = {}
        """Of a case: how many were told, and when the last of them was."""
        self.given_back: dict[str, float] = {}
        self.keys: list[str] = []
        self.did: list[str] = []
        for edge in self.edges:
            self.retell(edge)

    @property
    def server_s(self) -> float:
        return self.now_s + self.ahead_s

    @property
    def desk(self) -> Desk:
        return Desk(self.street.room.database, self.street.practice)

    def run(self) -> None:
        while self.now_s < LASTS_S:
            self.now_s += STEP_S
            while self.later and self.later[0][0] <= self.now_s:
                heapq.heappop(self.later)[2]()
            for act, chance in _ADVERSARY.items():
                if self.random.random() < chance * STEP_S:
                    self.did.append(f"{self.now_s:g} {act.__name__}")
                    act(self)
            for sensor in self.sensors:
                if self.random.random() < STEP_S / INTERVAL_S:
                    self.say(sensor)
            if self.now_s >= self.back_at_s:
                self.engine()
                self.look()
        assert len(self.keys) == len(set(self.keys)), "somebody was told the same twice"

    # What is sent

    def send(self, edge: str, topic: str, payload: bytes, delay_s: float = 0) -> None:
        arrives_s = max(self.now_s + delay_s, self.cut_until.get(edge, 0))
        heapq.heappush(self.under_way, (arrives_s, next(self.order), topic, payload))

    def say(self, sensor: Sensor) -> None:
        """Its value in a pack, which may come late, or twice."""
        number, last = self.streams.setdefault(sensor.edge, (0, 0))
        self.streams[sensor.edge] = number, last + 1
        reading = Reading(DeviceId(sensor.id), sensor.channel, at(self.now_s), sensor.value)
        payload = pack.encode(EdgeId(sensor.edge), StreamId(f"s{number}"), last + 1, [reading])
        topic = topics.readings(SITE, EdgeId(sensor.edge))
        delay_s = self.random.choice([0, 0, 0.5, 3])
        self.send(sensor.edge, topic, payload, delay_s)
        if self.random.random() < 0.2:
            self.send(sensor.edge, topic, payload, delay_s + self.random.choice([0, 1, 60]))

    def announce(self, sensor: Sensor, kind: str = "") -> None:
        said = Announcement(kind=kind or sensor.kind, model="m", place=PLACE, settings=sensor.settings)
        topic = topics.announcement(SITE, EdgeId(sensor.edge), DeviceId(sensor.id))
        self.send(sensor.edge, topic, announcement.encode(said))
        sensor.anew_s = self.now_s

    def withdraw(self, sensor: Sensor, edge: str) -> None:
        self.send(edge, topics.announcement(SITE, EdgeId(edge), DeviceId(sensor.id)), b"")

    def retell(self, edge: str) -> None:
        """As an edge does when it starts."""
        number, last = self.streams.setdefault(edge, (0, 0))
        said = EdgeStatus(online=True, at_ms=at(self.now_s), stream=StreamId(f"s{number}"), packs=last)
        self.send(edge, topics.status(SITE, EdgeId(edge)), status.encode(said))
        for sensor in self.of(edge):
            self.announce(sensor)
            self.say(sensor)

    def of(self, edge: str) -> list[Sensor]:
        return [sensor for sensor in self.sensors if sensor.edge == edge]

    # The engine

    def engine(self) -> None:
        """One turn: hear, wake what is due, look at what is open, call."""
        room, now_ms = self.street.room, at(self.server_s)
        work = Work(room.facts)
        while self.under_way and self.under_way[0][0] <= self.now_s:
            _, _, topic, payload = heapq.heappop(self.under_way)
            self.note(topic, payload)
            assert take(work, topic, payload, now_ms) is None
        work.settle(now_ms)
        work.wake(now_ms)
        self.write(work)
        facts.beat(room.database, now_ms, self.street.practice, hears=True)
        self.street.roll.folder.look()
        with room.database.writing() as connection:
            timers.fire_due(connection, self.street.practice, now_ms)
        begun = self.street.take(self.server_s)
        if begun and self.random.random() < 0.03:
            self.killed(RESEND_S)
            return
        for one in begun:
            fails = self.may_fail_until.get(one.way, 0) > self.now_s
            self.keys += [] if fails else [one.message.key]
            assert one.message.level != "red" or one.message.more == 0
            with room.database.writing() as connection:
                sendings.end(connection, [(one, Failed("no answer") if fails else Taken())], now_ms)

    def note(self, topic: str, payload: bytes) -> None:
        """What stands red is known to the engine from its first red reading on."""
        if not topic.endswith("/readings"):
            return
        for reading in pack.decode(payload).readings:
            for sensor in self.sensors:
                if sensor.id == reading.device and sensor.stands and reading.value == sensor.red:
                    sensor.heard_s = self.now_s if sensor.heard_s is None else sensor.heard_s

    def write(self, work: Work) -> None:
        room = self.street.room
        facts.commit(room.database, work, at(self.server_s), practice=self.street.practice)
        room.facts.adopt(work)

    def killed(self, after_s: float = 0) -> None:
        self.street.room.start()
        self.back_at_s = max(self.back_at_s, self.now_s + after_s)

    # What must be true

    def look(self) -> None:
        """What has stood red for its delay rings, or somebody is at it."""
        told = (
            select(db.notices.c.case, func.count())
            .where(db.notices.c.state.in_(sorted(TOLD)))
            .group_by(db.notices.c.case)
        )
        with self.street.room.database.reading() as connection:
            for case, many in connection.execute(told):
                if self.told.get(case, (0, 0.0))[0] != many:
                    self.told[case] = many, self.now_s
        for sensor in self.sensors:
            if sensor.stands and sensor.heard_s is not None:
                since_s = max(sensor.heard_s, sensor.anew_s, self.cut_until.get(sensor.edge, 0)) + sensor.delay_s
                since_s = max(since_s, self.back_at_s)
                if self.now_s > since_s + SLACK_S + (INTERVAL_S * 4 if sensor.anew_s > sensor.heard_s else 0):
                    why = self.missed(sensor, since_s)
                    assert why is None, f"{sensor} at {self.now_s:g}: {why}; {'; '.join(self.did)}"

    def missed(self, sensor: Sensor, since_s: float) -> str | None:
        """What is wrong with a sensor that stands red since `since_s`."""
        its = self.desk.alarms(device=(SITE, DeviceId(sensor.id)))
        found = [one for one in its if one.level == "red" and one.state in (AlarmState.UNACK, AlarmState.ACKED)]
        if not found:
            return f"no alarm that stands, but {[(one.rule, one.state) for one in its]}"
        if not any(one.overlays.annunciated for one in found):
            sensor.anew_s = self.now_s
            return "kept quiet" if sensor.guards else None
        cases = [one.case for one in found if one.case is not None]
        if any(
            case.state in TAKEN | DONE for case in cases
        ):  # what is done waits for somebody who checks, and can't be closed
            return None
        for case in cases:
            last_s = max(self.told.get(case.id, (0, since_s))[1], self.given_back.get(case.id, 0), since_s)
            if case.state in WAITING and self.now_s - last_s < (QUIET_S if case.id in self.told else SLACK_S):
                return None
        return f"nobody is called: {[(case.state, self.told.get(case.id)) for case in cases]}"

    # What goes wrong

    def red(self) -> None:
        if calm := [sensor for sensor in self.sensors if not sensor.stands]:
            sensor = self.random.choice(calm)
            sensor.stands, sensor.heard_s = True, None
            self.say(sensor)
            self.after(self.random.choice([60, 150, 400]), lambda: self.is_over(sensor))

    def is_over(self, sensor: Sensor) -> None:
        sensor.stands = False
        self.say(sensor)

    def kill(self) -> None:
        self.killed()

    def no_database(self) -> None:
        self.back_at_s = self.now_s + self.random.choice([5, 30, 90])

    def no_network(self) -> None:
        self.cut_until[self.random.choice(self.edges)] = self.now_s + self.random.choice([5, 30, 120])

    def new_outbox(self) -> None:
        edge = self.random.choice(self.edges)
        self.streams[edge] = self.streams.get(edge, (0, 0))[0] + 1, 0
        self.retell(edge)

    def new_name(self) -> None:
        old, new = self.random.choice(self.edges), f"pi-{next(self.order)}"
        self.edges[self.edges.index(old)] = new
        self.cut_until[new] = self.cut_until.get(old, 0)
        for sensor in self.of(old):
            sensor.edge = new
            self.withdraw(sensor, old)
        self.send(old, topics.status(SITE, EdgeId(old)), status.encode(EdgeStatus(online=False)))
        self.retell(new)

    def other_edge(self) -> None:
        sensor = self.random.choice(self.sensors)
        old, sensor.edge = sensor.edge, self.random.choice(self.edges)
        first = self.random.random() < 0.5
        if first and old != sensor.edge:
            self.withdraw(sensor, old)
        self.announce(sensor)
        self.say(sensor)
        if not first and old != sensor.edge:
            self.withdraw(sensor, old)

    def other_kind(self) -> None:
        sensor = self.random.choice(self.sensors)
        self.announce(sensor, self.random.choice(["barrier", "gas_well"]))
        self.announce(sensor)
        self.say(sensor)

    def other_settings(self) -> None:
        sensor = self.random.choice(self.sensors)
        sensor.settings = {**sensor.settings, "depth": self.random.choice([2.0, 3.0])}
        self.announce(sensor)

    def rules_anew(self) -> None:
        """A rule of another kind goes, or comes back."""
        room = self.street.room
        known = {name: rules for name, rules in room.known.items() if name != "barrier"}
        room.facts.replace_rules(self.random.choice([known, room.known]))
        work = Work(room.facts)
        work.renew(at(self.server_s))
        self.write(work)

    def clock_set(self) -> None:
        by_s = -self.ahead_s or self.random.choice([-3600, -60, 60, 3600])
        self.ahead_s += by_s
        work = Work(self.street.room.facts)
        work.step(round(by_s * 1000), {SITE}, at(self.server_s))
        self.write(work)

    def permit(self) -> None:
        until_ms = at(self.server_s + self.random.choice([20, 100]))
        self.desk.open_permit(
            SITE, holder="x", reason="works", until_ms=until_ms, actor="c", at_ms=at(self.server_s), grid="g1"
        )

    def drill(self) -> None:
        with self.street.room.database.writing() as connection:
            until_ms, now_ms = at(self.server_s + 120), at(self.server_s)
            try:
                exercise.start(connection, SITE, actor="chief", why="fire", until_ms=until_ms, now_ms=now_ms)
            except exercise.DrillRefused:
                return

    def roster(self) -> None:
        nobody = PEOPLE.partition("[posts.g1]")[0]
        self.site_file.write_text(self.random.choice([PEOPLE, PEOPLE, nobody, "name = "]), encoding="utf-8")

    def channel_fails(self) -> None:
        """One at a time: everybody has another, or somebody else is called too."""
        if not any(until_s > self.now_s for until_s in self.may_fail_until.values()):
            self.may_fail_until[self.random.choice(["app", "voice"])] = self.now_s + 60

    def person(self) -> None:
        if cases := [case for case in self.desk.cases() if case.state not in OVER and case.id in self.told]:
            case = self.random.choice(cases)
            try:
                after = self.act_on(case)
            except ActionRefused:
                return
            if after.state in RETURNED:
                self.given_back[case.id] = self.now_s

    def act_on(self, case: Case) -> Case:
        desk, now_ms, chance = self.desk, at(self.server_s), self.random.random()
        if case.state in WAITING:
            return desk.accept(case.id, actor="lin", at_ms=now_ms)
        if case.state in DONE:
            return desk.verify(case.id, actor="zhao", at_ms=now_ms, passed=chance < 0.9, reason="no")
        if case.state is CaseState.ACCEPTED and chance < 0.7:
            return desk.arrive(case.id, actor="lin", at_ms=now_ms)
        if chance < 0.3:
            return desk.reject(case.id, actor="lin", at_ms=now_ms, reason="another fire")
        return desk.finish(case.id, actor="lin", at_ms=now_ms, outcome="mended")

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        heapq.heappush(self.later, (self.now_s + seconds, next(self.order), act))


_ADVERSARY: dict[Callable[[Day], None], float] = {
    Day.red: 0.03,
    Day.person: 0.1,
    Day.other_edge: 0.03,
    **dict.fromkeys((Day.kill, Day.no_network, Day.new_outbox, Day.roster), 0.006),
    **dict.fromkeys((Day.no_database, Day.new_name, Day.other_kind, Day.other_settings, Day.rules_anew), 0.004),
    **dict.fromkeys((Day.clock_set, Day.permit, Day.drill, Day.channel_fails), 0.004),
}
"""What goes wrong, and how often in a second."""


@pytest.mark.parametrize("seed", range(DAYS))
def test_what_stands_red_rings_on_a_day_on_which_everything_goes_wrong(seed: int, tmp_path: Path) -> None:
    Day(seed, tmp_path).run()
