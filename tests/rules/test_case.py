from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from messages.alarm import Level
from messages.announcement import Place
from messages.ids import SiteId
from rules.cases.acts import (
    CANCELLATIONS,
    OUTCOMES,
    Accept,
    Act,
    Arrive,
    AskExtension,
    Cancel,
    CheckIn,
    DecideExtension,
    Dispatch,
    Escalate,
    Finish,
    Handle,
    Inspect,
    Merge,
    Register,
    Reject,
    Reopen,
    Resume,
    Suspend,
    Verify,
)
from rules.cases.case import LEVELS, Situation, comes_again, is_one, opened, tightened
from rules.cases.now import Now
from rules.cases.practice import PLAIN
from rules.cases.sayings import said
from rules.cases.steps import apply, settled
from rules.records import DONE, OVER, REFUSALS, TAKEN, WAITING, ActionRefused, Case, CaseState, Photo
from tests.rules.situation import about

S = CaseState
HOUR_MS = 3_600_000
WANG, LI = Accept("wang"), Accept("li")
THERE, MENDED, WELL = Arrive("wang"), Finish("wang", "mended"), Verify("zhao", passed=True)


def after(*acts: Act, level: Level = "red", active: bool = False) -> Case:
    case = opened("c-1", about(level), 0)
    for index, act in enumerate(acts, start=1):
        case = apply(case, act, Now(index, active=active))
    return case


def refusal(case: Case, act: Act, *, active: bool = False, at_ms: int = 99) -> str:
    with pytest.raises(ActionRefused) as caught:
        apply(case, act, Now(at_ms, active=active))
    assert caught.value.case is case
    assert caught.value.reason in REFUSALS
    return caught.value.reason


@pytest.mark.parametrize(
    ("level", "accept_s", "arrive_s", "handle_s"),
    [
        ("red", 60, 600, 4 * 3600),
        ("orange", 180, 1800, 24 * 3600),
        ("yellow", 1800, None, 24 * 3600),
    ],
)
def test_a_case_is_promised_by_its_level(level: Level, accept_s: int, arrive_s: int | None, handle_s: int) -> None:
    case = opened("c-1", about(level), 1000)
    assert case.accept_by_ms == 1000 + accept_s * 1000
    assert case.arrive_by_ms == (None if arrive_s is None else 1000 + arrive_s * 1000)
    assert case.handle_by_ms == 1000 + handle_s * 1000


def test_a_blue_case_has_three_working_days() -> None:
    friday_ms = 1_795_233_600_000 - 24 * HOUR_MS  # 2026-11-20, noon in Shanghai
    case = opened("c-1", about("blue"), friday_ms)
    assert (case.accept_by_ms, case.arrive_by_ms) == (None, None)
    assert case.handle_by_ms == friday_ms + 5 * 24 * HOUR_MS  # Wednesday


def test_a_preset_of_a_kind_shortens_what_its_level_promises_and_never_lengthens_it() -> None:
    hours_of: dict[Level, int] = {"red": 4, "orange": 6, "yellow": 6}
    for level, hours in hours_of.items():
        case = opened("c-1", about(level, kind="manhole_cover"), 0)
        assert case.handle_by_ms == hours * HOUR_MS


@pytest.mark.parametrize("before", LEVELS)
@pytest.mark.parametrize("then", LEVELS)
def test_what_is_promised_only_tightens(before: Level, then: Level) -> None:
    case = opened("c-1", about(before), 0)
    later = tightened(case, then, 5_000)
    assert LEVELS.index(later.level) == min(LEVELS.index(before), LEVELS.index(then))
    for name in ("accept_by_ms", "arrive_by_ms", "handle_by_ms"):
        was, now = getattr(case, name), getattr(later, name)
        assert was is None or (now is not None and now <= was)


def test_the_policy_of_a_case_is_that_of_its_opening() -> None:
    case = opened("c-1", about("red"), 0)
    lax = replace(PLAIN.policies.levels["red"], accept="10min")
    practice = replace(PLAIN, policies=replace(PLAIN.policies, levels={**PLAIN.policies.levels, "red": lax}))
    again = apply(after(WANG, THERE, MENDED), Verify("zhao", False, "still smells"), Now(500, practice=practice))
    assert again.policy == case.policy
    assert again.accept_by_ms == 60_500


def test_the_whole_way_from_the_alarm_to_its_closing() -> None:
    photo = Photo("0" * 64, 10, "image/jpeg")
    case = after(
        Dispatch("desk", "wang"),
        WANG,
        Arrive("wang", "geofence"),
        Handle("wang"),
        Finish("wang", "mended", photo),
        Inspect("zhao"),
        WELL,
    )
    assert case.state is S.CLOSED
    assert (case.dispatched_to, case.accepted_by, case.on_site_how) == ("wang", "wang", "geofence")
    assert (case.outcome, case.photo, case.verified_by, case.closed_by) == ("mended", photo, "zhao", "zhao")
    stamps = [case.dispatched_at_ms, case.accepted_at_ms, case.on_site_at_ms, case.handling_at_ms]
    assert [*stamps, case.feedback_at_ms, case.closed_at_ms] == [1, 2, 3, 4, 5, 7]


def test_what_a_person_reports_is_registered_first_and_its_level_only_rises() -> None:
    case = opened("c-1", about("yellow", origin="report"), 0)
    assert case.state is S.REPORTED
    graver = apply(case, Register("desk", "orange"), Now(7))
    assert (graver.state, graver.level, graver.accept_by_ms) == (S.REGISTERED, "orange", 180_007)
    assert apply(case, Register("desk", "blue"), Now(7)).level == "yellow"
    assert apply(case, WANG, Now(7)).state is S.ACCEPTED  # nobody waits for the desk


def test_the_second_person_learns_who_came_first() -> None:
    case = after(WANG)
    assert refusal(case, LI) == "taken"
    assert case.accepted_by == "wang"


@pytest.mark.parametrize("count", range(1, 6))
def test_repeating_ones_own_act_changes_nothing(count: int) -> None:
    acts: list[Act] = [Dispatch("desk", "wang"), WANG, THERE, MENDED, WELL]
    case = after(*acts[:count])
    assert apply(case, acts[count - 1], Now(99)) is case


def test_no_leg_of_a_red_case_can_be_left_out() -> None:
    assert refusal(after(), THERE) == "not-accepted"
    assert refusal(after(), MENDED) == "not-accepted"
    assert refusal(after(WANG), MENDED) == "not-on-site"
    assert refusal(after(WANG), Handle("wang")) == "not-on-site"
    assert refusal(after(WANG, THERE), WELL) == "not-done"
    assert refusal(after(WANG, THERE, MENDED), Reopen("zhao", "")) == "reason-missing"


@pytest.mark.parametrize("level", ["yellow", "blue"])
@pytest.mark.parametrize("before", [(), (WANG,), (WANG, THERE)])
def test_a_yellow_or_blue_case_is_done_from_any_leg_and_a_sensor_closes_it(
    level: Level, before: tuple[Act, ...]
) -> None:
    done = after(*before, MENDED, level=level)
    assert (done.state, done.accepted_by) == (S.FEEDBACK, "wang")
    assert settled(done, active=True, sensed=True, now_ms=9) is done
    assert settled(done, active=False, sensed=False, now_ms=9) is done
    closed = settled(done, active=False, sensed=True, now_ms=9)
    assert (closed.state, closed.verified_by, closed.closed_at_ms) == (S.CLOSED, "rules", 9)


def test_no_sensor_closes_a_red_case() -> None:
    done = after(WANG, THERE, MENDED)
    assert settled(done, active=False, sensed=True, now_ms=9) is done


@pytest.mark.parametrize("level", ["red", "orange"])
def test_whoever_mends_a_grave_case_does_not_verify_it(level: Level) -> None:
    done = after(WANG, Arrive("li"), Finish("sun", "mended"), level=level)
    for own in ("wang", "li", "sun"):
        assert refusal(done, Verify(own, True)) == "own-work"
        assert refusal(done, Verify(own, False, "no")) == "own-work"
        assert refusal(done, Inspect(own)) == "own-work"
        assert refusal(done, Cancel(own, "false_alarm")) == "own-work"
    assert apply(done, WELL, Now(9)).state is S.CLOSED


def test_nothing_is_closed_while_a_condition_holds() -> None:
    done = after(WANG, THERE, MENDED)
    assert refusal(done, WELL, active=True) == "still-active"
    assert refusal(done, Cancel("zhao", "false_alarm"), active=True) == "still-active"
    assert refusal(after(WANG), Suspend("zhao", 1000, "no parts"), active=True) == "still-active"


def test_a_failed_check_sends_it_back_and_all_clocks_begin_anew() -> None:
    again = apply(after(WANG, THERE, MENDED), Verify("zhao", False, "still smells"), Now(5_000))
    assert (again.state, again.reopened, again.reason) == (S.REOPENED, 1, "still smells")
    assert (again.accepted_by, again.on_site_at_ms, again.feedback_by, again.outcome) == (None, None, None, None)
    assert (again.clock_from_ms, again.accept_by_ms) == (5_000, 65_000)
    assert refusal(after(WANG, THERE, MENDED), Verify("zhao", False, " ")) == "reason-missing"


def test_giving_a_case_back_stops_no_clock() -> None:
    for had in (after(Dispatch("desk", "wang")), after(WANG), after(WANG, THERE)):
        back = apply(had, Reject("wang", "not my grid"), Now(50_000))
        assert (back.state, back.accepted_by) == (S.REJECTED, None)
        assert (back.clock_from_ms, back.accept_by_ms, back.arrive_by_ms) == (0, 60_000, 600_000)
        assert apply(back, LI, Now(51_000)).accepted_by == "li"
    assert refusal(after(WANG), Reject("li", "no")) == "not-yours"
    assert refusal(after(WANG), Reject("wang", "")) == "reason-missing"
    assert refusal(after(), Reject("wang", "no")) == "not-accepted"


def test_it_climbs_from_the_grid_to_the_department_which_checks_in() -> None:
    street = after(WANG, Escalate("wang", "needs a digger"))
    assert (street.state, street.rung, street.first_rung, street.accepted_by) == (S.DISPATCHED, 2, 2, None)
    assert refusal(street, CheckIn("water")) == "not-called"
    department = apply(street, Escalate("street", "a water main"), Now(60_000))
    assert (department.rung, department.clock_from_ms) == (3, 60_000)
    assert refusal(department, Escalate("street", "more")) == "top-rung"
    there = apply(department, CheckIn("water"), Now(90_000))
    assert (there.state, there.accepted_by, there.checked_in_at_ms) == (S.ACCEPTED, "water", 90_000)


def test_more_time_is_asked_for_and_granted_by_somebody_else() -> None:
    asked = after(WANG, AskExtension("wang", 9 * HOUR_MS, "spare part"))
    assert asked.handle_by_ms == 4 * HOUR_MS
    assert refusal(asked, DecideExtension("wang", True)) == "own-wish"
    assert refusal(asked, AskExtension("wang", 10 * HOUR_MS, "more")) == "asked-already"
    assert refusal(after(WANG), AskExtension("wang", HOUR_MS, "x")) == "too-early"
    assert refusal(after(WANG), DecideExtension("zhao", True)) == "not-asked"
    granted, refused = (apply(asked, DecideExtension("zhao", yes), Now(5)) for yes in (True, False))
    assert (granted.handle_by_ms, refused.handle_by_ms) == (9 * HOUR_MS, 4 * HOUR_MS)
    assert (granted.extension_until_ms, refused.extension_until_ms) == (None, None)


def test_what_can_not_be_done_now_is_suspended_until_a_day_and_taken_up_again() -> None:
    assert refusal(after(WANG), Suspend("wang", HOUR_MS, "no parts")) == "own-wish"
    assert refusal(after(WANG), Suspend("zhao", 5, "no parts")) == "too-early"
    resting = after(WANG, Suspend("zhao", HOUR_MS, "no parts"))
    assert refusal(resting, THERE) == "suspended"
    assert refusal(after(WANG), Resume("zhao")) == "not-suspended"
    on = apply(resting, Resume("zhao"), Now(HOUR_MS))
    assert (on.state, on.accepted_by, on.arrive_by_ms) == (S.ACCEPTED, "wang", HOUR_MS + 600_000)
    free = apply(after(Suspend("zhao", HOUR_MS, "x")), Resume("zhao"), Now(HOUR_MS))
    assert (free.state, free.accept_by_ms) == (S.REGISTERED, HOUR_MS + 60_000)


def test_a_false_alarm_is_struck_out_with_a_word_of_the_list() -> None:
    struck = after(Cancel("zhao", "false_alarm"))
    assert (struck.state, struck.outcome, struck.closed_by) == (S.CANCELLED, "false_alarm", "zhao")
    with pytest.raises(ValueError, match="reason 'bored'"):
        apply(after(), Cancel("zhao", "bored"), Now(1))
    with pytest.raises(ValueError, match="outcome 'done'"):
        apply(after(WANG, THERE), Finish("wang", "done"), Now(1))


EVERY: list[Act] = [
    Register("desk"),
    Dispatch("desk", "sun"),
    WANG,
    CheckIn("water"),
    THERE,
    Handle("wang"),
    MENDED,
    Inspect("zhao"),
    WELL,
    Reject("wang", "no"),
    Escalate("wang", "no"),
    AskExtension("wang", 9 * HOUR_MS, "x"),
    DecideExtension("zhao", True),
    Suspend("zhao", 9 * HOUR_MS, "x"),
    Resume("zhao"),
    Cancel("zhao", "test"),
    Merge("zhao", "c-2"),
]


def archived(case: Case) -> Case:
    """As the clock leaves it (rules.escalation.call)."""
    return replace(case, state=S.ARCHIVED, archived_at_ms=9)


@pytest.mark.parametrize("act", EVERY, ids=lambda act: type(act).__name__)
def test_what_is_over_stays_over(act: Act) -> None:
    closed = after(LI, Arrive("li"), Finish("li", "mended"), Verify("sun", True))
    for over, reason in (
        (closed, "closed"),
        (archived(closed), "closed"),
        (after(Cancel("sun", "duplicate")), "closed"),
        (after(Merge("sun", "c-9")), "merged"),
    ):
        assert refusal(over, act) == reason


def test_only_what_is_closed_a_day_is_the_same_case_when_it_comes_again() -> None:
    closed = after(WANG, THERE, MENDED, WELL)
    assert closed.closed_at_ms == 4
    assert comes_again(closed, 24 * HOUR_MS + 4)
    assert not comes_again(closed, 24 * HOUR_MS + 5)
    assert not comes_again(after(WANG, THERE, MENDED), 5)
    assert not comes_again(archived(closed), 10)
    assert apply(closed, Reopen("rules", "raised again"), Now(9, active=True)).state is S.REOPENED


def cover(device: str, *, unit: str = "2", situation: str = "cover", kind: str = "manhole_cover") -> Situation:
    place = Place(grid="g1", building="3", unit=unit, text="井")
    return replace(about("orange", kind=kind, subject=device), situation=situation, place=place)


@pytest.mark.parametrize(
    ("then", "at_ms", "one"),
    [
        (cover("cover-1", unit="9"), 600_000, True),
        (cover("cover-2"), 600_000, True),
        (cover("cover-1"), 600_001, False),
        (cover("cover-2", unit="9"), 0, False),
        (cover("cover-1", situation=""), 0, False),
        (cover("cover-1", situation="battery"), 0, False),
        (cover("cover-1", kind="waste_bin"), 0, False),
        (replace(cover("cover-1"), site=SiteId("elsewhere")), 0, False),
    ],
)
def test_alarms_are_one_case_when_their_rules_say_so_and_they_come_together(
    then: Situation, at_ms: int, one: bool
) -> None:
    case = opened("c-1", cover("cover-1"), 0)
    assert is_one(case, then, at_ms) is one
    assert not is_one(replace(case, state=S.CLOSED), then, at_ms)


@pytest.mark.parametrize(
    ("metres", "at_ms", "kind", "one"),
    [
        (29.0, 0, "manhole_cover", True),
        (31.0, 0, "manhole_cover", False),
        (0.0, 30 * 60_000, "manhole_cover", True),
        (0.0, 30 * 60_000 + 1, "manhole_cover", False),
        (0.0, 0, "waste_bin", False),
        (None, 0, "manhole_cover", False),
    ],
)
def test_a_report_and_an_alarm_are_one_within_thirty_metres_and_thirty_minutes(
    metres: float | None, at_ms: int, kind: str, one: bool
) -> None:
    alarm = replace(cover("cover-1"), lat=26.0, lon=119.3)
    seen = replace(
        about("yellow", kind=kind, subject="", origin="report"),
        lat=None if metres is None else 26.0 + metres / 111_195,
        lon=119.3,
    )
    assert is_one(opened("c-1", alarm, 0), seen, at_ms) is one
    assert is_one(opened("r-1", seen, 0), alarm, at_ms) is one


people = st.sampled_from(["wang", "li", "zhao", "water"])
words = st.sampled_from(["", "a reason"])
times = st.integers(0, 40 * HOUR_MS)
any_act = st.one_of(
    st.builds(Register, people, st.sampled_from([None, *LEVELS])),
    st.builds(Dispatch, people, people),
    st.builds(Accept, people),
    st.builds(CheckIn, people),
    st.builds(Arrive, people, st.sampled_from(["geofence", "code", "manual"])),
    st.builds(Handle, people),
    st.builds(Finish, people, st.sampled_from(OUTCOMES)),
    st.builds(Inspect, people),
    st.builds(Verify, people, st.booleans(), words),
    st.builds(Reject, people, words),
    st.builds(Escalate, people, words),
    st.builds(AskExtension, people, times, words),
    st.builds(DecideExtension, people, st.booleans()),
    st.builds(Suspend, people, times, words),
    st.builds(Resume, people),
    st.builds(Cancel, people, st.sampled_from(CANCELLATIONS)),
    st.builds(Reopen, people, words),
    st.builds(Merge, people, st.just("c-9")),
)

MAY_FOLLOW: dict[CaseState, frozenset[CaseState]] = {
    **dict.fromkeys(
        WAITING,
        frozenset({S.REGISTERED, S.DISPATCHED, S.ACCEPTED, S.REJECTED, S.FEEDBACK, S.SUSPENDED, S.CANCELLED, S.MERGED}),
    ),
    **dict.fromkeys(
        TAKEN,
        frozenset({S.DISPATCHED, S.ON_SITE, S.HANDLING, S.FEEDBACK, S.REJECTED, S.SUSPENDED, S.CANCELLED, S.MERGED}),
    ),
    **dict.fromkeys(DONE, frozenset({S.VERIFYING, S.CLOSED, S.REOPENED, S.CANCELLED, S.MERGED})),
    S.SUSPENDED: frozenset({S.ACCEPTED, S.REGISTERED, S.CANCELLED, S.MERGED}),
    S.CLOSED: frozenset({S.ARCHIVED, S.REOPENED}),
    S.ARCHIVED: frozenset(),
    S.CANCELLED: frozenset(),
    S.MERGED: frozenset(),
}
"""The table of the machine, written by hand: nothing else may ever happen."""


class AnyLife(RuleBasedStateMachine):
    """Anybody tries anything at any time."""

    case: Case
    now_ms: int

    @initialize(level=st.sampled_from(LEVELS), origin=st.sampled_from(["alarm", "report", "ticket"]))
    def open(self, level: Level, origin: str) -> None:
        self.now_ms = 0
        self.case = opened("c-1", about(level, origin=origin), 0)  # type: ignore[arg-type]
        self.refused: list[str] = []

    @rule(act=any_act, active=st.booleans(), later_ms=st.integers(0, HOUR_MS))
    def do(self, act: Act, active: bool, later_ms: int) -> None:
        self.now_ms += later_ms
        before = self.case
        try:
            done = apply(before, act, Now(self.now_ms, active=active))
        except ActionRefused as refused:
            self.refused.append(refused.reason)
            return
        if done is before:
            return
        assert done.state is before.state or done.state in MAY_FOLLOW[before.state]
        if done.state is S.CLOSED:
            assert not active
            if before.policy.verifier == "other":
                assert done.verified_by not in (done.accepted_by, done.on_site_by, done.feedback_by)
        assert LEVELS.index(done.level) <= LEVELS.index(before.level)
        self.case = done

    @invariant()
    def the_stamps_fit_the_state(self) -> None:
        if not hasattr(self, "case"):
            return
        case = self.case
        assert set(self.refused) <= set(REFUSALS)
        if case.state in WAITING:
            assert case.accepted_by is None
        if case.state in TAKEN | DONE | {S.CLOSED, S.ARCHIVED}:
            assert case.accepted_by
            assert case.accepted_at_ms is not None
        if case.state in DONE | {S.CLOSED, S.ARCHIVED}:
            assert case.outcome
            assert case.feedback_at_ms is not None
        if case.state in OVER:
            assert case.closed_at_ms is not None
        assert case.rung >= case.first_rung
        assert (case.state is S.SUSPENDED) == (case.suspended_until_ms is not None)


def test_whatever_people_try_a_case_never_leaves_its_table() -> None:
    run_state_machine_as_test(AnyLife, settings=settings(max_examples=60, stateful_step_count=30, deadline=None))


@given(st.lists(any_act, max_size=25))
@settings(max_examples=60, deadline=None)
def test_every_change_has_a_word_in_the_log(some: list[Act]) -> None:
    case = opened("c-1", about("orange"), 0)
    for at_ms, act in enumerate(some):
        try:
            done = apply(case, act, Now(at_ms))
        except ActionRefused:
            continue
        if done is not case:
            assert said(case, act, done)
            assert all(len(event) <= 40 and event.startswith("case.") for event, _ in said(case, act, done))
        case = done
