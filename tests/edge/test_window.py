from edge.report import Urgency
from edge.window import FIRST_REPEAT_S, MOST_REPEAT_S, ROOM, Lane, Window


def test_alarms_travel_before_readings_and_live_before_backlog() -> None:
    assert list(Lane) == [Lane.LIVE_ALARM, Lane.OLD_ALARM, Lane.LIVE_PERIODIC, Lane.OLD_PERIODIC]
    assert [lane.urgency for lane in Lane] == [Urgency.ALARM, Urgency.ALARM, Urgency.PERIODIC, Urgency.PERIODIC]
    assert [lane.live for lane in Lane] == [True, False, True, False]


def test_a_full_lane_takes_no_room_from_another() -> None:
    window = Window()
    for number in range(ROOM[Lane.OLD_PERIODIC]):
        window.sent(number, Lane.OLD_PERIODIC, 0)
    assert window.room(Lane.OLD_PERIODIC) == 0
    assert window.room(Lane.LIVE_ALARM) == ROOM[Lane.LIVE_ALARM]


def test_a_receipt_makes_room() -> None:
    window = Window()
    for number in range(1, 5):
        window.sent(number, Lane.LIVE_PERIODIC, 0)
    window.settled([(1, 2), (4, 900)], 0)
    assert window.numbers == [3]


def test_a_pack_without_receipt_is_sent_again_less_and_less_often() -> None:
    window, now_s, gaps = Window(), 0.0, []
    window.sent(1, Lane.LIVE_ALARM, now_s)
    for _ in range(7):
        due_s = window.next_repeat_s()
        assert due_s is not None
        assert window.overdue(due_s - 0.01) == []
        assert window.overdue(due_s) == [1]
        gaps.append(due_s - now_s)
        now_s = due_s
        window.sent(1, window.lane(1), now_s)
    assert gaps == [FIRST_REPEAT_S, 20, 40, 80, 160, MOST_REPEAT_S, MOST_REPEAT_S]
    assert window.room(Lane.LIVE_ALARM) == ROOM[Lane.LIVE_ALARM] - 1


def test_any_receipt_shows_that_the_collector_lives_so_the_others_follow_soon() -> None:
    window = Window()
    for number in (1, 2):
        for _ in range(6):
            window.sent(number, Lane.LIVE_ALARM, 1000)
    window.settled([(1, 1)], 1001)
    assert window.next_repeat_s() == 1001 + FIRST_REPEAT_S


def test_nothing_in_flight_is_never_due() -> None:
    window = Window()
    window.sent(1, Lane.LIVE_ALARM, 0)
    window.clear()
    assert window.next_repeat_s() is None
    assert window.overdue(1e9) == []
