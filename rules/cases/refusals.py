"""Why an act is refused, and what stands in its way. Pure."""

from rules.records import DONE, OVER, WAITING, ActionRefused, Case, CaseState

S = CaseState


def is_own(case: Case, person: str) -> bool:
    """Whether a person would check his own work: whoever has mended it checks nothing that matters."""
    return case.policy.verifier == "other" and person in (case.accepted_by, case.on_site_by, case.feedback_by)


def not_own(case: Case, actor: str) -> None:
    if is_own(case, actor):
        raise ActionRefused("own-work", case)


def reasoned(case: Case, reason: str) -> None:
    if not reason.strip():
        raise ActionRefused("reason-missing", case)


def unless(case: Case, same: bool, reason: str) -> Case:
    """The case as it is if this was done before, and by the same person."""
    return case if same else refuse(case, reason)


def refuse(case: Case, reason: str = "not-accepted") -> Case:
    """Raises ActionRefused with what stands in the way: where the case is, or `reason`."""
    if case.state is S.MERGED:
        reason = "merged"
    elif case.state in OVER:
        reason = "closed"
    elif case.state is S.SUSPENDED:
        reason = "suspended"
    elif case.state in DONE and reason not in ("taken", "not-suspended"):
        reason = "done"
    elif case.state in WAITING and reason == "not-on-site":
        reason = "not-accepted"
    raise ActionRefused(reason, case)
