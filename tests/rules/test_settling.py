"""From when on overdue timers fire after a start."""

from rules.shell.settling import QUIET_MS, SETTLE_MS, Settling

START, LONG_AGO = 1_000_000, 900_000


def test_a_timer_that_is_overdue_waits_for_the_mail_but_never_longer_than_the_limit() -> None:
    settling = Settling.begun(START)
    assert not settling.may_fire(LONG_AGO, START, START + SETTLE_MS - 1)
    assert settling.may_fire(LONG_AGO, START, START + SETTLE_MS)


def test_it_fires_as_soon_as_the_mail_is_read() -> None:
    settling = Settling.begun(START)
    assert settling.wait_ms(LONG_AGO, 500, START) == QUIET_MS
    settling.over(START + 300)
    assert settling.may_fire(LONG_AGO, START, START + 300)
    settling.over(START + 400)
    assert settling.ends_at_ms == START + 300


def test_a_timer_that_becomes_due_later_waits_until_what_had_arrived_by_then_is_heard() -> None:
    settling = Settling.begun(START)
    due_ms = START + 60_000
    assert not settling.may_fire(None, due_ms, due_ms)
    assert not settling.may_fire(due_ms, due_ms, due_ms - 1)
    assert not settling.may_fire(due_ms, due_ms - 1, due_ms + 100)
    assert settling.may_fire(due_ms, due_ms, due_ms)
    assert settling.wait_ms(due_ms, 500, due_ms - 100) == 100


def test_a_clock_that_is_set_back_by_an_hour_does_not_hold_timers_up_for_an_hour() -> None:
    """Also where messages never pause, so that nothing else says that it is over."""
    settling, set_back = Settling.begun(START), START - 3_600_000
    assert not settling.lasts(set_back)
    assert settling.may_fire(set_back, set_back, set_back)
    assert settling.wait_ms(set_back + 100, 500, set_back) == 100
    assert not settling.owes(set_back + 100, set_back)


def test_a_clock_that_goes_back_by_a_second_fires_nothing_before_the_mail_is_read() -> None:
    """As it may while it is slewed, or where several threads ask it at once."""
    settling = Settling.begun(START)
    for back_ms in (1, 80, 1_000):
        assert settling.lasts(START - back_ms)
        assert not settling.may_fire(LONG_AGO, START, START - back_ms)


def test_something_is_owed_until_what_was_overdue_has_fired_and_not_for_what_becomes_due_later() -> None:
    settling = Settling.begun(START)
    assert settling.owes(None, START)  # what the mail will say is not known yet
    settling.over(START + 300)
    assert settling.owes(LONG_AGO, START + 1_000)
    assert not settling.owes(START + 301, START + 1_000)
    assert not settling.owes(None, START + 1_000)
