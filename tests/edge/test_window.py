from edge.link.window import FIRST_REPEAT_S, MOST_FLIGHTS, MOST_REPEAT_S, ROOM, Lane, PackKey, Window
from edge.report import Urgency
from messages.ids import StreamId

STREAM, OTHER = StreamId("stream000001"), StreamId("stream000002")


def key(number: int) -> PackKey:
    return STREAM, number


def without_receipt(window: Window, lane: Lane, count: int, now_s: float = 0) -> None:
    """So many packs that the broker has answered and the collector has not."""
    for number in range(1, count + 1):
        window.sent(key(number), lane, now_s)
        window.answered(key(number))


def test_alarms_travel_before_readings_and_live_before_backlog() -> None:
    assert list(Lane) == [Lane.LIVE_ALARM, Lane.OLD_ALARM, Lane.LIVE_PERIODIC, Lane.OLD_PERIODIC]
    assert [lane.urgency for lane in Lane] == [Urgency.ALARM, Urgency.ALARM, Urgency.PERIODIC, Urgency.PERIODIC]
    assert [lane.live for lane in Lane] == [True, False, True, False]


def test_a_full_lane_takes_no_room_from_another() -> None:
    window = Window()
    for number in range(ROOM[Lane.OLD_PERIODIC]):
        window.sent(key(number), Lane.OLD_PERIODIC, 0)
    assert window.room(Lane.OLD_PERIODIC) == 0
    assert window.room(Lane.LIVE_ALARM) == ROOM[Lane.LIVE_ALARM]


def test_a_receipt_makes_room() -> None:
    window = Window()
    for number in range(1, 5):
        window.sent(key(number), Lane.LIVE_PERIODIC, 0)
    window.settled(STREAM, [(1, 2), (4, 900)], 0)
    assert window.keys == [key(3)]


def test_a_receipt_settles_the_packs_of_its_stream_alone() -> None:
    window = Window()
    window.sent((STREAM, 1), Lane.OLD_ALARM, 0)
    window.sent((OTHER, 1), Lane.LIVE_ALARM, 0)
    window.settled(STREAM, [(1, 1)], 0)
    assert window.keys == [(OTHER, 1)]


def test_alarms_that_no_collector_receipts_take_no_room_once_the_broker_has_them() -> None:
    window = Window()
    without_receipt(window, Lane.LIVE_ALARM, 500)
    assert window.room(Lane.LIVE_ALARM) == ROOM[Lane.LIVE_ALARM]
    assert window.room(Lane.OLD_ALARM) == ROOM[Lane.OLD_ALARM]
    assert len(window.overdue(FIRST_REPEAT_S)) == 500


def test_alarms_that_the_broker_has_not_answered_take_room() -> None:
    window = Window()
    for number in range(ROOM[Lane.LIVE_ALARM]):
        window.sent(key(number), Lane.LIVE_ALARM, 0)
    assert window.room(Lane.LIVE_ALARM) == 0


def test_periodic_readings_take_room_until_their_receipt() -> None:
    window = Window()
    without_receipt(window, Lane.LIVE_PERIODIC, ROOM[Lane.LIVE_PERIODIC])
    assert window.room(Lane.LIVE_PERIODIC) == 0


def test_of_too_many_alarms_without_receipt_the_last_become_backlog_that_waits_for_receipts() -> None:
    window = Window()
    without_receipt(window, Lane.LIVE_ALARM, MOST_FLIGHTS + 300)
    assert window.room(Lane.LIVE_ALARM) == ROOM[Lane.LIVE_ALARM]
    assert window.room(Lane.OLD_ALARM) == 0
    assert len(window.overdue(FIRST_REPEAT_S)) == len(window.keys) == MOST_FLIGHTS
    assert window.room(Lane.OLD_ALARM) == 0
    window.settled(STREAM, [(1, MOST_FLIGHTS)], FIRST_REPEAT_S)
    assert window.room(Lane.OLD_ALARM) == ROOM[Lane.OLD_ALARM]


def test_a_pack_without_receipt_is_sent_again_less_and_less_often() -> None:
    window, now_s, gaps = Window(), 0.0, []
    window.sent(key(1), Lane.LIVE_ALARM, now_s)
    for _ in range(7):
        due_s = window.next_repeat_s()
        assert due_s is not None
        assert window.overdue(due_s - 0.01) == []
        assert window.overdue(due_s) == [key(1)]
        gaps.append(due_s - now_s)
        now_s = due_s
        window.sent(key(1), window.lane(key(1)), now_s)
    assert gaps == [FIRST_REPEAT_S, 20, 40, 80, 160, MOST_REPEAT_S, MOST_REPEAT_S]
    assert window.room(Lane.LIVE_ALARM) == ROOM[Lane.LIVE_ALARM] - 1


def test_any_receipt_shows_that_the_collector_lives_so_the_others_follow_soon() -> None:
    window = Window()
    for number in (1, 2):
        for _ in range(6):
            window.sent(key(number), Lane.LIVE_ALARM, 1000)
    window.settled(STREAM, [(1, 1)], 1001)
    assert window.next_repeat_s() == 1001 + FIRST_REPEAT_S


def test_nothing_in_flight_is_never_due() -> None:
    window = Window()
    window.sent(key(1), Lane.LIVE_ALARM, 0)
    window.clear()
    assert window.next_repeat_s() is None
    assert window.overdue(1e9) == []
