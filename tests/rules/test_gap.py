"""What waits while packs of a stream are missing, and what doesn't."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select, update

from messages import pack, topics
from messages.ids import EdgeId, StreamId
from messages.reading import Reading
from rules.engine import catchup, gap
from rules.engine.gap import PATIENCE_MS
from rules.engine.intake import take
from rules.engine.memory.bookmark import MOST_SAID
from rules.engine.work import Work
from rules.store import facts
from rules.store import tables as db
from tests.rules.course import ALL_RULES, at, course, reading
from tests.rules.room import EDGE, SITE, Room

STREAM = StreamId("s-1")
KEY = (SITE, EDGE, STREAM)


@pytest.fixture
def plant(tmp_path: Path) -> Room:
    made = Room(tmp_path)
    made.announce("it", "barrier")  # stays_open: open for 5 min
    made.announce("gas", "gas_alarm")
    return made


def hear(of: Room, now_s: float, *packs: tuple[int, Sequence[Reading]], edge: EdgeId = EDGE) -> None:
    """What comes in one turn of the engine."""
    work = Work(of.facts)
    for number, readings in packs:
        assert take(work, topics.readings(SITE, edge), pack.encode(edge, STREAM, number, readings), at(now_s)) is None
    work.settle(at(now_s))
    of.write(work, now_s)


def barrier(*points: tuple[float, bool]) -> list[Reading]:
    return course("open", *points)


def raised(of: Room) -> list[tuple[str, int]]:
    return [(alarm.device, alarm.raised_at_ms) for alarm in of.desk.alarms(open_only=False)]


def test_a_straggler_that_closes_the_gap_has_its_place_before_what_came_earlier(plant: Room) -> None:
    hear(plant, 0, (1, barrier((0, False))))
    hear(plant, 203, (3, barrier((202, True))))
    hear(plant, 204, (2, barrier((1, True))))
    assert plant.facts.streams[KEY].heard == ((1, 3),)
    assert plant.facts.beyond == {}
    plant.pass_time(504)
    assert raised(plant) == [("it", at(301))]


def test_what_ended_and_began_again_in_the_gap_raises_nothing(plant: Room) -> None:
    hear(plant, 0, (1, barrier((0, True))))
    hear(plant, 203, (3, barrier((202, True))))
    hear(plant, 204, (2, barrier((201, False))))
    plant.pass_time(500)
    assert raised(plant) == []
    plant.pass_time(510)
    assert raised(plant) == [("it", at(502))]


def test_where_nothing_is_missing_nothing_waits(plant: Room) -> None:
    hear(plant, 0, (1, barrier((0, True))))
    hear(plant, 1, (2, barrier((1, True))))
    hear(plant, 2, (4, barrier((2, False))), (3, barrier((1.5, True))))
    assert plant.facts.beyond == {}


def test_what_guards_lives_waits_for_nothing(plant: Room) -> None:
    hear(plant, 0, (1, course("gas_concentration", (0, 0.0), device="gas")))
    hear(plant, 1, (3, course("gas_concentration", (1, 40.0), device="gas")))
    assert raised(plant) == [("gas", at(1))]


def test_nothing_red_and_nothing_that_would_ring_within_the_patience_has_the_time() -> None:
    for rule in (rule for rules in ALL_RULES.values() for rule in rules):
        if gap.has_time(rule):
            levels = {rule.level, *(level for level, _ in rule.graver_when)}
            assert "red" not in levels or rule.shadow, rule.id
            assert not rule.guards, rule.id
            assert not rule.life_safety, rule.id
            assert rule.raise_delay_ms >= PATIENCE_MS, rule.id


def test_a_gap_that_stays_is_waited_for_once_and_delays_no_alarm(plant: Room) -> None:
    hear(plant, 0, (1, barrier((0, False))))
    hear(plant, 100, (3, barrier((100, True))))
    plant.pass_time(100 + PATIENCE_MS / 1000)
    assert plant.facts.beyond == {}
    assert plant.facts.streams[KEY].heard == ((1, 1), (3, 3))
    hear(plant, 115, (4, barrier((115, True))))
    assert plant.facts.beyond == {}, "the gap is old by now"
    plant.pass_time(399)
    assert raised(plant) == []
    plant.pass_time(400)
    assert raised(plant) == [("it", at(400))]


def test_a_delay_that_is_over_rings_at_once_gap_or_no_gap(plant: Room) -> None:
    hear(plant, 0, (1, barrier((0, True))))
    hear(plant, 295, (3, barrier((295, True))))
    plant.pass_time(300)
    assert raised(plant) == [("it", at(300))]
    hear(plant, 301, (2, barrier((294, False))))
    assert raised(plant) == [("it", at(300))]


def test_before_a_delay_is_over_what_is_in_hand_is_judged(plant: Room) -> None:
    hear(plant, 0, (1, barrier((0, True))))
    hear(plant, 295, (3, barrier((295, False))))
    plant.pass_time(400)
    assert raised(plant) == []


@pytest.fixture
def bin_(plant: Room) -> Room:
    """Hot for 30 s is red."""
    plant.announce("bin", "waste_bin")
    hear(plant, 0, (1, heat((0, 20.0))))
    return plant


def heat(*points: tuple[float, float]) -> list[Reading]:
    return course("temperature", *points, device="bin")


def test_a_delayed_red_waits_for_nothing_and_counts_from_where_it_began_once_that_is_known(bin_: Room) -> None:
    hear(bin_, 20, (3, heat((20, 90.0))))
    hear(bin_, 21, (2, heat((1, 90.0))))
    bin_.pass_time(30.9)
    assert raised(bin_) == []
    bin_.pass_time(31)
    assert raised(bin_) == [("bin", at(31))]


def test_a_delayed_red_that_should_have_rung_in_the_gap_rings_when_it_is_closed(bin_: Room) -> None:
    hear(bin_, 40, (3, heat((40, 90.0))))
    hear(bin_, 41, (2, heat((1, 90.0))))
    assert raised(bin_) == [("bin", at(31))]


def test_what_began_and_ended_in_the_gap_rings_and_is_over(plant: Room) -> None:
    tamper = partial(course, "tamper", device="gas")  # for 5 s; over after 60 s
    hear(plant, 0, (1, tamper((0, False))))
    hear(plant, 85, (3, tamper((20, False), (85, False))))
    hear(plant, 86, (2, tamper((1, True))))
    assert raised(plant) == [("gas", at(6))]
    assert plant.the_alarm().state == "rtn_unack"
    assert plant.the_alarm().case is not None


def test_what_rang_in_the_gap_is_neither_taken_back_nor_told_twice(bin_: Room) -> None:
    hear(bin_, 1, (2, heat((1, 90.0))))
    hear(bin_, 25, (4, heat((25, 90.0))))
    bin_.pass_time(31)
    assert raised(bin_) == [("bin", at(31))]
    before = bin_.events()
    hear(bin_, 32, (3, heat((10, 20.0))))
    bin_.pass_time(100)
    assert raised(bin_) == [("bin", at(31))]
    assert bin_.events() == before


def test_the_gravest_moment_of_what_stands_is_told_if_it_lay_in_the_gap(plant: Room) -> None:
    plant.announce("road", "road_ponding")
    deep = partial(course, "water_depth", device="road")
    hear(plant, 0, (1, deep((0, 0.05), (1, 0.05))))
    assert plant.the_alarm().level == "blue"
    hear(plant, 20, (3, deep((20, 0.05))))
    hear(plant, 21, (2, deep((10, 0.5))))
    assert plant.the_alarm().level == "orange"


def test_a_delay_that_ran_through_what_ended_it_is_not_made_longer_for_red(bin_: Room) -> None:
    """It may not be true; it rings as it would have."""
    hear(bin_, 1, (2, heat((1, 90.0))))
    hear(bin_, 20, (4, heat((20, 90.0))))
    hear(bin_, 21, (3, heat((10, 20.0))))
    bin_.pass_time(31)
    assert raised(bin_) == [("bin", at(31))]


def test_what_another_edge_said_meanwhile_stands_and_nothing_is_judged_again(bin_: Room) -> None:
    other = EdgeId("pi-2")
    bin_.announce("bin", "waste_bin", edge=other)
    hear(bin_, 20, (3, heat((20, 90.0))))
    hear(bin_, 20.5, (1, heat((20.5, 90.0))), edge=other)
    hear(bin_, 21, (2, heat((1, 90.0))))
    bin_.pass_time(49)
    assert raised(bin_) == []
    bin_.pass_time(50)
    assert raised(bin_) == [("bin", at(50))]


def test_a_clock_that_was_ahead_in_the_gap_makes_no_alarm(bin_: Room) -> None:
    hear(bin_, 20, (3, heat((900, 90.0))))
    hear(bin_, 21, (4, heat((21, 20.0))))
    hear(bin_, 22, (2, heat((1, 90.0))))
    bin_.pass_time(100)
    assert raised(bin_) == []


def killed(of: Room) -> None:
    of.start()


def handed_over(of: Room) -> None:
    """Another worker owns the site now."""
    known = facts.load(of.database, of.facts.kinds, ALL_RULES, sites=[])
    known.take_over(facts.load(of.database, of.facts.kinds, ALL_RULES, sites=[SITE]))
    of.facts = known


@pytest.mark.parametrize("befalls", [killed, handed_over])
def test_after_a_kill_in_a_gap_a_delayed_red_counts_from_where_it_began(
    bin_: Room, befalls: Callable[[Room], None]
) -> None:
    hear(bin_, 20, (3, heat((20, 90.0))))
    befalls(bin_)
    hear(bin_, 20.5, (3, heat((20, 90.0))))  # from the history: it waited for the one before
    hear(bin_, 21, (2, heat((1, 90.0))))
    bin_.pass_time(30.9)
    assert raised(bin_) == []
    bin_.pass_time(31)
    assert raised(bin_) == [("bin", at(31))]


def test_after_a_kill_in_a_gap_what_has_rung_is_not_told_again(bin_: Room) -> None:
    hear(bin_, 1, (2, heat((1, 90.0))))
    hear(bin_, 25, (4, heat((25, 90.0))))
    bin_.pass_time(31)
    before = bin_.events()
    bin_.start()
    hear(bin_, 32, (4, heat((25, 90.0))), (3, heat((20, 20.0))))
    bin_.pass_time(100)
    assert raised(bin_) == [("bin", at(31))]
    assert bin_.events() == before


def test_after_a_kill_all_that_was_judged_has_to_come_again_before_anything_is_judged_once_more(bin_: Room) -> None:
    hear(bin_, 20, (3, heat((20, 90.0))))
    hear(bin_, 22, (5, heat((22, 90.0))))
    bin_.start()
    hear(bin_, 23, (2, heat((1, 90.0))))
    bin_.pass_time(32)
    assert raised(bin_) == [], "the fourth is missing, and may have ended it"
    hear(bin_, 32.5, (3, heat((20, 90.0))), (4, heat((10, 20.0))), (5, heat((22, 90.0))))
    bin_.pass_time(49)
    assert raised(bin_) == []
    bin_.pass_time(50)
    assert raised(bin_) == [("bin", at(50))]


def of_another_edge(of: Room) -> None:
    other = EdgeId("pi-2")
    of.announce("bin", "waste_bin", edge=other)
    hear(of, 20.2, (1, heat((20.2, 90.0))), edge=other)


def of_so_much_more(of: Room) -> None:
    for number in range(4, 5 + MOST_SAID):
        hear(of, 20.2, (number, heat((20 + number / 1000, 90.0))))


def of_a_damaged_row(of: Room) -> None:
    with of.database.writing() as connection:
        for row in connection.execute(select(db.states)).all():
            if "gap" in row.state:
                state = row.state | {"gap": row.state["gap"] | {"before": {}}}
                connection.execute(update(db.states).where(db.states.c.rule == row.rule).values(state=state))


@pytest.mark.parametrize("what", [of_another_edge, of_so_much_more, of_a_damaged_row])
def test_after_a_kill_in_a_gap_nothing_is_judged_again_where_that_could_be_wrong(
    bin_: Room, what: Callable[[Room], None]
) -> None:
    hear(bin_, 20, (3, heat((20, 90.0))))
    what(bin_)
    bin_.start()
    more = [(number, heat((20 + number / 1000, 90.0))) for number in range(4, 5 + MOST_SAID)]
    hear(bin_, 20.5, (3, heat((20, 90.0))), *(more if what is of_so_much_more else ()))
    hear(bin_, 21, (2, heat((1, 90.0))))
    bin_.pass_time(49)
    assert raised(bin_) == []
    bin_.pass_time(51)
    assert raised(bin_) == [("bin", at(50))]


def test_after_the_clock_was_set_in_a_gap_and_a_kill_nothing_is_judged_again(plant: Room) -> None:
    """When what was said before was heard is known by the old clock."""
    tamper = partial(course, "tamper", device="gas")
    hear(plant, 0, (1, tamper((0, False))))
    hear(plant, 85, (3, tamper((20, False), (85, False))))
    work = Work(plant.facts)
    work.step(10_000, {SITE}, at(96))
    plant.write(work, 96)
    plant.start()
    hear(plant, 96, (3, tamper((20, False), (85, False))), (2, tamper((1, True))))
    assert raised(plant) == []


def test_after_a_kill_a_gap_that_was_given_up_moves_no_delay(bin_: Room) -> None:
    hear(bin_, 20, (3, heat((20, 90.0))))
    bin_.pass_time(20 + PATIENCE_MS / 1000)
    bin_.start()
    assert bin_.facts.beyond == {}
    hear(bin_, 31, (2, heat((1, 90.0))))
    bin_.pass_time(49)
    assert raised(bin_) == []


def test_a_gap_that_is_given_up_moves_no_delay(bin_: Room) -> None:
    hear(bin_, 20, (3, heat((20, 90.0))))
    bin_.pass_time(20 + PATIENCE_MS / 1000)
    hear(bin_, 31, (2, heat((1, 90.0))))
    bin_.pass_time(49)
    assert raised(bin_) == []
    bin_.pass_time(50)
    assert raised(bin_) == [("bin", at(50))]


def test_after_a_kill_what_waited_is_heard_again(plant: Room) -> None:
    hear(plant, 0, (1, barrier((0, False))))
    hear(plant, 203, (3, barrier((202, True))))
    plant.start()
    assert catchup.at_start(plant.facts.streams[KEY])[0] == (2, 3)
    hear(plant, 204, (2, barrier((1, True))))
    hear(plant, 204, (3, barrier((202, True))))
    plant.pass_time(505)
    assert raised(plant) == [("it", at(301))]


def test_what_the_history_has_of_a_gap_closes_it(plant: Room) -> None:
    hear(plant, 0, (1, barrier((0, False))))
    hear(plant, 203, (4, barrier((202, True))))
    lacking = catchup.gaps(plant.facts.streams, {}, at(203), plant.facts.beyond)[KEY].lacking
    assert lacking == ((2, 3),)
    for last in (False, True):
        work = Work(plant.facts)
        work.catch_up(KEY, [2, 3], barrier((1, True), (2, True)), at(207), last=last)
        plant.write(work, 207)
    assert plant.facts.streams[KEY].heard == ((1, 4),)
    plant.pass_time(507)
    assert raised(plant) == [("it", at(301))]


def test_a_pack_that_waits_and_comes_again_is_heard_once(plant: Room) -> None:
    hear(plant, 0, (1, barrier((0, False))))
    for _ in range(3):
        hear(plant, 10, (3, barrier((10, True))))
    (waiting,) = plant.facts.beyond[KEY].waiting.values()
    assert waiting == ((reading(10, "open", True), at(10)),)


def test_what_waits_is_bounded_and_beyond_that_it_is_judged_as_it_came(
    plant: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gap, "MOST_HELD", 5)
    hear(plant, 0, (1, barrier((0, False))))
    for number in range(3, 9):
        hear(plant, number, (number, barrier((number, True))))
    assert plant.facts.beyond == {}
    assert plant.facts.streams[KEY].heard == ((1, 1), (3, 8))
    monkeypatch.setattr(gap, "MOST_GAPS", 1)
    for name in ("pi-1", "pi-2"):
        hear(plant, 20, (20, barrier((20, True))), edge=EdgeId(name))
    assert len(plant.facts.beyond) == 1


def test_what_was_said_of_a_device_is_judged_by_what_it_was(plant: Room) -> None:
    hear(plant, 0, (1, barrier((0, False))))
    hear(plant, 10, (3, barrier((10, True))))
    plant.announce("it", "door_access", now_s=11)
    assert plant.facts.beyond == {}
    assert [name for _, device, name in plant.facts.watches if device == "it"] == []


def test_the_clock_of_the_server_moves_what_waits(plant: Room) -> None:
    hear(plant, 0, (1, barrier((0, False))))
    hear(plant, 100, (3, barrier((100, True))))
    work = Work(plant.facts)
    work.step(3_600_000, {SITE}, at(3_700))
    plant.write(work, 3_700)
    assert plant.facts.next_wake_ms() == at(3_700) + PATIENCE_MS
    plant.pass_time(3_999)
    assert raised(plant) == []
    plant.pass_time(4_000)
    assert len(raised(plant)) == 1


def test_an_edge_that_is_gone_leaves_nothing_that_waits(plant: Room) -> None:
    hear(plant, 0, (1, barrier((0, False))))
    hear(plant, 10, (3, barrier((10, True))))
    work = Work(plant.facts)
    work.forget(SITE, EDGE, at(11))
    plant.write(work, 11)
    assert plant.facts.beyond == {}
    hear(plant, 12, (3, barrier((10, True))))
    plant.facts.leave({SITE})
    assert plant.facts.beyond == {}
    assert facts.load(plant.database, plant.facts.kinds, ALL_RULES).beyond == {}
