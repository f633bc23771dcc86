"""What the log alone says of a case: where it stands, and how long each leg took. Pure.

Figures of reports are made from this, never typed in: so anybody who has the log can make them again, and hold them against the table.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from rules.cases.acts import FOR, RULES
from rules.records import Case, CaseState, LogEntry

S = CaseState
_STATES = {f"case.{state}": state for state in S} | {
    "case.reassigned": S.DISPATCHED,
    "case.escalated": S.DISPATCHED,
}
_STAMPS = {
    "case.accepted": "accepted_at_ms",
    "case.on_site": "on_site_at_ms",
    "case.feedback": "feedback_at_ms",
    "case.closed": "closed_at_ms",
    "case.cancelled": "closed_at_ms",
    "case.merged": "closed_at_ms",
}
_NOBODY = ("accepted_at_ms", "accepted_by", "on_site_at_ms")
_FORGET: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("case.rejected", "case.dispatched", "case.reassigned", "case.escalated"), _NOBODY),
    "case.resumed": ("on_site_at_ms",),
    "case.reopened": (*_NOBODY, "feedback_at_ms", "closed_at_ms"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What became of a case, as its lines tell it. Times are the server's."""

    state: CaseState = S.REPORTED
    opened_at_ms: int = 0
    accepted_at_ms: int | None = None
    accepted_by: str | None = None
    on_site_at_ms: int | None = None
    feedback_at_ms: int | None = None
    closed_at_ms: int | None = None
    reopened: int = 0
    breaches: tuple[str, ...] = ()
    """Legs whose promise was broken, in order."""

    @property
    def accept_s(self) -> float | None:
        return self._since(self.accepted_at_ms)

    @property
    def arrive_s(self) -> float | None:
        return self._since(self.on_site_at_ms)

    @property
    def handle_s(self) -> float | None:
        return self._since(self.feedback_at_ms)

    @property
    def close_s(self) -> float | None:
        return self._since(self.closed_at_ms)

    def _since(self, at_ms: int | None) -> float | None:
        return None if at_ms is None else (at_ms - self.opened_at_ms) / 1000


def course(lines: Iterable[LogEntry]) -> Course:
    """Of the lines of one case, in their order."""
    found = Course()
    for line in lines:
        found = _after(found, line)
    return found


def of_row(case: Case, breaches: tuple[str, ...] = ()) -> Course:
    """The same from the table, which keeps no list of what was broken."""
    return Course(
        state=case.state,
        opened_at_ms=case.opened_at_ms,
        accepted_at_ms=case.accepted_at_ms,
        accepted_by=case.accepted_by,
        on_site_at_ms=case.on_site_at_ms,
        feedback_at_ms=case.feedback_at_ms,
        closed_at_ms=case.closed_at_ms,
        reopened=case.reopened,
        breaches=breaches,
    )


def _after(before: Course, line: LogEntry) -> Course:
    if line.number == 1:
        before = replace(before, opened_at_ms=line.at_ms)
    if line.event == "sla.breached":
        return replace(before, breaches=(*before.breaches, line.detail))
    if line.event == "case.escalated" and line.actor == RULES:  # further up is called; it stays where it is
        return before
    if line.event == "case.accepted":
        before = replace(before, accepted_by=_acceptor(line))
    if line.event in _STAMPS:
        stamped: dict[str, Any] = {_STAMPS[line.event]: line.at_ms}
        before = replace(before, **stamped)
    if line.event in _FORGET:
        forgotten: dict[str, Any] = dict.fromkeys(_FORGET[line.event])
        before = replace(before, **forgotten)
    if line.event == "case.reopened":
        before = replace(before, reopened=before.reopened + 1)
    state = S(line.detail) if line.event == "case.resumed" else _STATES.get(line.event, before.state)
    return replace(before, state=state)


def _acceptor(line: LogEntry) -> str:
    return line.detail.removeprefix(FOR) if line.detail.startswith(FOR) else line.actor
