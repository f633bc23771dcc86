"""Which acts a case takes now: what its page offers. The machine (rules.cases.steps) decides again when it is asked. Pure."""

from console.rights import CaseAct, User, right_for
from rules.cases.policy import UNSEEN
from rules.cases.refusals import is_own
from rules.duty.ladder import DEPARTMENT
from rules.records import DONE, OVER, TAKEN, WAITING, Case, CaseState

MAIN: tuple[CaseAct, ...] = ("register", "accept", "arrive", "finish", "verify", "resume")
"""What moves a case on."""


def offers(case: Case, user: User) -> list[CaseAct]:
    """In the order in which a page shows them."""
    return [act for act in _possible(case) if may_do(act, case, user)]


def may_do(act: CaseAct, case: Case, user: User) -> bool:
    """Whether it is somebody's to do: not without the right at the place, and not if it would be to check one's own work."""
    return user.may_at(right_for(act), case.site, case.place.grid) and not (
        act == "verify" and is_own(case, user.person_id)
    )


def _possible(case: Case) -> list[CaseAct]:
    state = case.state
    found: list[CaseAct] = []
    if state is CaseState.REPORTED:
        found.append("register")
    if state in WAITING:
        found += ["accept", "dispatch", "accept_for"]
    if case.situation == UNSEEN and state not in OVER:
        found.append("answer")
    if state is CaseState.ACCEPTED:
        found.append("arrive")
    if state in (CaseState.ON_SITE, CaseState.HANDLING):
        found.append("finish")
    if state in TAKEN:
        found += ["dispatch"]
        found += ["grant"] if case.extension_until_ms is not None else ["extend"]
    if state in DONE:
        found += ["verify", "reopen"]
    if state is CaseState.SUSPENDED:
        found.append("resume")
    if state in WAITING | TAKEN:
        found += ["escalate"] if case.rung < DEPARTMENT else []
        found.append("suspend")
    if state not in OVER:
        found.append("cancel")
    if state is CaseState.CLOSED:
        found.append("reopen")
    return [*found, "note"]
