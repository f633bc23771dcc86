"""How long a name must wait after failed logins."""

import pytest

from console.throttle import ADDRESS, NAME, PAIR, Failures, Limit, counters, failed, wait_s


def after(count: int, limit: Limit = PAIR) -> float:
    failures = Failures()
    for second in range(count):
        failures = failed(failures, second)
    return wait_s(limit, failures, count - 1)


def test_four_slips_cost_nothing_and_the_fifth_does() -> None:
    assert after(4) == 0
    assert after(5) == pytest.approx(5, abs=0.01)


def test_each_further_failure_doubles_the_wait_up_to_a_quarter_of_an_hour() -> None:
    assert after(6) == pytest.approx(10, abs=0.01)
    assert after(7) == pytest.approx(20, abs=0.01)
    assert after(1000) == pytest.approx(900, abs=0.01)


def test_waiting_is_over_when_the_time_has_passed() -> None:
    failures = Failures(count=5, last_at_ms=1000)
    assert wait_s(PAIR, failures, 5999) > 0
    assert wait_s(PAIR, failures, 6000) == 0


def test_an_hour_without_a_failure_forgets_the_earlier_ones() -> None:
    assert failed(Failures(count=50, last_at_ms=0), 3_600_001).count == 1


def test_a_stranger_who_hammers_at_a_name_keeps_its_owner_out_for_half_a_minute_at_most() -> None:
    assert after(100_000, NAME) <= 30


def test_a_street_desk_behind_one_address_has_more_room_than_one_person() -> None:
    assert after(20, ADDRESS) == 0
    assert set(counters("chen", "10.0.0.1")) & set(counters("wang", "10.0.0.1")) == {"address 10.0.0.1"}
