"""A scene: what happens in the plant around one device, and what its rule must make of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from messages.alarm import Level
from messages.reading import Value
from rules.language.change import Cleared, Graver, Raised
from rules.language.rule import Rule, graver
from tests.rules.course import KINDS, T0, live, rule
from tests.rules.scenes.sensor import Moments, readings
from tests.rules.scenes.signals import Signal, State

Sort = Literal["positive", "negative", "flapping"]
MIDNIGHT_MS = round(datetime(2025, 10, 13, tzinfo=UTC).timestamp() * 1000) - 8 * 3_600_000
"""Of a Monday in Fuzhou."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Times are seconds since midnight."""

    kind: str
    rule: str
    sort: Sort
    says: str
    signals: Mapping[str, Signal | State | Moments | Value]
    until_s: float
    since_s: float = 0.0
    day: str = "2025-10-13"
    settings: Mapping[str, Value] = field(default_factory=dict)
    raised: tuple[float, float] = (0.0, 0.0)
    """Between which times it must be raised, if it is positive."""
    over: tuple[float, float] | None = None
    """Between which times it must be over, where the scene is about that too."""
    level: Level | None = None
    """How grave it must become; None: as the rule says of itself."""
    clears: bool = True
    """It must be over at the end."""
    most: int = 0
    """How many alarms it may be. A flapping one that is held until a person has looked is one."""

    @property
    def of(self) -> Rule:
        return rule(self.kind, self.rule).for_device(self.settings)


@dataclass(frozen=True)
class Outcome:
    """What the rule made of a scene."""

    raised_s: tuple[float, ...]
    cleared_s: tuple[float, ...]
    cleared: bool
    level: Level

    def alarms(self, rule: Rule) -> int:
        """With an operator who acknowledges at once: what is not latched and comes again is a new alarm."""
        return min(len(self.raised_s), 1) if rule.latch else len(self.raised_s)


def play(scene: Scene, *, restart: bool = False) -> Outcome:
    midnight_ms = MIDNIGHT_MS + round(
        (datetime.fromisoformat(scene.day) - datetime.fromisoformat("2025-10-13")) / timedelta(milliseconds=1)
    )
    rule = scene.of
    heard = readings(KINDS[scene.kind], scene.signals, scene.since_s, scene.until_s, f"{scene.kind}/{scene.says}")
    shifted = [one._replace(at_ms=midnight_ms + one.at_ms) for one in heard]
    changes = live(rule, shifted, (midnight_ms - T0) / 1000 + scene.until_s, restart=restart)
    raised = [change for change in changes if isinstance(change, Raised)]
    levels = [change.level or rule.level for change in changes if isinstance(change, Raised | Graver)]
    level = rule.level
    for one in levels:
        level = one if graver(one, level) else level
    cleared = [change for change in changes if isinstance(change, Cleared)]
    raised_s, cleared_s = (tuple((one.at_ms - midnight_ms) / 1000 for one in some) for some in (raised, cleared))
    return Outcome(raised_s, cleared_s, len(cleared) == len(raised), level)


def positive(kind: str, rule: str, says: str, until_s: float, raised: tuple[float, float], /, **more: Any) -> Scene:
    """It must be raised once, between the two times. `more`: fields of a Scene, and what its channels do."""
    return _scene(kind, rule, "positive", says, until_s, more, raised=raised, most=1)


def negative(kind: str, rule: str, says: str, until_s: float, /, **more: Any) -> Scene:
    """A near miss, or a nuisance that was to be expected: nothing may be raised."""
    return _scene(kind, rule, "negative", says, until_s, more)


def flapping(kind: str, rule: str, says: str, until_s: float, most: int, /, **more: Any) -> Scene:
    """It hovers about the limit, and may be `most` alarms."""
    return _scene(kind, rule, "flapping", says, until_s, more, most=most)


_MORE = ("since_s", "day", "settings", "level", "clears", "over")


def _scene(kind: str, rule: str, sort: Sort, says: str, until_s: float, more: dict[str, Any], **rest: Any) -> Scene:
    rest |= {name: more[name] for name in _MORE if name in more}
    signals = {name: signal for name, signal in more.items() if name not in _MORE}
    return Scene(kind=kind, rule=rule, sort=sort, says=says, until_s=until_s, signals=signals, **rest)
