"""A delay that began while nobody listened is over when it would have been, where nothing says that this would be wrong."""

from pathlib import Path

import pytest

from messages import pack, topics
from messages.ids import DeviceId, StreamId
from messages.reading import Reading
from rules.engine.arrears import MOST_AWAY_MS, Arrears
from rules.engine.intake import take
from rules.engine.work import Work
from tests.rules.course import at, course
from tests.rules.room import EDGE, SITE, Room

STREAM = StreamId("s-1")
DELAY_S, CLEAR_DELAY_S = 300, 10
"""Of `stays_open` of a barrier."""

Pack = tuple[int, list[Reading]]


def barrier(*points: tuple[float, bool]) -> list[Reading]:
    return course("open", *points)


def hear(of: Room, now_s: float, *packs: Pack, pays: Arrears | None = None, lag_s: float = 0) -> None:
    """What comes in one turn. `pays`: the last of it was said `lag_s` ago."""
    work = Work(of.facts)
    for number, readings in packs:
        assert take(work, topics.readings(SITE, EDGE), pack.encode(EDGE, STREAM, number, readings), at(now_s)) is None
    work.settle(at(now_s))
    if pays:
        pays.pay(work, EDGE_OF_SITE, round(lag_s * 1000), at(now_s))
    of.write(work, now_s)


EDGE_OF_SITE = (SITE, EDGE)


@pytest.fixture
def plant(tmp_path: Path) -> Room:
    made = Room(tmp_path)
    made.announce("it", "barrier")
    hear(made, 0, (1, barrier((0, False))))
    return made


def back(plant: Room, now_s: float, *mail: Pack, then: Pack, lag_s: float = 0) -> float:
    """The engine starts again, hears its mail, and a little later what is said now. When its delay is over, in s."""
    plant.start()
    arrears = Arrears.begun(plant.facts, at(now_s))
    hear(plant, now_s, *mail)
    assert arrears.is_owed(EDGE_OF_SITE)
    hear(plant, now_s + 0.5, then, pays=arrears, lag_s=lag_s)
    assert not arrears.is_owed(EDGE_OF_SITE)
    due_ms = plant.facts.watches[SITE, DeviceId("it"), "stays_open"][1]
    assert due_ms is not None
    return (due_ms - at(0)) / 1000


def test_it_counts_from_when_it_would_have_been_heard(plant: Room) -> None:
    due_s = back(plant, 20, (2, barrier((10, True))), then=(3, barrier((20.4, True))), lag_s=0.1)
    assert due_s == 10 + 0.1 + DELAY_S
    plant.pass_time(due_s)
    assert plant.the_alarm().raised_at_ms == at(10 + DELAY_S)


def test_so_it_does_where_it_ends_what_is_raised(plant: Room) -> None:
    hear(plant, 1, (2, barrier((1, True))))
    plant.pass_time(1 + DELAY_S)
    hear(plant, 305, (3, barrier((305, True))))
    assert back(plant, 315, (4, barrier((310, False))), then=(5, barrier((315.4, False)))) == 310 + CLEAR_DELAY_S


@pytest.mark.parametrize(
    ("why", "start_s", "mail", "then"),
    [
        ("a pack is missing", 20, (2, barrier((10, True))), (4, barrier((20.4, True)))),
        ("we were away for long", 40, (2, barrier((30, True))), (3, barrier((40.4, True)))),
        ("it seems to have been said before we went away", 20, (3, barrier((1, True))), (4, barrier((20.4, True)))),
    ],
)
def test_it_counts_from_when_it_was_heard_if(plant: Room, why: str, start_s: float, mail: Pack, then: Pack) -> None:
    if mail[0] == 3:
        hear(plant, 5, (2, barrier((0.5, False))))
    assert back(plant, start_s, mail, then=then) == start_s + DELAY_S, why


def test_a_delay_that_began_before_goes_on_as_it_was(plant: Room) -> None:
    hear(plant, 5, (2, barrier((1, True))))  # four seconds on its way
    assert back(plant, 20, then=(3, barrier((20.4, True)))) == 5 + DELAY_S


def test_after_a_while_nobody_is_asked_any_more(plant: Room) -> None:
    arrears = Arrears.begun(plant.facts, at(0))
    assert arrears.lasts(at(MOST_AWAY_MS / 1000))
    assert not arrears.lasts(at(MOST_AWAY_MS / 1000 + 1))
    assert not arrears.lasts(at(-1)), "the clock was set back"
