from edge.health.figures import Expected, is_silent
from edge.vitals import DeviceVitals

NOW_MS, HOUR_MS = 1_800_000_000_000, 3_600_000
PUBLISHES = Expected(every_s=300, guards_lives=True)


def silent(vitals: DeviceVitals, now_ms: int) -> bool:
    return is_silent(vitals, PUBLISHES, now_ms, now_ms)


def heard(at_ms: int) -> DeviceVitals:
    vitals = DeviceVitals()
    vitals.heard(at_ms)
    return vitals


def test_a_clock_that_leaps_ahead_makes_no_device_silent_and_hides_none_that_is() -> None:
    alive, quiet, fresh = heard(NOW_MS - 60_000), heard(NOW_MS - 700_000), heard(NOW_MS + HOUR_MS)
    assert silent(alive, NOW_MS + HOUR_MS)  # as it would be
    for vitals in (alive, quiet, fresh):
        vitals.clock_turned(HOUR_MS, NOW_MS + HOUR_MS)
    assert [silent(vitals, NOW_MS + HOUR_MS) for vitals in (alive, quiet, fresh)] == [False, True, False]
    assert silent(fresh, NOW_MS + HOUR_MS + 700_000)


def test_a_clock_that_is_set_back_hides_no_device_that_falls_silent() -> None:
    alive, fresh = heard(NOW_MS + HOUR_MS - 60_000), heard(NOW_MS)
    for vitals in (alive, fresh):
        vitals.clock_turned(-HOUR_MS, NOW_MS)
    assert [silent(vitals, NOW_MS) for vitals in (alive, fresh)] == [False, False]
    assert [silent(vitals, NOW_MS + 700_000) for vitals in (alive, fresh)] == [True, True]
