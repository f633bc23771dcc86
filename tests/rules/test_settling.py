"""From when on overdue timers fire after a start."""

from rules.shell.settling import PATIENCE_MS, QUIET_MS, SETTLE_MS, Settling

START, LONG_AGO = 1_000_000, 900_000


def test_a_timer_that_is_overdue_waits_for_the_mail_but_never_longer_than_the_limit() -> None:
    settling = Settling.begun(START)
    assert not settling.may_fire(LONG_AGO, START + SETTLE_MS - 1, idle=True)
    assert settling.may_fire(LONG_AGO, START + SETTLE_MS, idle=True)
    assert settling.may_fire(LONG_AGO, START + SETTLE_MS, idle=False), "traffic that never ends holds nothing up"


def test_it_fires_as_soon_as_the_mail_is_read() -> None:
    settling = Settling.begun(START)
    assert settling.wait_ms(LONG_AGO, 500, START) == QUIET_MS
    settling.over(START + 300)
    assert settling.may_fire(LONG_AGO, START + 300, idle=True)
    settling.over(START + 400)
    assert settling.ends_at_ms == START + 300


def test_a_timer_that_becomes_due_later_waits_for_what_is_unread_and_no_longer_than_a_second() -> None:
    settling = Settling.begun(START)
    due_ms = START + 60_000
    assert not settling.may_fire(None, due_ms, idle=True)
    assert not settling.may_fire(due_ms, due_ms - 1, idle=True)
    assert settling.may_fire(due_ms, due_ms, idle=True)
    assert not settling.may_fire(due_ms, due_ms + PATIENCE_MS, idle=False)
    assert settling.may_fire(due_ms, due_ms + PATIENCE_MS + 1, idle=False)
    assert settling.wait_ms(due_ms, 500, due_ms - 100) == 100
