"""A server whose clock is ahead of the edges' takes no fresh red alarm for an old one, and no old one for fresh."""

from pathlib import Path

import pytest

from edge.link.uplink import STATUS_EVERY_S
from messages import topics
from messages.ids import EdgeId
from messages.status import EdgeStatus, encode
from rules.engine.intake import take
from rules.engine.skew import KEPT_MS, NOTABLE_MS, WINDOW_MS, Skew, heard, stepped
from rules.engine.work import Work
from rules.records import AlarmState
from rules.store import facts
from tests.rules.course import at, reading
from tests.rules.room import EDGE, SITE, Room

HOUR_S = 3600


@pytest.fixture
def room(tmp_path: Path) -> Room:
    """A street lamp whose leakage is red, and guards no life by its rule's word."""
    room = Room(tmp_path)
    room.announce("lamp-1", "smart_lamp")
    return room


def status(room: Room, edge_s: float, server_s: float) -> None:
    work = Work(room.facts)
    ms = at(edge_s)
    work.status(SITE, EDGE, online=True, at_ms=min(ms, at(server_s)), now_ms=at(server_s), clock_ms=ms)
    work.settle(at(server_s))
    room.write(work, server_s)


def kept(room: Room, edge_s: float, server_s: float, *, online: bool = True) -> None:
    """The status that the broker keeps, as it comes when the engine has connected."""
    said = EdgeStatus(online=online, at_ms=at(edge_s))
    work = Work(room.facts)
    assert take(work, topics.status(SITE, EDGE), encode(said), at(server_s), kept=True) is None
    work.settle(at(server_s))
    room.write(work, server_s)


def leaks(room: Room, edge_s: float, server_s: float) -> bool:
    """Whether a leak at `edge_s`, by the edge's clock, calls anybody at `server_s`, by the server's."""
    rule = next(rule for rule in room.known["smart_lamp"] if rule.id == "leakage")
    assert (rule.level, rule.life_safety) == ("red", False)
    room.hear(reading(edge_s, "leakage", 50.0, device="lamp-1"), now_s=server_s)
    (alarm,) = room.desk.alarms(open_only=False)
    return alarm.case is not None


def test_without_a_word_of_the_edge_the_servers_clock_decides(room: Room) -> None:
    assert not leaks(room, 0, HOUR_S)


def test_a_fresh_red_rings_though_the_server_is_an_hour_ahead(room: Room) -> None:
    status(room, 0, HOUR_S)
    assert leaks(room, 5, HOUR_S + 5)


def test_an_old_red_of_an_edge_whose_clock_is_behind_is_late_all_the_same(room: Room) -> None:
    status(room, 2 * HOUR_S, 3 * HOUR_S)
    assert not leaks(room, HOUR_S, 3 * HOUR_S + 5)  # an hour before the edge said what its clock shows


def test_statuses_that_have_lain_in_the_broker_make_no_old_red_fresh(room: Room) -> None:
    """The engine was down for an hour; what the edge said meanwhile comes in its order, within seconds."""
    for edge_s in range(0, 120, 30):
        status(room, edge_s, edge_s)
    room.start()
    for edge_s in range(120, 2000, 30):
        status(room, edge_s, HOUR_S + edge_s / 1000)
    assert not leaks(room, 2000, HOUR_S + 2)


def test_a_server_that_came_up_with_a_wrong_clock_learns_it_from_two_statuses(room: Room) -> None:
    for edge_s in range(0, 120, 30):
        status(room, edge_s, edge_s)
    room.start()
    for edge_s in range(120, 121 + WINDOW_MS // 1000 + 30, 30):
        status(room, edge_s, HOUR_S + edge_s)
    assert leaks(room, edge_s, HOUR_S + edge_s)


def started_ahead(room: Room) -> None:
    """The server was right, went down, and comes up with a clock that is an hour ahead."""
    for edge_s in range(0, 120, 30):
        status(room, edge_s, edge_s)
    room.start()


def test_red_rings_at_once_after_a_start_with_a_wrong_clock_by_what_the_broker_keeps(room: Room) -> None:
    started_ahead(room)
    kept(room, 100, HOUR_S + 121)
    assert leaks(room, 122, HOUR_S + 122)


def test_red_that_was_heard_before_that_word_rings_when_it_comes_without_another_reading(room: Room) -> None:
    started_ahead(room)
    assert not leaks(room, 120, HOUR_S + 120)
    kept(room, 110, HOUR_S + 121)
    room.pass_time(HOUR_S + 121)
    assert room.the_alarm().case, "somebody is called"


def test_and_so_it_does_when_two_statuses_have_shown_the_clock(room: Room) -> None:
    """Of an edge that came back later: the broker kept nothing of it."""
    started_ahead(room)
    assert not leaks(room, 120, HOUR_S + 120)
    for edge_s in range(120, 121 + WINDOW_MS // 1000 + 30, 30):
        status(room, edge_s, HOUR_S + edge_s)
    room.pass_time(HOUR_S + edge_s)
    assert room.the_alarm().case


def test_other_edges_late_alarms_stay_late(room: Room) -> None:
    started_ahead(room)
    other = EdgeId("pi-2")
    room.announce("lamp-2", "smart_lamp", edge=other)
    room.hear(reading(120, "leakage", 50.0, device="lamp-2"), now_s=HOUR_S + 120, edge=other)
    kept(room, 110, HOUR_S + 121)
    room.pass_time(HOUR_S + 121)
    assert room.the_alarm().case is None


def test_what_the_broker_keeps_of_an_edge_that_is_gone_makes_no_old_red_fresh(room: Room) -> None:
    started_ahead(room)
    kept(room, 120, HOUR_S + 121, online=False)
    assert not leaks(room, 119, HOUR_S + 122)


def test_an_edge_that_speaks_again_shows_how_little_its_kept_word_was_worth(room: Room) -> None:
    """The broker has crashed, and kept a word of an hour ago of an edge that died meanwhile: it is believed until the edge is back."""
    started_ahead(room)
    kept(room, 120, HOUR_S + 121)
    status(room, HOUR_S + 200, HOUR_S + 200)
    assert room.facts.edges[SITE, EDGE].behind_ms == 0
    assert not leaks(room, 121, HOUR_S + 201)


def test_of_what_is_kept_so_much_is_believed_as_it_can_not_have_lain_there() -> None:
    known = heard(Skew(0, since_ms=0), 0, 3_600_000, kept=True)
    assert known.ahead_ms == 3_600_000 - KEPT_MS
    assert heard(Skew(0, since_ms=0), 0, KEPT_MS, kept=True).ahead_ms == 0
    assert KEPT_MS >= NOTABLE_MS
    assert KEPT_MS >= 2 * STATUS_EVERY_S * 1000


def test_a_clock_that_is_set_is_known_at_once_and_over_a_restart(room: Room) -> None:
    status(room, 0, 0)
    work = Work(room.facts)
    work.step(HOUR_S * 1000, {SITE}, at(HOUR_S + 1))
    room.write(work, HOUR_S + 1)
    room.start()
    assert leaks(room, 2, HOUR_S + 2)


def test_edges_are_not_taken_for_silent_by_a_server_that_is_ahead(room: Room) -> None:
    for edge_s in range(0, 600, 30):
        status(room, edge_s, HOUR_S + edge_s)
    room.pass_time(HOUR_S + 600)
    assert [alarm.rule for alarm in room.desk.alarms() if alarm.device.endswith("-link")] == []


def test_less_is_believed_at_once_and_more_only_after_a_while() -> None:
    known = heard(None, 0, 500_000)
    assert known.ahead_ms == 500_000
    known = heard(known, 1_000_000, 1_010_000)
    assert known.ahead_ms == 10_000
    for now_ms in range(1_020_000, 1_020_000 + WINDOW_MS, 25_000):
        known = heard(known, now_ms - 700_000, now_ms)
        assert known.ahead_ms == 10_000
    known = heard(heard(known, 0, 1_200_000 - 1), 400_000, 1_200_000)  # the window is over
    assert known.ahead_ms >= 700_000
    assert stepped(known, -10_000_000, 0) == Skew(0, since_ms=0)


def test_an_edge_whose_clock_is_ahead_is_no_matter() -> None:
    assert heard(None, 5_000, 0).ahead_ms == 0


def test_what_is_known_of_a_clock_is_written_down(room: Room) -> None:
    status(room, 0, HOUR_S)
    again = facts.load(room.database, room.facts.kinds, room.known)
    assert again.edges[SITE, EDGE].behind_ms == HOUR_S * 1000


@pytest.mark.parametrize("ends", [False, True])
def test_red_that_comes_just_after_an_edges_clock_was_set_back_rings_as_soon_as_that_is_known(
    room: Room, ends: bool
) -> None:
    """All that it says is older than what it said before, for an hour."""
    status(room, 0, 0)
    room.hear(reading(10, "leakage", 1.0, device="lamp-1"))
    assert not leaks(room, 20 - HOUR_S, 20)
    if ends:
        room.hear(reading(60 - HOUR_S, "leakage", 1.0, device="lamp-1"), now_s=60)
        room.hear(reading(400 - HOUR_S, "leakage", 1.0, device="lamp-1"), now_s=400)
    for now_s in range(420, 600, 30) if ends else range(30, 180, 30):
        status(room, now_s - HOUR_S, now_s)
    alarms = room.desk.alarms(open_only=False)
    assert [alarm.case is not None for alarm in alarms] == [not ends]


def test_what_rang_because_a_clock_was_set_back_is_over_when_the_present_says_so(room: Room) -> None:
    status(room, 0, 0)
    room.hear(reading(10, "leakage", 1.0, device="lamp-1"))
    leaks(room, 20 - HOUR_S, 20)
    for now_s in range(30, 180, 30):
        status(room, now_s - HOUR_S, now_s)
    assert [alarm.state for alarm in room.desk.alarms()] == [AlarmState.UNACK]
    room.hear(reading(HOUR_S, "leakage", 1.0, device="lamp-1"), now_s=HOUR_S)
    assert [alarm.state for alarm in room.desk.alarms()] == [AlarmState.LATCH_UNACK]
