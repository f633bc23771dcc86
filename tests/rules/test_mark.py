"""Which timers may fire while messages keep coming."""

from rules.shell.mark import PATIENCE_MS, Mark

DUE = 1_000_000


def laid(unread: int | None, now_ms: int = DUE) -> Mark:
    mark = Mark()
    assert mark.is_wanted(DUE, now_ms)
    mark.lay(unread, now_ms)
    return mark


def test_no_mark_is_wanted_before_a_timer_is_due() -> None:
    assert not Mark().is_wanted(None, DUE)
    assert not Mark().is_wanted(DUE, DUE - 1)


def test_with_nothing_unread_all_is_heard_at_once() -> None:
    assert laid(0).heard_until_ms == DUE


def test_all_is_heard_once_as_much_was_taken_as_lay_before_the_mark_whatever_has_come_since() -> None:
    mark = laid(700)
    assert not mark.is_wanted(DUE, DUE + 10), "one mark at a time"
    mark.take(500)
    assert mark.heard_until_ms < DUE
    mark.take(500)
    assert mark.heard_until_ms == DUE
    assert mark.is_wanted(DUE, DUE + 20), "a timer that became due behind the mark wants another one"


def test_what_cannot_be_heard_within_a_second_is_waited_for_no_more() -> None:
    mark = laid(1_000_000)
    mark.give_up(DUE + PATIENCE_MS)
    assert mark.heard_until_ms < DUE
    mark.give_up(DUE + PATIENCE_MS + 1)
    assert mark.heard_until_ms == DUE


def test_where_nobody_can_say_how_much_is_unread_it_is_asked_again_for_a_second() -> None:
    mark = laid(None)
    assert mark.is_wanted(DUE, DUE + 500)
    mark.lay(None, DUE + 500)
    mark.give_up(DUE + PATIENCE_MS + 1)
    assert mark.heard_until_ms == DUE


def test_patience_begins_anew_with_each_wait() -> None:
    mark = laid(None)
    assert not mark.is_wanted(None, DUE + 100), "a word has ended the timer"
    later_ms = DUE + 60_000
    assert mark.is_wanted(later_ms, later_ms)
    mark.lay(10, later_ms)
    mark.give_up(later_ms + 1)
    assert mark.heard_until_ms < later_ms


def test_a_clock_that_was_set_back_leaves_nothing_heard_that_is_yet_to_come() -> None:
    mark = laid(0)
    mark.is_wanted(None, DUE - 3_600_000)
    assert mark.heard_until_ms == DUE - 3_600_000
