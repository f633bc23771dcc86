"""How cases are dealt with at a place: what is promised, who is called, which days are worked, and when alarms ring again."""

from dataclasses import dataclass, field

from rules.alarms.figures import SHIPPED, Figures
from rules.cases.policy import Policies, load_policies
from rules.duty.ladder import HomeOf, LadderOf, OwnerOf, as_announced, desk_alone, nobody_home
from rules.language.calendar import CHINA, Calendar


@dataclass(frozen=True, slots=True)
class Practice:
    """An argument of everything that opens, moves or escalates cases."""

    policies: Policies = field(default_factory=load_policies)
    ladder: LadderOf = desk_alone
    calendar: Calendar = CHINA
    figures: Figures = SHIPPED
    owner: OwnerOf = as_announced
    home: HomeOf = nobody_home


PLAIN = Practice()
"""The shipped policies, and the desk."""
