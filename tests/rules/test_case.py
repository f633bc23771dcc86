import pytest

from messages.alarm import Level
from rules.cases.case import LEVELS, Accept, Act, Arrive, Close, apply, opened, tightened
from rules.cases.policy import POLICIES
from rules.records import ActionRefused, Case, CaseState
from tests.rules.situation import about


def after(*acts: Act, active: bool = False) -> Case:
    case = opened("c-1", about("red"), 0)
    for index, act in enumerate(acts, start=1):
        case = apply(case, act, index, active=active)
    return case


def refusal(case: Case, act: Act, *, active: bool = False) -> str:
    with pytest.raises(ActionRefused) as caught:
        apply(case, act, 99, active=active)
    assert caught.value.case is case
    return caught.value.reason


WANG, LI = Accept("wang"), Accept("li")


def test_a_red_case_is_promised_in_one_minute_and_ten() -> None:
    case = opened("c-1", about("red"), 1000)
    assert (case.accept_by_ms, case.arrive_by_ms) == (61_000, 601_000)


def test_graver_levels_are_never_promised_later() -> None:
    accepts = [POLICIES[level].accept_s for level in ("red", "orange", "yellow")]
    assert accepts == sorted(accepts, key=lambda promised: promised or 0)
    assert (POLICIES["blue"].accept_s, POLICIES["blue"].arrive_s) == (None, None)


def test_a_case_is_accepted_reached_and_closed() -> None:
    case = after(WANG, Arrive("wang"), Close("li", "mended"))
    assert case.state is CaseState.CLOSED
    assert (case.accepted_by, case.accepted_at_ms) == ("wang", 1)
    assert (case.on_site_by, case.on_site_at_ms) == ("wang", 2)
    assert (case.closed_by, case.closed_at_ms, case.outcome) == ("li", 3, "mended")


def test_the_second_person_learns_who_came_first() -> None:
    case = after(WANG)
    assert refusal(case, LI) == "taken"
    assert case.accepted_by == "wang"


@pytest.mark.parametrize("act", [WANG, Arrive("wang"), Close("wang", "mended")])
def test_repeating_ones_own_act_changes_nothing(act: Act) -> None:
    acts: list[Act] = [WANG, Arrive("wang"), Close("wang", "mended")]
    case = after(*acts[: acts.index(act) + 1])
    assert apply(case, act, 99, active=False) is case


def test_no_leg_can_be_left_out() -> None:
    assert refusal(after(), Arrive("wang")) == "not-accepted"
    assert refusal(after(), Close("wang", "mended")) == "not-on-site"
    assert refusal(after(WANG), Close("wang", "mended")) == "not-on-site"


def test_a_case_is_not_closed_while_the_condition_holds() -> None:
    case = after(WANG, Arrive("wang"), active=True)
    assert refusal(case, Close("wang", "mended"), active=True) == "still-active"


@pytest.mark.parametrize("act", [WANG, Arrive("li"), Close("li", "mended"), Close("wang", "false_alarm")])
def test_a_closed_case_stays_closed(act: Act) -> None:
    assert refusal(after(LI, Arrive("wang"), Close("wang", "mended")), act) == "closed"


def test_an_outcome_that_is_none_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="outcome 'done'"):
        apply(after(WANG, Arrive("wang")), Close("wang", "done"), 9, active=False)


@pytest.mark.parametrize("before", LEVELS)
@pytest.mark.parametrize("then", LEVELS)
def test_what_is_promised_only_tightens(before: Level, then: Level) -> None:
    case = opened("c-1", about(before), 0)
    after = tightened(case, then, 5_000)
    assert LEVELS.index(after.level) == min(LEVELS.index(before), LEVELS.index(then))
    for was, now in ((case.accept_by_ms, after.accept_by_ms), (case.arrive_by_ms, after.arrive_by_ms)):
        assert was is None or (now is not None and now <= was)
