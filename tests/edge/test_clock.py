from edge.clock import Clock


class Times:
    """A wall clock that can be set, and a monotonic one that can't."""

    def __init__(self, wall_ms: int) -> None:
        self.wall_ms, self.monotonic_ms = wall_ms, 77
        self.clock = Clock(lambda: self.wall_ms, lambda: self.monotonic_ms)

    def after(self, ms: int) -> int:
        self.wall_ms += ms
        self.monotonic_ms += ms
        return self.clock.now_ms()


def test_it_is_the_wall_clock_as_long_as_that_goes_right() -> None:
    times = Times(1_000_000)
    assert [times.after(0), times.after(5), times.after(1000)] == [1_000_000, 1_000_005, 1_001_005]
    assert times.clock.ahead_ms() == 0


def test_it_follows_a_wall_clock_that_jumps_ahead_at_once() -> None:
    times = Times(0)
    times.wall_ms = 3_600_000
    assert times.after(1) == 3_600_001


def test_it_goes_on_steadily_when_the_wall_clock_is_set_back() -> None:
    times = Times(1_000_000)
    times.wall_ms -= 60_000
    assert [times.after(0), times.after(5), times.after(1000)] == [1_000_000, 1_000_005, 1_001_005]
    assert times.clock.ahead_ms() == 60_000


def test_it_is_the_wall_clock_again_when_that_has_caught_up() -> None:
    times = Times(1_000_000)
    times.wall_ms -= 60_000
    times.after(5)
    times.wall_ms += 70_000
    assert times.after(0) == 1_010_005
    assert times.clock.ahead_ms() == 0


def test_after_a_start_with_a_wall_clock_that_is_behind_it_goes_on_from_the_newest_pack() -> None:
    times = Times(1_000_000)
    times.clock.not_before(1_300_000)
    assert [times.after(0), times.after(5)] == [1_300_000, 1_300_005]
    times.clock.not_before(7)
    assert times.after(0) == 1_300_005
