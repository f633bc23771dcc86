"""Days of a plant, and an engine that lives through them: scenes of every kind one after the other, as edges bring them, and people who see to what is raised.

Edges lose their network and tell of it afterwards, packs come twice, clocks are wrong, values are doubtful, devices come and go. What was
heard lies in a history meanwhile, as a collector stores it.
"""

import heapq
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache

from collector.stores.base import Batch, PackRow, Point, Store
from messages.announcement import Announcement, Place
from messages.ids import DeviceId, EdgeId, SiteId, StreamId
from messages.reading import Quality, Reading, Value
from rules.cases.practice import PLAIN
from rules.desk import Desk
from rules.engine.work import Work
from rules.escalation import timers
from rules.records import OVER, ActionRefused, AlarmState, Case
from rules.store import facts
from tests.rules.course import KINDS
from tests.rules.room import SITE, Room
from tests.rules.scenes.scene import Scene
from tests.rules.scenes.sensor import readings
from tests.rules.scenes.test_scenes import SCENES

DAY_MS, MINUTE_MS = 86_400_000, 60_000
PACK_MS, LOOK_MS = 1_000, 300_000
OURS = ("site", "edge_link", "edge_agent", "edge_ledger", "edge_line", "collector", "device_link")
"""What the plant says of itself is not in the history, or needs an edge of its own."""
BY_KIND = {
    kind: [one for one in SCENES if one.kind == kind] for kind in sorted({one.kind for one in SCENES} - set(OURS))
}


@dataclass(frozen=True, slots=True)
class Sensor:
    """One device: where it stands, which scenes fit it, and from when to when it is there."""

    site: SiteId
    edge: EdgeId
    id: DeviceId
    kind: str
    place: Place
    scenes: tuple[Scene, ...]
    from_ms: int
    until_ms: int
    where: Mapping[str, Value]
    ahead_ms: int = 0
    """By how much its clock is wrong."""

    @property
    def said(self) -> Announcement:
        return Announcement(
            kind=self.kind,
            model=f"{self.kind}-{self.place.grid[-1]}",
            place=self.place,
            settings={**self.scenes[0].settings, **self.where},
        )


@dataclass(frozen=True, slots=True, order=True)
class Arrival:
    """A pack, when it comes."""

    at_ms: int
    edge: tuple[SiteId, EdgeId]
    number: int
    readings: tuple[Reading, ...] = field(compare=False)


@cache
def played(kind: str, says: str, rule: str) -> tuple[Reading, ...]:
    scene = next(one for one in BY_KIND[kind] if (one.says, one.rule) == (says, rule))
    return tuple(readings(KINDS[kind], scene.signals, scene.since_s, scene.until_s, f"{kind}/{says}"))


@dataclass
class Month:
    """So many sensors from a midnight on, for so many days; always the same for a seed."""

    midnight_ms: int
    days: int
    sensors: int
    seed: int = 0
    sites: Sequence[SiteId] = (SITE,)
    outages: bool = True
    kinds: Sequence[str] = tuple(BY_KIND)
    calm: float = 0.6
    """The share of days on which nothing happens at a device."""

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        self.until_ms = self.midnight_ms + self.days * DAY_MS
        self.plant = list(self._plant())
        self.away = {edge: self._away() for edge in sorted({(one.site, one.edge) for one in self.plant})}

    def _plant(self) -> Iterator[Sensor]:
        kinds = list(self.kinds)
        for number in range(self.sensors):
            kind = kinds[number % len(kinds)]
            settings = self.dice.choice(BY_KIND[kind]).settings
            fitting = tuple(one for one in BY_KIND[kind] if one.settings == settings)
            site = self.sites[number % len(self.sites)]
            comes, goes = self.midnight_ms, self.until_ms
            if self.dice.random() < 0.1:
                comes += self.dice.randrange(self.days * DAY_MS // 2 + 1)
            place = Place(
                grid=f"g{1 + number % 3}",
                building=str(1 + number % 9),
                text=f"{number}号",
            )
            where = {"lat": 26.08 + self.dice.random() * 0.004, "lon": 119.3 + self.dice.random() * 0.004}
            ahead = self.dice.choice((-1_500_000, 40_000)) if self.dice.random() < 0.05 else 0
            yield Sensor(
                site,
                EdgeId(f"pi-{1 + number // 7 % 2}"),
                DeviceId(f"{kind}-{number}"),
                kind,
                place,
                fitting,
                comes,
                goes,
                where,
                ahead,
            )

    def _away(self) -> list[tuple[int, int]]:
        if not self.outages:
            return []
        begins = sorted(self.dice.randrange(self.midnight_ms, self.until_ms) for _ in range(max(1, self.days // 3)))
        return [(at, at + self.dice.choice((20, 40, 200)) * MINUTE_MS) for at in begins]

    def course(self, sensor: Sensor) -> list[Reading]:
        """What it says, in order of time."""
        dice, found = random.Random(f"{self.seed}/{sensor.id}"), list[Reading]()
        channels = KINDS[sensor.kind].channels
        usual: dict[str, Value] = {}
        for scene in sensor.scenes:
            for one in played(scene.kind, scene.says, scene.rule):
                if not channels[one.channel].event:
                    usual.setdefault(one.channel, one.value)
        day = (sensor.from_ms - self.midnight_ms) // DAY_MS
        now_ms = sensor.from_ms
        while day < self.days:
            base_ms = self.midnight_ms + day * DAY_MS
            day += 1
            scene = dice.choice(sensor.scenes)
            if dice.random() < self.calm or base_ms < now_ms:
                continue
            its = [
                one._replace(device=sensor.id, at_ms=base_ms + one.at_ms)
                for one in played(scene.kind, scene.says, scene.rule)
            ]
            if its:
                found += self._quiet(sensor, usual, now_ms, its[0].at_ms, dice) + its
                now_ms = its[-1].at_ms + MINUTE_MS
                day = max(day, (now_ms - self.midnight_ms) // DAY_MS)
        found += self._quiet(sensor, usual, now_ms, sensor.until_ms, dice)
        return [self._doubted(one, sensor, dice) for one in found if one.at_ms < sensor.until_ms]

    def _quiet(
        self, sensor: Sensor, usual: dict[str, Value], from_ms: int, until_ms: int, dice: random.Random
    ) -> list[Reading]:
        found = []
        for channel, value in usual.items():
            every_ms = round(KINDS[sensor.kind].channels[channel].interval_s * 1000)
            for at_ms in range(from_ms + dice.randrange(min(every_ms, 60_000)), until_ms, every_ms):
                found.append(Reading(device=sensor.id, channel=channel, at_ms=at_ms, value=value))
        return sorted(found, key=lambda one: one.at_ms)

    def _doubted(self, one: Reading, sensor: Sensor, dice: random.Random) -> Reading:
        if dice.random() < 0.002:
            one = one._replace(quality=Quality.BAD)
        return one._replace(at_ms=one.at_ms + sensor.ahead_ms)

    def arrivals(self) -> list[Arrival]:
        """Packs of a second each, as changes that matter leave at once, in the order in which they come; of an outage the newest first."""
        found = list[Arrival]()
        of_edge: dict[tuple[SiteId, EdgeId], list[tuple[int, Reading]]] = defaultdict(list)
        for sensor in self.plant:
            of_edge[sensor.site, sensor.edge] += [(one.at_ms - sensor.ahead_ms, one) for one in self.course(sensor)]
        for edge, said in of_edge.items():
            said.sort(key=lambda one: one[0])
            packs: dict[int, list[Reading]] = defaultdict(list)
            for at_ms, one in said:
                packs[at_ms // PACK_MS].append(one)
            backlog = 0
            for number, (slot, some) in enumerate(packs.items(), 1):
                sent_ms = (slot + 1) * PACK_MS
                over_ms = next((until for since, until in self.away[edge] if since <= sent_ms < until), None)
                if over_ms is None:
                    arrives_ms, backlog = sent_ms, 0
                else:
                    backlog += 1
                    arrives_ms = over_ms + 200 * backlog
                found.append(Arrival(arrives_ms, edge, number, tuple(some)))
                if self.outages and self.dice.random() < 0.01:
                    found.append(Arrival(arrives_ms + 3_000, edge, number, tuple(some)))
        found.sort()
        return found

    def store(self, store: Store, arrivals: Sequence[Arrival], at_once: int = 500) -> None:
        """As a collector does."""
        known = {one.id: one for one in self.plant}
        for start in range(0, len(arrivals), at_once):
            batches = []
            for one in arrivals[start : start + at_once]:
                site, edge = one.edge
                points = [
                    Point(
                        reading=r._replace(unit=KINDS[known[r.device].kind].channels[r.channel].unit),
                        kind=known[r.device].kind,
                        model=known[r.device].said.model,
                        building=known[r.device].place.building or "",
                    )
                    for r in one.readings
                ]
                row = PackRow(
                    StreamId("s1"),
                    one.number,
                    min(r.at_ms for r in one.readings),
                    max(r.at_ms for r in one.readings),
                    len(points),
                )
                batches.append(Batch(site=site, edge=edge, points=points, packs=[row]))
            store.write(batches)


@dataclass
class Life:
    """An engine that lives through a month, and its people."""

    room: Room
    month: Month
    people: bool = True
    acts: list[tuple[int, int, str, str]] = field(default_factory=list)
    """When somebody does what about which case."""
    seen: set[str] = field(default_factory=set)

    def live(self, arrivals: Sequence[Arrival], until_ms: int) -> None:
        for sensor in self.month.plant:
            if sensor.from_ms == self.month.midnight_ms:
                self._announce(sensor)
        coming = [(one.from_ms, one) for one in self.month.plant if one.from_ms > self.month.midnight_ms]
        coming.sort(key=lambda one: one[0])
        words = [
            (at, edge, online)
            for edge, spans in self.month.away.items()
            for since, until in spans
            for at, online in ((since + 90_000, False), (until, True))
            if until > since + 90_000
        ]
        words.sort()
        look_ms = self.month.midnight_ms
        index = 0
        while index < len(arrivals) and arrivals[index].at_ms < until_ms:
            now_ms = arrivals[index].at_ms
            while coming and coming[0][0] <= now_ms:
                self._announce(coming.pop(0)[1])
            while words and words[0][0] <= now_ms:
                at_ms, (site, edge), online = words.pop(0)
                self._pass(at_ms)
                work = Work(self.room.facts)
                work.status(site, edge, online=online, at_ms=at_ms, now_ms=at_ms, by_edge=online)
                self._write(work, at_ms)
            while look_ms <= now_ms:
                self._pass(look_ms)
                facts.beat(self.room.database, look_ms, hears=True)
                self._act(look_ms)
                look_ms += LOOK_MS
            self._pass(now_ms - 1)
            work = Work(self.room.facts)
            while index < len(arrivals) and arrivals[index].at_ms <= now_ms:
                one = arrivals[index]
                key = (*one.edge, StreamId("s1"))
                if not work.is_heard(key, one.number):
                    work.collect_pack(key, one.number, one.readings, now_ms)
                index += 1
            work.settle(now_ms)
            self._write(work, now_ms)
        self._pass(until_ms)

    def _announce(self, sensor: Sensor) -> None:
        work = Work(self.room.facts)
        work.announce(sensor.site, sensor.edge, sensor.id, sensor.said, sensor.from_ms)
        self._write(work, sensor.from_ms)

    def _pass(self, until_ms: int) -> None:
        while (due_ms := self.room.facts.next_wake_ms()) is not None and due_ms <= until_ms:
            work = Work(self.room.facts)
            work.wake(due_ms)
            self._write(work, due_ms)

    def _write(self, work: Work, now_ms: int) -> None:
        if not work.empty or work.found:
            facts.commit(self.room.database, work, now_ms)
        self.room.facts.adopt(work)

    def _act(self, now_ms: int) -> None:
        """Whoever is on duty takes a case after a while, and is done with it later."""
        with self.room.database.writing() as connection:
            timers.fire_due(connection, PLAIN, now_ms)
        if not self.people:
            return
        desk, dice = self.room.desk, self.month.dice
        for case in desk.cases(open_only=True):
            if case.id not in self.seen:
                self.seen.add(case.id)
                accept_ms = now_ms + dice.choice((1, 2, 5, 15)) * MINUTE_MS
                heapq.heappush(self.acts, (accept_ms, len(self.seen), "accept", case.id))
                heapq.heappush(
                    self.acts, (accept_ms + dice.choice((10, 60, 400)) * MINUTE_MS, len(self.seen), "mend", case.id)
                )
        while self.acts and self.acts[0][0] <= now_ms:
            at_ms, order, act, case_id = heapq.heappop(self.acts)
            try:
                if act == "accept":
                    desk.accept(case_id, actor=dice.choice(("wang", "li")), at_ms=now_ms)
                else:
                    self._mend(desk, case_id, now_ms, "false_alarm" if dice.random() < 0.2 else "mended")
            except ActionRefused:
                if act == "mend" and at_ms < now_ms + DAY_MS:
                    heapq.heappush(self.acts, (now_ms + 30 * MINUTE_MS, order, "mend", case_id))

    def _mend(self, desk: Desk, case_id: str, now_ms: int, outcome: str) -> None:
        with suppress(ActionRefused):  # he is there already
            desk.arrive(case_id, actor="wang", at_ms=now_ms)
        done: Case = desk.finish(case_id, actor="wang", at_ms=now_ms, outcome=outcome)
        if done.state not in OVER:
            desk.verify(case_id, actor="zhao", at_ms=now_ms, passed=True)
        for alarm in desk.alarms():
            if (
                alarm.case
                and alarm.case.id == case_id
                and alarm.state in (AlarmState.RTN_UNACK, AlarmState.LATCH_UNACK)
            ):
                desk.acknowledge(alarm.id, actor="li", at_ms=now_ms)
