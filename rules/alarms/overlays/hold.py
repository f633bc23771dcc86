"""What keeps alarms from calling people, because a person said so: a shelf, maintenance, a work permit. Pure.

A hold stands in the database with its end; the engine ends it there (rules.alarms.overlays.oversight). Who may lay one over what is
decided twice: here when it is asked for, and by the alarm itself (rules.alarms.standing).
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from messages.announcement import Place
from messages.ids import LONGEST, DeviceId, SiteId, is_identifier
from rules.records import ActionRefused, Pause

MOST_SHELF_MS = 8 * 3_600_000
"""Section 2a of the field notes: no longer than a shift."""
MOST_MS = 30 * 24 * 3_600_000
"""Of maintenance and permits: an engineering default, so that nothing is forgotten for ever."""
MOST_WORDS = 200


class What(StrEnum):
    """Its own words in the log."""

    SHELF = "shelf"
    SERVICE = "service"
    PERMIT = "permit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Over one alarm rule of a device, all of a device, or a place. None is "any"."""

    id: str
    what: What
    site: SiteId
    device: DeviceId | None = None
    rule: str | None = None
    grid: str | None = None
    building: str | None = None
    unit: str | None = None
    reason: str
    actor: str
    """Who laid it."""
    holder: str = ""
    """Of a permit: who works there."""
    one_shot: bool = False
    from_ms: int
    until_ms: int
    ended_at_ms: int | None = None
    ended_by: str | None = None

    def lasts(self, now_ms: int) -> bool:
        return self.ended_at_ms is None and self.from_ms <= now_ms < self.until_ms

    def covers(self, site: SiteId, device: DeviceId, rule: str, place: Place) -> bool:
        """Whether it is over the alarm of this rule of this device, which is at this place."""
        wanted = (self.device, self.rule, self.grid, self.building, self.unit)
        found = (device, rule, place.grid, place.building, place.unit)
        return site == self.site and all(one in (None, other) for one, other in zip(wanted, found, strict=True))

    @property
    def pause(self) -> Pause:
        return Pause(until_ms=self.until_ms, actor=self.actor, reason=self.reason, one_shot=self.one_shot)

    @property
    def cause(self) -> str:
        """Of a permit, as an alarm names it."""
        return f"permit {self.id}"


def asked(hold: Hold, now_ms: int) -> Hold:
    """The hold, if it may be. Raises ActionRefused, the reason being the word for what is wrong with it."""
    most_ms = MOST_SHELF_MS if hold.what is What.SHELF else MOST_MS
    if not hold.reason.strip():
        raise ActionRefused("no-reason", None)
    if not all(map(is_identifier, (hold.site, hold.device or "any", hold.grid or "any"))):
        raise ActionRefused("no-place", None)  # nothing is called so
    if hold.rule is not None and not 0 < len(hold.rule) <= LONGEST:
        raise ActionRefused("unknown", None)
    if max(len(hold.reason), len(hold.holder)) > MOST_WORDS or "\n" in hold.reason + hold.holder:
        raise ActionRefused("too-many-words", None)
    if hold.until_ms <= max(now_ms, hold.from_ms):
        raise ActionRefused("over-already", None)
    if hold.until_ms - max(now_ms, hold.from_ms) > most_ms:
        raise ActionRefused("too-long", None)
    if hold.what is What.PERMIT:
        if not hold.holder.strip():
            raise ActionRefused("no-holder", None)
        if hold.device is None and hold.grid is None:
            raise ActionRefused("no-place", None)
    return replace(hold, reason=hold.reason.strip(), holder=hold.holder.strip())
