from edge.clock import EARLIEST_MS, KEEPS_TIME, LASTING_MS, LITTLE_MS, Clock, Machine, Turn

NOW_MS = EARLIEST_MS + 1_000_000_000
FORGETS = Machine(synchronized=False, keeps_time=False)
SERVED = Machine(synchronized=True, keeps_time=False)
HOUR_MS = 3_600_000


class Times:
    """A wall clock that can be set, a monotonic one that can't, and what the machine knows."""

    def __init__(self, wall_ms: int = NOW_MS, machine: Machine = KEEPS_TIME) -> None:
        self.wall_ms, self.monotonic_ms, self.machine = wall_ms, 77, machine
        self.clock = Clock(lambda: self.wall_ms, lambda: self.monotonic_ms, lambda: self.machine)

    def after(self, ms: int) -> int:
        self.wall_ms += ms
        self.monotonic_ms += ms
        return self.clock.now_ms()


def test_it_is_the_wall_clock_as_long_as_that_goes_right() -> None:
    times = Times()
    assert [times.after(0), times.after(5), times.after(1000)] == [NOW_MS, NOW_MS + 5, NOW_MS + 1005]
    assert times.clock.ahead_ms() == 0


def test_it_follows_a_wall_clock_that_jumps_ahead_at_once() -> None:
    times = Times()
    times.wall_ms += HOUR_MS
    assert times.after(1) == NOW_MS + HOUR_MS + 1


def test_it_goes_on_steadily_when_the_wall_clock_is_set_back_by_little() -> None:
    times = Times()
    times.wall_ms -= LITTLE_MS
    assert [times.after(0), times.after(5), times.after(LASTING_MS)] == [NOW_MS, NOW_MS + 5, NOW_MS + 5 + LASTING_MS]
    assert times.clock.look() is None
    assert times.clock.ahead_ms() == LITTLE_MS


def test_a_time_server_that_sets_it_back_by_much_is_followed_at_once() -> None:
    times = Times(NOW_MS + HOUR_MS)
    times.wall_ms -= HOUR_MS
    assert times.after(0) == NOW_MS + HOUR_MS
    times.machine = SERVED
    assert times.clock.look() == Turn(-HOUR_MS, was_trusted=True)
    assert (times.after(5), times.clock.turns, times.clock.look()) == (NOW_MS + 5, 1, None)


def test_anybody_else_who_sets_it_back_by_much_is_followed_when_that_has_lasted() -> None:
    times = Times(NOW_MS + HOUR_MS)
    times.wall_ms -= HOUR_MS
    assert times.clock.look() is None
    times.after(LASTING_MS - 1)
    assert times.clock.look() is None
    times.after(1)
    assert times.clock.look() == Turn(-HOUR_MS, was_trusted=True)


def test_a_slip_that_is_mended_soon_changes_nothing() -> None:
    times = Times()
    for _ in range(3):
        times.wall_ms -= HOUR_MS
        assert times.clock.look() is None
        times.after(LASTING_MS - 1)
        assert times.clock.look() is None
        times.wall_ms += HOUR_MS
        assert times.clock.look() is None
    assert (times.clock.turns, times.clock.ahead_ms()) == (0, 0)


def test_nobody_is_followed_to_before_this_was_written() -> None:
    times = Times(machine=SERVED)
    times.wall_ms = 0
    times.clock.look()
    times.after(2 * LASTING_MS)
    assert times.clock.look() is None
    assert times.clock.now_ms() == NOW_MS + 2 * LASTING_MS


def test_who_is_to_be_trusted_at_the_start() -> None:
    for machine, trusted in ((FORGETS, False), (SERVED, True), (KEEPS_TIME, True)):
        assert Times(machine=machine).clock.trusted is trusted
        assert not Times(EARLIEST_MS - 1, machine).clock.trusted
    times = Times(machine=FORGETS)
    times.clock.begin(0, was_trusted=True)  # in this boot, before the agent was started again
    assert times.clock.trusted


def test_without_a_battery_it_goes_on_steadily_from_the_newest_thing_on_disk() -> None:
    times = Times(NOW_MS, FORGETS)
    times.clock.begin(NOW_MS + HOUR_MS, was_trusted=False)
    assert [times.after(0), times.after(5)] == [NOW_MS + HOUR_MS, NOW_MS + HOUR_MS + 5]
    times.wall_ms += 1000  # less than who sets a clock would
    assert times.clock.look() is None
    assert times.after(0) == NOW_MS + HOUR_MS + 5
    assert times.clock.offset_ms is None


def test_a_right_clock_does_not_go_on_from_a_future_that_a_wrong_one_left_on_disk() -> None:
    times = Times(NOW_MS, SERVED)
    times.clock.begin(NOW_MS + HOUR_MS, was_trusted=False)
    assert times.after(0) == NOW_MS
    times.clock.begin(NOW_MS + LITTLE_MS, was_trusted=False)
    assert times.after(0) == NOW_MS + LITTLE_MS


def test_what_a_guess_stamped_is_right_when_it_is_moved_by_one_number() -> None:
    times = Times(0, FORGETS)
    times.clock.begin(EARLIEST_MS + 5, was_trusted=False)
    stamped_ms, true_ms = [times.after(100), times.after(200)], [NOW_MS + 100, NOW_MS + 300]
    guesses_ms = {times.clock.guess_ms(at_ms) for at_ms in stamped_ms}
    times.wall_ms, times.machine = NOW_MS + 300, SERVED
    (guess_ms,) = guesses_ms
    assert guess_ms is not None
    assert times.clock.look() == Turn(NOW_MS + 300 - stamped_ms[-1], was_trusted=False)
    assert times.clock.offset_ms is not None
    assert [at_ms + times.clock.offset_ms - guess_ms for at_ms in stamped_ms] == true_ms
    assert times.clock.guess_ms(times.after(0)) is None


def test_a_device_with_a_time_of_its_own_is_not_guessed_for() -> None:
    times = Times(NOW_MS, FORGETS)
    assert times.clock.guess_ms(NOW_MS - HOUR_MS) is None
    assert times.clock.guess_ms(NOW_MS + HOUR_MS) is None
    assert times.clock.guess_ms(NOW_MS - 1000) is not None


def test_a_clock_that_is_set_by_hand_while_the_agent_runs_is_trusted() -> None:
    times = Times(NOW_MS, FORGETS)
    times.after(1000)
    assert times.clock.look() is None
    times.wall_ms += HOUR_MS
    assert times.clock.look() == Turn(HOUR_MS, was_trusted=False)


def test_a_guess_that_was_ahead_turns_back() -> None:
    times = Times(NOW_MS, FORGETS)
    times.clock.begin(NOW_MS + HOUR_MS, was_trusted=False)
    times.machine = SERVED
    assert times.clock.look() == Turn(-HOUR_MS, was_trusted=False)
    assert times.after(0) == NOW_MS


def test_trust_is_kept_when_the_kernel_forgets_its_time_server() -> None:
    times = Times(NOW_MS, SERVED)
    times.machine = FORGETS
    times.after(72 * HOUR_MS)
    assert times.clock.look() is None
    assert times.clock.trusted
