"""What is around an act on a case."""

from dataclasses import dataclass

from rules.cases.practice import PLAIN, Practice


@dataclass(frozen=True, slots=True)
class Now:
    """What is around an act: the time, whether a condition of the case still holds, and how cases are dealt with here."""

    at_ms: int
    active: bool = False
    practice: Practice = PLAIN
