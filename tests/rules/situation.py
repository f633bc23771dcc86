"""What a case may be about, for tests that need any."""

from messages.alarm import Level
from messages.announcement import Place
from messages.ids import SiteId
from messages.settings import Text
from rules.cases.case import Situation
from rules.records import Origin


def about(
    level: Level = "red", *, kind: str = "gas_alarm", subject: str = "gas-1", origin: Origin = "alarm"
) -> Situation:
    return Situation(
        site=SiteId("junmen"),
        place=Place(grid="g1", building="3", unit="2", text="3号楼2单元101厨房"),
        kind=kind,
        subject=subject,
        title=Text(zh="燃气泄漏", en="Gas leak"),
        level=level,
        origin=origin,
    )
