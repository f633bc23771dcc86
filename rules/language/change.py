"""What `step` (rules.language.evaluation) finds out about one rule of one device. Times are the readings' own."""

from collections.abc import Mapping
from dataclasses import dataclass

from messages.alarm import Level
from messages.reading import Value


@dataclass(frozen=True, slots=True)
class Raised:
    """The condition has been true for its delay since `at_ms`. Said again with late = False when a late one stands."""

    at_ms: int
    evidence: Mapping[str, Value]
    late: bool = False
    level: Level | None = None
    """If it is graver than the rule's own."""


@dataclass(frozen=True, slots=True)
class Graver:
    """What was raised at `raised_at_ms` has become graver."""

    raised_at_ms: int
    at_ms: int
    level: Level
    evidence: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Cleared:
    """What was raised at `raised_at_ms` has been below its reset limit for the off-delay since `at_ms`."""

    raised_at_ms: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class Happened:
    """It was raised at `at_ms` by readings older than the present; `over`: as the present's values show."""

    at_ms: int
    evidence: Mapping[str, Value]
    over: bool = True
    late: bool = True
    """Too long ago to ring. Life safety never is."""
    level: Level | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """What happened at `raised_at_ms` was over at `at_ms`."""

    raised_at_ms: int
    at_ms: int


Change = Raised | Graver | Cleared | Happened | Ended
