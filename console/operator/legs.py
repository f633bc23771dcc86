"""The clocks of a case, leg by leg: what was promised, when it was done, by whom, and how long it took. Pure."""

from dataclasses import dataclass
from typing import Literal

from rules.cases.policy import end_ms
from rules.language.calendar import Calendar
from rules.records import DONE, OVER, TAKEN, WAITING, Case, CaseState

Name = Literal["accepted", "on_site", "feedback", "closed"]


@dataclass(frozen=True, slots=True)
class Leg:
    """One leg. `runs`: it is this one that is waited for now."""

    name: Name
    from_ms: int | None
    by_ms: int | None
    """None: nothing is promised."""
    done_ms: int | None
    who: str | None
    runs: bool

    @property
    def took_ms(self) -> int | None:
        return None if self.from_ms is None or self.done_ms is None else self.done_ms - self.from_ms

    @property
    def late_ms(self) -> int | None:
        """By how much it was done late; None if it wasn't, or isn't done."""
        if self.by_ms is None or self.done_ms is None or self.done_ms <= self.by_ms:
            return None
        return self.done_ms - self.by_ms


def legs(case: Case, calendar: Calendar) -> list[Leg]:
    """By the policy that the case was opened with. In their order; what came before a leg is where its time begins."""
    state = case.state
    verify_by_ms = None
    if case.feedback_at_ms is not None:
        verify_by_ms = end_ms(case.feedback_at_ms, case.policy.verify, calendar)
    at_work_ms = case.on_site_at_ms if case.on_site_at_ms is not None else case.accepted_at_ms
    closed = case.closed_at_ms if state in OVER else None
    return [
        Leg(
            "accepted",
            case.clock_from_ms if case.reopened else case.opened_at_ms,
            case.accept_by_ms,
            case.accepted_at_ms,
            case.accepted_by,
            state in WAITING,
        ),
        Leg(
            "on_site",
            case.accepted_at_ms,
            case.arrive_by_ms,
            case.on_site_at_ms,
            case.on_site_by,
            state is CaseState.ACCEPTED,
        ),
        Leg(
            "feedback",
            at_work_ms,
            case.handle_by_ms,
            case.feedback_at_ms,
            case.feedback_by,
            state in TAKEN and state is not CaseState.ACCEPTED,
        ),
        Leg("closed", case.feedback_at_ms, verify_by_ms, closed, case.closed_by if closed else None, state in DONE),
    ]
