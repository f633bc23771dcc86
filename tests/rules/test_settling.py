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
