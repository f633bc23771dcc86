"""Alarms in a real database under whatever the plant, people, the clock and kills do, in any order; beside them only the log."""

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from messages.ids import DeviceId
from rules.alarms.condition import ACTIVE, LATCHED
from rules.cases.practice import PLAIN
from rules.drills import drill as drills
from rules.drills import exercise
from rules.drills.exercise import DrillRefused
from rules.engine.work import Work
from rules.language.answering import with_answers
from rules.language.library import load_rules
from rules.quality.gathering import audited
from rules.records import ActionRefused, Alarm, AlarmState
from rules.store import versions
from tests.rules.course import KINDS, at, reading, write_rules
from tests.rules.room import SITE, Room, mend

SIGNALS = {  # device: its kind, channel, value that raises, value that clears
    "road-1": ("road_ponding", "water_depth", 0.05, 0.0),
    "gas-1": ("gas_alarm", "gas_concentration", 30.0, 0.0),
    "cover-1": ("manhole_cover", "tilt", 90.0, 0.0),
    "door-1": ("door_access", "door_open", True, False),
    "reflex-1": ("reflex", "raised", True, False),
}
DEVICES, PEOPLE = st.sampled_from(sorted(SIGNALS)), st.sampled_from(["li", "wang"])
PICKS, SPANS_S = st.integers(0, 9), st.sampled_from([10, 300, 3_600, 9 * 3_600])


WORSE = {"road-1": 0.5, "cover-1": 20.0}
OTHER_DOOR = """
[rules.held]
level = "orange"
title = {{ zh = "甲", en = "A" }}
raise = "door_open"
raise_delay = "{delay}s"
clear = "not door_open"

[rules.glanced]
level = "red"
title = {{ zh = "乙", en = "B" }}
raise = "door_open"
clear = "not door_open"
shadow = true
"""


class Life(RuleBasedStateMachine):
    """`announced`: what is not withdrawn."""

    @initialize()
    def begin(self) -> None:
        self.folder, self.now_s = Path(tempfile.mkdtemp(prefix="alarm-life-")), 0.0
        self.room = Room(self.folder)
        self.room.status(0, online=True)
        for device, (kind, *_) in SIGNALS.items():
            self.room.announce(device, kind)
        self.announced = {*SIGNALS}
        versions.keep(self.room.database, self.room.known, self.at_ms)

    def teardown(self) -> None:
        if hasattr(self, "room"):
            self.room.database.close()
            shutil.rmtree(self.folder)

    @property
    def at_ms(self) -> int:
        return at(self.now_s)

    def picked(self, number: int) -> Alarm:
        alarms = self.room.desk.alarms()
        return alarms[number % len(alarms)]

    @rule(device=DEVICES, raises=st.booleans(), times=st.integers(1, 3))
    def say(self, device: str, raises: bool, times: int) -> None:
        _, channel, on, off = SIGNALS[device]
        for number in range(times):
            self.now_s += 5
            value = on if raises == (number % 2 == 0) else off
            self.room.hear(reading(self.now_s, channel, value, device=device))

    @rule(device=st.sampled_from(sorted(WORSE)))
    def become_worse(self, device: str) -> None:
        for _ in range(2):
            self.now_s += 5
            self.room.hear(reading(self.now_s, SIGNALS[device][1], WORSE[device], device=device))

    @rule(device=DEVICES, ago_s=st.sampled_from([3, 20, 400, 5_000]), last_s=st.sampled_from([1, 15, 200]))
    def tell_of_the_past(self, device: str, ago_s: int, last_s: int) -> None:
        """A backlog that follows live readings."""
        _, channel, on, off = SIGNALS[device]
        for more_s, value in ((0, on), (last_s, on), (last_s + 1, off)):
            at_s = min(self.now_s - ago_s + more_s, self.now_s) + 0.25
            self.room.hear(reading(at_s, channel, value, device=device), now_s=self.now_s + 0.5)
        self.now_s += 1

    @rule(device=DEVICES, rather=st.sampled_from(["", "gas_alarm"]))
    def be_taken_away_or_come_back(self, device: str, rather: str) -> None:
        if device in self.announced:
            self.announced.remove(device)
            self.room.withdraw(device, self.now_s)
        else:
            self.announced.add(device)
            self.room.announce(device, SIGNALS[device][0], self.now_s)
        if rather:  # it is said to be something else, and at once to be itself again
            self.room.announce(device, rather, self.now_s)
            self.room.announce(device, SIGNALS[device][0], self.now_s)
            self.announced.add(device)

    @rule(delay=st.integers(0, 40))
    def change_the_rules(self, delay: int) -> None:
        folder = write_rules(self.folder / "own", "door_access", OTHER_DOOR.format(delay=delay)).parent
        self.room.known = with_answers(load_rules(KINDS, folder), KINDS)
        versions.keep(self.room.database, self.room.known, self.at_ms)
        self.room.facts.replace_rules(self.room.known)
        self.renew()

    def renew(self) -> None:
        work = Work(self.room.facts)
        work.renew(self.at_ms)
        self.room.write(work, self.now_s)

    @rule(seconds=SPANS_S, device=DEVICES)
    def practise(self, seconds: int, device: str) -> None:
        until_ms = self.at_ms + min(seconds, 3_600) * 1000
        with suppress(DrillRefused), self.room.database.writing() as connection:
            drill = next(iter(drills.running(connection, self.at_ms)), None) or exercise.start(
                connection, SITE, actor="li", why="r", until_ms=until_ms, now_ms=self.at_ms
            )
            name = next(one.id for one in self.room.known[SIGNALS[device][0]])
            exercise.raise_alarm(connection, drill, device, name, actor="li", now_ms=self.at_ms, practice=PLAIN)

    @rule(by_s=st.sampled_from([-3_600, 3_600]))
    def set_the_clock(self, by_s: int) -> None:
        self.now_s = max(self.now_s + by_s, 10_000)
        work = Work(self.room.facts)
        work.step(by_s * 1000, {SITE}, self.at_ms)
        self.room.write(work, self.now_s)

    @rule(seconds=SPANS_S)
    def wait(self, seconds: int) -> None:
        self.now_s += seconds
        self.room.pass_time(self.now_s)
        self.room.look(self.now_s)

    @rule(online=st.booleans())
    def come_or_go(self, online: bool) -> None:
        self.room.status(self.now_s, online=online)
        self.room.look(self.now_s)

    @rule()
    def be_killed(self) -> None:
        self.room.start()
        self.renew()

    @precondition(lambda self: self.room.desk.counts())
    @rule(number=PICKS, actor=PEOPLE, one_shot=st.booleans(), seconds=SPANS_S)
    def shelve(self, number: int, actor: str, one_shot: bool, seconds: int) -> None:
        alarm, until_ms = self.picked(number), self.at_ms + seconds * 1000
        words = {"until_ms": until_ms, "reason": "r", "actor": actor, "at_ms": self.at_ms, "one_shot": one_shot}
        if alarm.guards or seconds > 8 * 3_600:
            with pytest.raises(ActionRefused, match="guards-lives" if alarm.guards else "too-long"):
                self.room.desk.shelve(alarm.id, **words)  # type: ignore[arg-type]
        else:
            self.room.desk.shelve(alarm.id, **words)  # type: ignore[arg-type]

    @precondition(lambda self: self.room.desk.counts())
    @rule(number=PICKS, actor=PEOPLE, act=st.sampled_from(["acknowledge", "unshelve"]))
    def do(self, number: int, actor: str, act: str) -> None:
        with suppress(ActionRefused):
            getattr(self.room.desk, act)(self.picked(number).id, actor=actor, at_ms=self.at_ms)

    @rule(device=DEVICES, seconds=SPANS_S)
    def work_on(self, device: str, seconds: int) -> None:
        until_ms = self.at_ms + seconds * 1000
        with suppress(ActionRefused):
            self.room.desk.out_of_service(
                SITE, DeviceId(device), until_ms=until_ms, reason="r", actor="li", at_ms=self.at_ms
            )

    @rule(seconds=SPANS_S)
    def permit(self, seconds: int) -> None:
        until_ms = self.at_ms + seconds * 1000
        self.room.desk.open_permit(
            SITE, grid="g1", holder="h", reason="r", until_ms=until_ms, actor="li", at_ms=self.at_ms
        )

    @precondition(lambda self: self.room.desk.holds())
    @rule(number=PICKS, checked=st.booleans())
    def end(self, number: int, checked: bool) -> None:
        holds = self.room.desk.holds()
        hold = holds[number % len(holds)]
        match hold.what:
            case "permit":
                self.room.desk.close_permit(hold.id, actor="li", at_ms=self.at_ms, checked=checked)
            case "service":
                self.room.desk.return_to_service(hold.id, actor="li", at_ms=self.at_ms)

    @precondition(lambda self: self.room.desk.counts())
    @rule(number=PICKS, actor=PEOPLE)
    def finish(self, number: int, actor: str) -> None:
        """As far as it goes: what is active can't be closed."""
        if (case := self.picked(number).case) is None:
            return
        with suppress(ActionRefused):
            self.room.desk.accept(case.id, actor=actor, at_ms=self.at_ms)
            self.room.desk.arrive(case.id, actor=actor, at_ms=self.at_ms)
            mend(self.room.desk, case.id, actor=actor, at_ms=self.at_ms)

    @rule()
    def sweep(self) -> None:
        self.room.desk.sweep(SITE, actor="li", at_ms=self.at_ms)

    @invariant()
    def log_and_tables_agree(self) -> None:
        if hasattr(self, "room"):
            assert audited(self.room.database)[2] == []

    @invariant()
    def every_open_alarm_is_as_it_may_be(self) -> None:
        alarms = self.room.desk.alarms(open_only=False) if hasattr(self, "room") else []
        still_open = self.room.desk.alarms() if alarms else []
        assert len({(alarm.device, alarm.rule) for alarm in still_open}) == len(still_open)
        for alarm in alarms:
            concerns = alarm.state in ACTIVE or alarm.state in LATCHED
            assert alarm.overlays.annunciated or not alarm.guards, "guarantee 9"
            assert alarm.case or not concerns or not alarm.overlays.annunciated, "nobody was called"
            assert alarm.state is not AlarmState.PENDING
            assert len(alarm.times) <= 20


TestLife = Life.TestCase
TestLife.settings = settings(
    max_examples=12, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
