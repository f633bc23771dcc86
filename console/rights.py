"""Who may do what, and where: roles, and the sites and grids that an account is confined to. Pure."""

from dataclasses import dataclass
from typing import Literal, get_args

Role = Literal["worker", "operator", "supervisor", "engineer", "auditor"]
"""网格员 值班员 负责人 工程师 审计员. A worker carries the phone; an operator sits at a desk that others pass; a supervisor answers
for both; an engineer keeps the plant; an auditor reads."""

Right = Literal[
    "see",  # alarms and cases
    "work",  # accept, arrive, mend
    "dispatch",  # send people, shelve, note, verify, hand over
    "roster",  # shifts, leave, stand-ins
    "report",  # quality and figures
    "people",  # names and contacts of elderly households; each look is logged
    "plant",  # devices, edges, quarantine, commands
    "rules",  # dry run, reload
    "audit",  # the log of everybody
    "accounts",  # who may log in
]

CaseAct = Literal[
    "register",
    "accept",
    "arrive",
    "finish",
    "verify",
    "dispatch",
    "accept_for",
    "answer",
    "escalate",
    "extend",
    "grant",
    "suspend",
    "resume",
    "cancel",
    "reopen",
    "note",
]
"""What a person does to a case, on whichever page."""

_WORK: frozenset[CaseAct] = frozenset({"accept", "arrive", "finish", "extend", "note"})
"""What whoever works on a case may do; the rest, checking it among it, is the desk's."""

ROLES: dict[Role, frozenset[Right]] = {
    "worker": frozenset({"see", "work"}),
    "operator": frozenset({"see", "work", "dispatch", "report", "people"}),
    "supervisor": frozenset({"see", "work", "dispatch", "roster", "report", "people", "audit"}),
    "engineer": frozenset({"see", "report", "plant", "rules", "audit", "accounts"}),
    "auditor": frozenset({"see", "report", "audit"}),
}
assert set(ROLES) == set(get_args(Role))


def right_for(act: CaseAct) -> Right:
    """The right that an act needs, at each door. That nobody checks his own work is for the case to say (`rules.cases.steps`)."""
    return "work" if act in _WORK else "dispatch"


@dataclass(frozen=True, slots=True)
class Scope:
    """Where an account counts. No site named: everywhere; no grid named: the whole of its sites."""

    sites: tuple[str, ...] = ()
    grids: tuple[str, ...] = ()
    """Grid ids, or "site/grid" where two sites call theirs alike."""

    def covers(self, site: str, grid: str | None = None) -> bool:
        """Whether something at a place is in it; without a grid: something of the site as a whole."""
        if self.sites and site not in self.sites:
            return False
        return not self.grids or grid is None or grid in self.grids or f"{site}/{grid}" in self.grids


EVERYWHERE = Scope()


@dataclass(frozen=True, slots=True)
class User:
    """An account. `person`: who it is in the roster, if not called alike there."""

    name: str
    role: Role
    scope: Scope = EVERYWHERE
    person: str | None = None

    @property
    def person_id(self) -> str:
        return self.person or self.name

    def may(self, right: Right) -> bool:
        return right in ROLES[self.role]

    def may_at(self, right: Right, site: str, grid: str | None = None) -> bool:
        return self.may(right) and self.scope.covers(site, grid)
