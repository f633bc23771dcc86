"""Whatever the rules: kills, sites that change hands, packs that come twice, torn or by way of the history, rules that change while they run. Each
course is held against the plain one: the same readings, one engine, nothing amiss.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from messages import pack, topics
from messages.ids import StreamId
from messages.reading import Reading
from rules.engine.intake import take
from rules.engine.share import LEAD
from rules.engine.work import Work
from rules.language.rule import Rules
from rules.language.state import is_running
from rules.store import facts, leases, versions
from rules.store.database import Database
from rules.store.leases import Holder, LeaseLost
from tests import services
from tests.rules import made_up
from tests.rules.course import KINDS, T0
from tests.rules.courses import forget, room
from tests.rules.made_up import SETTINGS, Made
from tests.rules.room import EDGE, SITE, Room

Fresh = Callable[[], AbstractContextManager[str]]
"""Gives the address of a database; empty where the room is to have its own."""

STREAM = StreamId("s")
KINDS_TRIED = sorted(made_up.SWITCHES)
LAGS_S = (0.0, 0.0, 0.0, 0.0, 0.5, 4.0, 70.0, 700.0)


@dataclass(frozen=True)
class Trial:
    """What is said to an engine."""

    first: Made
    then: Made
    at_turn: int
    """From which on `then` is in force."""
    turns: list[list[list[Reading]]]
    """The packs that come in each."""
    lags_s: list[float]
    """How long after the newest of them was measured."""
    online: Mapping[int, bool]
    """Before which turns the edge goes, or comes."""

    @property
    def kind(self) -> str:
        return self.first.kind


@st.composite
def trials(draw: st.DrawFn) -> Trial:
    kind = draw(st.sampled_from(KINDS_TRIED))
    first = draw(made_up.rules(kind))
    then = draw(st.just(first) | made_up.rules(kind))
    said = draw(made_up.readings(first))
    turns: list[list[list[Reading]]] = []
    for one in said:
        where = draw(st.sampled_from(["turn", "turn", "turn", "pack", "same"])) if turns else "turn"
        if where == "turn":
            turns.append([[one]])
        elif where == "pack":
            turns[-1].append([one])
        else:
            turns[-1][-1].append(one)
    lags_s = [draw(st.sampled_from(LAGS_S)) for _ in turns]
    online = draw(st.dictionaries(st.integers(0, len(turns)), st.booleans(), max_size=2))
    return Trial(first, then, draw(st.integers(0, len(turns))), turns, lags_s, online)


AMISS = (
    "kill",
    "rules change while it is down",
    "killed before it is written",
    "answer lost",
    "doubled at once",
    "doubled later",
    "torn",
    "shuffled",
    "from the history",
    "owner dies",
    "owner stops",
    "owner stalls",
)
"""What may befall an engine in a turn."""


class Stand:
    """An engine, or several that share a database, and all that was said to them."""

    def __init__(self, of: Room, trial: Trial) -> None:
        self.room = of
        self.trial = trial
        self.packs: list[tuple[int, list[Reading]]] = []
        self.ruled_from = 0
        """How many packs had come when the rules changed: rules that are new learn from what is told again."""
        self.lives = 0
        self.now_ms = T0
        versions.keep(of.database, of.known, T0)

    def go(self, amiss: Mapping[int, Sequence[str]]) -> None:
        """`amiss`: what happens in which turn."""
        number = 0
        if amiss:
            self.enter()
        for index, turn in enumerate(self.trial.turns):
            now_ms = max(turn[-1][-1].at_ms + round(self.trial.lags_s[index] * 1000), self.now_ms + 1)
            self.room.pass_time((now_ms - T0 - 1) / 1000)
            what = amiss.get(index, ())
            self.now_ms = now_ms
            if index in self.trial.online:
                self.room.status((now_ms - T0) / 1000, online=self.trial.online[index])
            if index == self.trial.at_turn:
                self.change_rules(self.trial.then.rules, kill="rules change while it is down" in what)
            some = [(number + more, readings) for more, readings in enumerate(turn, start=1)]
            number += len(turn)
            self.hear(some, what)
            self.room.look((now_ms - T0) / 1000)
        self.room.pass_time((self.now_ms - T0) / 1000 + 7200)
        self.room.look((self.now_ms - T0) / 1000 + 7200)

    def hear(self, some: list[tuple[int, list[Reading]]], what: Sequence[str]) -> None:
        now_ms = self.now_ms
        if end := next((one for one in what if one.startswith("owner")), ""):
            self.hand_over(some, end)
        if "torn" in what:
            work = Work(self.room.facts)
            for number, readings in some:
                payload = self.payload(number, readings)
                assert take(work, topics.readings(SITE, EDGE), payload[: len(payload) * 2 // 3], now_ms)
            work.settle(now_ms)
            self.room.write_at(work, now_ms)
        if "killed before it is written" in what:
            self.heard(some)
            self.kill()
        if "from the history" in what:
            before = [one for _, readings in self.packs[self.ruled_from :][-2:] for one in readings]
            said = [*before, *(one for _, readings in some for one in readings)]
            work = Work(self.room.facts)
            work.catch_up((SITE, EDGE, STREAM), [number for number, _ in some], said, now_ms, last=True)
        else:
            work = self.heard([*some[1:], *some[:1]] if "shuffled" in what else some, twice="doubled at once" in what)
        self.room.write_at(work, now_ms)
        if "answer lost" in what and self.room.holder is not None and not work.empty:
            self.room.holder.works -= 1
            facts.commit(self.room.database, work, now_ms, self.room.holder)
        self.packs += some
        if "kill" in what:
            self.kill()
        if "doubled later" in what:
            self.room.write_at(self.heard(self.packs[-3:]), now_ms)

    def heard(self, some: Sequence[tuple[int, list[Reading]]], *, twice: bool = False) -> Work:
        work = Work(self.room.facts)
        for number, readings in [*some, *some] if twice else some:
            payload = self.payload(number, readings)
            assert take(work, topics.readings(SITE, EDGE), payload, self.now_ms) is None
        work.settle(self.now_ms)
        return work

    def payload(self, number: int, readings: Sequence[Reading]) -> bytes:
        return pack.encode(EDGE, STREAM, number, readings)

    def kill(self) -> None:
        forget(self.room)
        self.renew()

    def renew(self) -> None:
        work = Work(self.room.facts)
        work.renew(self.now_ms)
        self.room.write_at(work, self.now_ms)

    def change_rules(self, rules: Rules, *, kill: bool) -> None:
        """While the engine runs, or while it is down."""
        self.ruled_from = len(self.packs)
        before = {
            key: watch for key, watch in self.room.facts.watches.items() if is_running(watch[0]) and "?" not in key[2]
        }
        self.room.known = rules
        if kill:
            forget(self.room)
        versions.keep(self.room.database, rules, self.now_ms)
        if not kill:
            self.room.facts.replace_rules(rules)
        self.renew()
        for key, watch in before.items():
            assert self.room.facts.watches[key][3] == watch[3], "what runs keeps the rule that raised it"

    def enter(self) -> None:
        """A worker owns the site from now on."""
        self.lives += 1
        holder = Holder(f"w{self.lives % 2}")
        with self.room.database.writing() as connection:
            leases.enter(connection, holder)
            leases.take(connection, holder, [SITE, LEAD])
        self.room.holder = holder

    def hand_over(self, some: list[tuple[int, list[Reading]]], end: str) -> None:
        """The other worker takes the site, as `rules.shell.sites` does. One that stalls does not know, and hears what comes next."""
        before, holder, of = self.heard(some), self.room.holder, self.room
        if end == "owner stops" and holder is not None:
            with of.database.writing() as connection:
                leases.leave(connection, holder)
        self.enter()
        of.facts = facts.load(of.database, KINDS, of.known, sites=[])
        of.facts.take_over(facts.load(of.database, KINDS, of.known, sites=[SITE, LEAD]))
        work = Work(of.facts)
        work.renew(self.now_ms, [SITE, LEAD])
        for number, readings in self.packs[-3:]:
            take(work, topics.readings(SITE, EDGE), self.payload(number, readings), self.now_ms)
        work.settle(self.now_ms)
        of.write_at(work, self.now_ms)
        if end == "owner stalls":
            with pytest.raises(LeaseLost):
                facts.commit(of.database, before, self.now_ms, holder)


def told(of: Room) -> list[str]:
    """What stands in the log, but for notes that an open alarm had begun before: readings that are told again may say so."""
    return sorted(entry.event for entry in of.desk.log_after(0) if not entry.detail.startswith("late, also at"))


def found(of: Room) -> list[tuple[object, ...]]:
    return sorted(
        (
            one.device,
            one.rule,
            one.raised_at_ms,
            one.known_at_ms,
            one.level,
            one.state.value,
            one.late,
            one.occurrences,
            one.times,
            one.version,
            one.case is not None,
        )
        for one in of.desk.alarms(open_only=False, limit=1000)
    )


@contextmanager
def sqlite() -> Iterator[str]:
    yield ""


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.needs("postgres", "initdb"))]
)
def fresh(request: pytest.FixtureRequest) -> Iterator[Fresh]:
    """Databases in which nothing has happened."""
    if request.param == "sqlite":
        yield sqlite
        return
    server: services.PostgreSql = request.getfixturevalue("postgresql_server")
    with server.database() as url:
        Database(url).close()
        yield partial(server.database, url)


def compare(trial: Trial, amiss: Mapping[int, Sequence[str]], url: str) -> None:
    with (
        room(trial.kind, trial.first.rules, SETTINGS) as one,
        room(trial.kind, trial.first.rules, SETTINGS, url) as other,
    ):
        Stand(one, trial).go({})
        Stand(other, trial).go(amiss)
        assert found(other) == found(one)
        assert told(other) == told(one)


HAPPENS = st.dictionaries(st.integers(0, 15), st.lists(st.sampled_from(AMISS), min_size=1, max_size=2), min_size=1)


@settings(max_examples=12)
@given(trials(), HAPPENS)
def test_whatever_the_rules_nothing_that_befalls_an_engine_changes_an_alarm(
    fresh: Fresh, trial: Trial, amiss: dict[int, list[str]]
) -> None:
    with fresh() as url:
        compare(trial, amiss, url)
