"""Which acts a case takes now: what its page offers. The machine (rules.cases.steps) decides again when it is asked. Pure."""

from typing import Literal

from console.rights import User
from rules.duty.ladder import DEPARTMENT
from rules.records import DONE, OVER, TAKEN, WAITING, Case, CaseState

Act = Literal[
    "register",
    "accept",
    "arrive",
    "finish",
    "verify",
    "dispatch",
    "accept_for",
    "escalate",
    "extend",
    "grant",
    "suspend",
    "resume",
    "cancel",
    "reopen",
    "note",
]

WORK: frozenset[Act] = frozenset({"accept", "arrive", "finish", "extend", "note"})
"""What whoever works on a case may do; the rest is the desk's."""

MAIN: tuple[Act, ...] = ("register", "accept", "arrive", "finish", "verify", "resume")
"""What moves a case on."""


def offers(case: Case, user: User) -> list[Act]:
    """In the order in which a page shows them."""
    return [act for act in _possible(case) if user.may_at(right_for(act), case.site, case.place.grid)]


def right_for(act: Act) -> Literal["work", "dispatch"]:
    return "work" if act in WORK else "dispatch"


def _possible(case: Case) -> list[Act]:
    state = case.state
    found: list[Act] = []
    if state is CaseState.REPORTED:
        found.append("register")
    if state in WAITING:
        found += ["accept", "dispatch", "accept_for"]
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
