"""A notice's machine, what limits allow, and which notices go when, by what, and together with which."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messages.alarm import Level
from rules.duty.ladder import Address
from rules.language.calendar import CHINA
from rules.notices import notice as machine
from rules.notices.config import ALL_LEVELS, Way
from rules.notices.limits import Limit, free_at_ms, limit
from rules.notices.notice import DEADLINE_MS, DONE, Notice, NoticeEvent, NoticeState
from rules.notices.plan import Decision, Due, Habits, Move, Send, Sent, plan

E, S = NoticeEvent, NoticeState
NOON = round(datetime(2026, 11, 25, 12, 0, tzinfo=ZoneInfo("Asia/Shanghai")).timestamp() * 1000)
NIGHT = round(datetime(2026, 11, 25, 23, 0, tzinfo=ZoneInfo("Asia/Shanghai")).timestamp() * 1000)
HOUR = 3_600_000


def after(*events: NoticeEvent, now_ms: int = 0) -> Notice:
    notice = Notice(key="k")
    for event in events:
        notice = machine.apply(notice, event, now_ms)
    return notice


def test_a_notice_that_is_taken_is_handed_over_and_then_read_and_acted_upon() -> None:
    assert [after(*(E.BEGUN, E.TAKEN, E.DELIVERED, E.OPENED, E.ACTED)[:count]).state for count in range(6)] == [
        S.QUEUED,
        S.SENDING,
        S.HANDED_OVER,
        S.DELIVERED,
        S.READ,
        S.ACTED,
    ]


def test_three_failures_end_a_channel_and_the_next_begins_anew() -> None:
    once, twice = after(E.BEGUN, E.FAILED), after(*(E.BEGUN, E.FAILED) * 2)
    assert [(one.state, one.due_at_ms) for one in (once, twice)] == [(S.FAILED_TEMP, 2_000), (S.FAILED_TEMP, 8_000)]
    gone = after(*(E.BEGUN, E.FAILED) * 3)
    assert gone.state is S.FAILED_PERM
    fresh = machine.apply(gone, E.NEXT_CHANNEL, 0)
    assert (fresh.state, fresh.channel, fresh.attempts) == (S.QUEUED, 1, 0)


def test_a_send_that_was_cut_off_is_queued_again_under_the_same_key() -> None:
    sending = after(E.BEGUN, now_ms=100)
    assert sending.due_at_ms == 100 + DEADLINE_MS
    again = machine.apply(sending, E.LOST, 20_000)
    assert (again.state, again.key, again.attempts) == (S.QUEUED, "k", 1)


def test_to_be_cut_off_by_ones_own_end_is_no_attempt() -> None:
    again = machine.apply(after(E.BEGUN, E.LOST, E.BEGUN), E.CUT_OFF, 20_000)
    assert (again.state, again.attempts, again.due_at_ms) == (S.QUEUED, 1, 20_000)


def test_to_be_held_back_by_a_provider_is_no_attempt() -> None:
    held = machine.apply(after(E.BEGUN), E.HELD_BACK, 0, again_at_ms=60_000)
    assert (held.state, held.attempts, held.due_at_ms) == (S.THROTTLED, 0, 60_000)


@given(st.lists(st.sampled_from(list(NoticeEvent)), max_size=30))
def test_nothing_is_handed_over_that_was_not_taken_and_what_is_done_stays_done(events: list[NoticeEvent]) -> None:
    notice = Notice(key="k")
    for event in events:
        before, notice = notice, machine.apply(notice, event, 0)
        if before.state in DONE:
            assert notice is before
        if notice.state is S.HANDED_OVER and before.state is not S.HANDED_OVER:
            assert (before.state, event) == (S.SENDING, E.TAKEN)
        assert notice.attempts <= machine.ATTEMPTS + 1


@pytest.mark.parametrize("text", ["20", "0/1min", "-1/1min", "20/", "x/1min", "20/60"])
def test_a_limit_is_so_many_in_so_long(text: str) -> None:
    with pytest.raises(ValueError, match="is wanted"):
        limit(text)


def test_the_last_quarter_is_kept_for_red() -> None:
    sent = list(range(0, 15_000, 1_000))
    assert free_at_ms([Limit(20, 60_000)], sent, 15_000, red=False) == 60_000
    assert free_at_ms([Limit(20, 60_000)], sent, 15_000, red=True) == 15_000
    assert free_at_ms([Limit(1, 60_000)], [], 0, red=False) is None


@given(
    st.integers(1, 30),
    st.lists(st.integers(0, 200_000), max_size=60).map(sorted),
    st.booleans(),
)
def test_no_window_ever_holds_more_than_its_limit(most: int, asked: list[int], red: bool) -> None:
    one = Limit(most, 60_000)
    sent: list[int] = []
    for now_ms in asked:
        free = free_at_ms([one], sent, now_ms, red=red)
        if free is not None and free <= now_ms:
            sent.append(now_ms)
    room = most if red else one.without_red
    for at_ms in sent:
        assert sum(at_ms - 60_000 < other <= at_ms for other in sent) <= room


def way(name: str, *limits: str, levels: tuple[Level, ...] = ALL_LEVELS, receiver: tuple[str, ...] = ()) -> Way:
    return Way(
        name=name,
        channel=None,
        levels=frozenset(levels),
        limits=tuple(map(limit, limits)),
        receiver_limits=tuple(map(limit, receiver)),
    )


def due(
    key: str = "k",
    level: Level = "red",
    *channels: str,
    person: str = "lin",
    queued_ms: int = NOON,
    outdated: bool = False,
    channel: int = 0,
) -> Due:
    return Due(
        notice=Notice(key=key, channel=channel),
        case=f"c-{key}",
        site="junmen",
        person=person,
        level=level,
        addresses=tuple(Address(one, f"{person}-{one}") for one in channels or ("app",)),
        queued_at_ms=queued_ms,
        outdated=outdated,
    )


def decided(
    *some: Due, ways: tuple[Way, ...] = (way("app"),), sent: tuple[Sent, ...] = (), now: int = NOON
) -> list[Decision]:
    return plan(some, sent, {one.name: one for one in ways}, CHINA, now, Habits())


def sends(decisions: list[Decision]) -> list[tuple[str, int, list[str]]]:
    return [
        (one.due.notice.key, one.address, [other.notice.key for other in one.others])
        for one in decisions
        if isinstance(one, Send)
    ]


def moves(decisions: list[Decision]) -> dict[str, tuple[NoticeEvent, int | None]]:
    return {one.due.notice.key: (one.event, one.again_at_ms) for one in decisions if isinstance(one, Move)}


def test_red_goes_at_once_alone_and_first() -> None:
    found = decided(due("y", "orange"), due("r1"), due("r2"), now=NOON + 1)
    assert sends(found) == [("r1", 0, []), ("r2", 0, []), ("y", 0, [])]


def test_red_takes_another_channel_when_the_first_has_no_room() -> None:
    full = tuple(Sent("bot", "x", "x", "red", NOON - 10_000) for _ in range(20))
    found = decided(due("r", "red", "bot", "sms"), ways=(way("bot", "20/1min"), way("sms")), sent=full)
    assert sends(found) == [("r", 1, [])]


def test_red_waits_for_the_soonest_where_no_channel_has_room() -> None:
    full = tuple(Sent("bot", "x", "x", "red", NOON - 10_000) for _ in range(20))
    assert moves(decided(due("r", "red", "bot"), ways=(way("bot", "20/1min"),), sent=full)) == {
        "r": (E.HELD_BACK, NOON + 50_000)
    }


def test_a_thousand_bins_leave_room_for_an_sos() -> None:
    bins = [due(f"b{index}", "yellow", "bot", person=f"p{index}", queued_ms=NOON - HOUR) for index in range(1000)]
    found = decided(*bins, due("sos", "red", "bot", person="lin"), ways=(way("bot", "20/1min"),))
    assert sends(found)[0] == ("sos", 0, [])
    assert len(sends(found)) == 1 + 14  # fifteen of twenty are not red's, and the sos took one


def test_one_person_is_told_of_all_that_is_not_red_in_one_message() -> None:
    found = decided(due("a", "orange"), due("b", "orange"), due("c", "orange", person="chen"))
    assert sends(found) == [("a", 0, ["b"]), ("c", 0, [])]


def test_yellow_waits_for_company_and_for_the_end_of_the_night() -> None:
    assert moves(decided(due("y", "yellow"), now=NOON + 1)) == {"y": (E.HELD_BACK, NOON + 120_000)}
    assert sends(decided(due("y", "yellow"), now=NOON + 120_000)) == [("y", 0, [])]
    held = moves(decided(due("y", "yellow", queued_ms=NIGHT), now=NIGHT + 120_000))
    assert held == {"y": (E.HELD_BACK, NIGHT + 8 * HOUR)}


def test_orange_and_red_know_no_night() -> None:
    assert len(sends(decided(due("o", "orange", queued_ms=NIGHT), due("r", queued_ms=NIGHT), now=NIGHT))) == 2


def test_blue_waits_for_the_days_list() -> None:
    assert moves(decided(due("b", "blue"))) == {"b": (E.HELD_BACK, NOON + 5 * HOUR)}
    assert sends(decided(due("b", "blue"), now=NOON + 5 * HOUR)) == [("b", 0, [])]


def test_a_person_is_told_no_more_than_the_budget_and_red_does_not_count() -> None:
    told = tuple(Sent("app", "x", "lin", "orange", NOON - 60_000) for _ in range(7))
    assert moves(decided(due("o", "orange"), sent=told)) == {"o": (E.HELD_BACK, NOON + 9 * 60_000)}
    assert sends(decided(due("r"), sent=told)) == [("r", 0, [])]
    quiet = tuple(Sent("app", "x", "lin", "yellow", NOON - HOUR) for _ in range(6))
    assert moves(decided(due("y", "yellow", queued_ms=NOON - HOUR), sent=quiet)) == {
        "y": (E.HELD_BACK, NOON + 7 * HOUR)
    }
    assert sends(decided(due("o", "orange"), sent=quiet)) == [("o", 0, [])]


def test_a_channel_for_red_alone_is_passed_over_by_the_others() -> None:
    ways = (way("voice", levels=("red",)), way("sms"))
    assert sends(decided(due("o", "orange", "voice", "sms"), ways=ways)) == [("o", 1, [])]
    once = (way("voice", receiver=("1/1min",)), way("sms"))
    assert sends(decided(due("o", "orange", "voice", "sms"), ways=once)) == [("o", 1, [])]
    assert sends(decided(due("r", "red", "voice", "sms"), ways=once)) == [("r", 0, [])]


def test_who_can_not_be_reached_is_said_at_once() -> None:
    assert moves(decided(due("r", "red", "gone"))) == {"r": (E.NO_CHANNEL, None)}
    assert moves(decided(due("r", "red", "app", channel=1))) == {"r": (E.NO_CHANNEL, None)}
    only_red = (way("voice", receiver=("1/1min",)),)
    assert moves(decided(due("o", "orange", "voice"), ways=only_red)) == {"o": (E.NO_CHANNEL, None)}


def test_what_no_longer_matters_is_not_sent() -> None:
    assert moves(decided(due("r", outdated=True))) == {"r": (E.OUTDATED, None)}


@given(
    st.lists(
        st.tuples(st.sampled_from(ALL_LEVELS), st.sampled_from(["lin", "chen"]), st.integers(0, 3 * HOUR)), max_size=30
    ),
    st.integers(0, 30),
)
def test_every_due_notice_gets_exactly_one_decision_and_limits_hold(
    some: list[tuple[Level, str, int]], before: int
) -> None:
    asked = [due(str(i), level, "bot", person=who, queued_ms=NOON - ago) for i, (level, who, ago) in enumerate(some)]
    sent = tuple(Sent("bot", "x", "x", "orange", NOON - 1_000) for _ in range(min(before, 15)))
    found = decided(*asked, ways=(way("bot", "20/1min"),), sent=sent)
    keys = [key for one in found for key in (one.due.notice.key, *(o.notice.key for o in getattr(one, "others", ())))]
    assert sorted(keys) == sorted(one.notice.key for one in asked)
    assert len(sends(found)) + len(sent) <= 20
