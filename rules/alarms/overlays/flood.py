"""More new alarms than an operator can read: pages then show the red ones, and of the rest how many. Pure.

Section 4 of the field notes, EEMUA 191 and ISA-18.2: it begins above ten in ten minutes for each operator, and ends below five.
It is a state of a site, and hides nothing: whom an alarm calls is the same in a flood.
"""

from rules.alarms.figures import SHIPPED, Flood


def floods(*, before: bool, fresh: int, operators: int = 1, figures: Flood = SHIPPED.flood) -> bool:
    """Whether there is a flood now. `fresh`: alarms that began to call people within the window."""
    share = fresh / max(1, operators)
    return share >= figures.ends_below if before else share > figures.begins_above
