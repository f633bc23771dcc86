"""An alarm that comes and goes faster than people can look: one notice, and somebody mends the device. Pure.

Section 4 of the field notes: three times in a minute begins it; half an hour of quiet ends it (`rules.alarms.figures`).
"""

from collections.abc import Sequence

from messages.alarm import Level
from messages.settings import Text
from rules.alarms.figures import Chatter

MOST_TIMES = 20
"""Of how many occurrences of an alarm the times are kept: the first, and the latest."""

RULE = "chattering"
"""The device's own alarm that it wants mending (维修): one for all rules of a device that chatter."""
TITLE = Text(zh="告警抖动，设备待检修", en="An alarm chatters: the device wants mending")
ADVICE = Text(zh="检查接线、安装和阈值", en="Check its wiring, its mounting and its limits")


def noted(times: Sequence[int], at_ms: int) -> list[int]:
    """The times of an alarm's occurrences with one more, in bounded room."""
    more = sorted({*times, at_ms})
    return more if len(more) <= MOST_TIMES else [more[0], *more[2:]]


def chatters(times: Sequence[int], figures: Chatter) -> bool:
    """As its latest occurrences are."""
    return len(times) >= figures.times and times[-1] - times[-figures.times] <= figures.within * 1000


def level(*, guards: bool) -> Level:
    """How urgent the mending is: as that of an empty battery."""
    return "yellow" if guards else "blue"
