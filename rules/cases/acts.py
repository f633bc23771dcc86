"""What can be done to a case, by people and by the rules: data alone. What it makes of the case is `rules.cases.steps`."""

from dataclasses import dataclass

from messages.alarm import Level
from rules.records import Photo, Presence

OUTCOMES = ("mended", "false_alarm", "no_cause_found", "handed_on")
"""What came of it, by who was there."""
CANCELLATIONS = ("false_alarm", "duplicate", "test", "not_ours", "nothing_there")
"""Why a case is struck out; the rules' owners count them."""
FOR = "for "
"""Before a name in the log: somebody did it in that person's place."""
SAFE, HELP = "safe", "help"
"""What somebody answers who was asked how she is: an outcome, and a reason to go there at once."""
RULES = "rules"
"""The actor of what happens by itself."""


@dataclass(frozen=True, slots=True)
class Register:
    """受理: what a person reported is worth a case; of this level."""

    actor: str
    level: Level | None = None


@dataclass(frozen=True, slots=True)
class Dispatch:
    """派遣, or 改派 where somebody had it already."""

    actor: str
    to: str


@dataclass(frozen=True, slots=True)
class Accept:
    """接单. `whose`: the desk writes down what somebody else has said by telephone."""

    actor: str
    whose: str = ""

    @property
    def by(self) -> str:
        return self.whose or self.actor


@dataclass(frozen=True, slots=True)
class CheckIn:
    """报到: a department that was called takes it up."""

    actor: str


@dataclass(frozen=True, slots=True)
class Arrive:
    """Whoever stands there may say so, not only the one who accepted: helpers come along."""

    actor: str
    how: Presence = "manual"
    doubt: str = ""
    """Why a code that was given counts for nothing (`rules.cases.presence`)."""


@dataclass(frozen=True, slots=True)
class Handle:
    actor: str


@dataclass(frozen=True, slots=True)
class Finish:
    """反馈: it is done, with one outcome and, if there is one, a photo."""

    actor: str
    outcome: str
    photo: Photo | None = None


@dataclass(frozen=True, slots=True)
class Safe:
    """报平安: whoever was asked says that all is well. `whose`: the desk has asked by telephone, and writes down what that person says."""

    actor: str
    whose: str = ""

    @property
    def by(self) -> str:
        return self.whose or self.actor


@dataclass(frozen=True, slots=True)
class Help:
    """求助: whoever was asked says that help is needed. `whose` as above."""

    actor: str
    whose: str = ""

    @property
    def by(self) -> str:
        return self.whose or self.actor


@dataclass(frozen=True, slots=True)
class Inspect:
    """核查 begins: somebody goes and looks."""

    actor: str


@dataclass(frozen=True, slots=True)
class Verify:
    """核查: it is well and the case is closed, or it isn't and goes back."""

    actor: str
    passed: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Reject:
    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class Escalate:
    """升级: it can't be solved on this rung."""

    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class AskExtension:
    actor: str
    until_ms: int
    reason: str


@dataclass(frozen=True, slots=True)
class DecideExtension:
    actor: str
    granted: bool


@dataclass(frozen=True, slots=True)
class Suspend:
    actor: str
    review_ms: int
    reason: str


@dataclass(frozen=True, slots=True)
class Resume:
    actor: str


@dataclass(frozen=True, slots=True)
class Cancel:
    actor: str
    reason: str
    """One of CANCELLATIONS."""


@dataclass(frozen=True, slots=True)
class Reopen:
    """返工."""

    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class Merge:
    """并案: what it holds goes on in the case `into`."""

    actor: str
    into: str


Act = (
    Register
    | Dispatch
    | Accept
    | CheckIn
    | Arrive
    | Handle
    | Finish
    | Safe
    | Help
    | Inspect
    | Verify
    | Reject
    | Escalate
    | AskExtension
    | DecideExtension
    | Suspend
    | Resume
    | Cancel
    | Reopen
    | Merge
)
