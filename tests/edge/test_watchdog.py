from edge.link.watchdog import DEAF_S, FIRST_PATIENCE_S, MOST_PATIENCE_S, Watchdog


def test_a_link_on_which_nothing_waits_is_never_deaf() -> None:
    watchdog = Watchdog()
    watchdog.connected(0)
    assert [watchdog.look(now_s, waits=False) for now_s in (1, 1e3, 1e6)] == [None] * 3


def test_a_broker_that_answers_nothing_is_deaf() -> None:
    watchdog = Watchdog()
    watchdog.connected(0)
    watchdog.asked(100)
    assert watchdog.look(100 + DEAF_S - 1, waits=False) is None
    assert watchdog.look(100 + DEAF_S, waits=False) == "the broker has answered nothing for 30 s"
    assert watchdog.look(101 + DEAF_S, waits=False) is None  # said once; the new connection gets its time


def test_a_slow_broker_that_answers_one_by_one_is_not() -> None:
    watchdog = Watchdog()
    watchdog.connected(0)
    for _ in range(10):
        watchdog.asked(0)
    for number in range(1, 11):
        now_s = number * (DEAF_S - 1)
        assert watchdog.look(now_s, waits=False) is None
        watchdog.answered(now_s)


def test_an_absence_of_receipts_renews_the_link_less_and_less_often() -> None:
    watchdog, renewed = Watchdog(), []
    watchdog.connected(0)
    for now_s in range(0, 40_000, 10):
        if watchdog.look(now_s, waits=True):
            renewed.append(now_s)
    pauses = [after - before for before, after in zip([0, *renewed], renewed, strict=False)]
    assert pauses[:6] == [FIRST_PATIENCE_S * 2**times for times in range(5)] + [MOST_PATIENCE_S]
    assert set(pauses[6:]) == {MOST_PATIENCE_S}


def test_a_receipt_brings_the_patience_back() -> None:
    watchdog = Watchdog()
    watchdog.connected(0)
    assert watchdog.look(FIRST_PATIENCE_S, waits=True)
    watchdog.heard(500)
    assert watchdog.look(500 + FIRST_PATIENCE_S - 1, waits=True) is None
    assert watchdog.look(500 + FIRST_PATIENCE_S, waits=True) == "no receipt for 120 s"
