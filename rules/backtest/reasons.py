"""Why a dry run by the rules in use raises something else than was raised, as far as that is known. Pure.

The history holds what was measured, not when it came, nor which rules were in force, nor who was there to hear it.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from messages.ids import DeviceId, EdgeId, SiteId
from messages.language import Phrase, phrase
from rules.backtest.replay import Episode
from rules.language.rule import Rule

Why = Literal["device gone", "rule gone", "earlier rule", "late", "away", "no engine", "shadow", ""]
WHY: Mapping[Why, Phrase] = {
    "device gone": phrase("the device is not announced any more"),
    "rule gone": phrase("there is no such rule any more"),
    "earlier rule": phrase("raised by an earlier version of the rule"),
    "late": phrase("known only afterwards, called nobody"),
    "away": phrase("its edge was away meanwhile"),
    "no engine": phrase("before the engine's first day"),
    "shadow": phrase("the rule runs in shadow, calls nobody"),
    "": phrase("no reason is known"),
}
NOTE = phrase(
    "Every reading counts here as if it had come at once, and by the device's settings of today; when it came is not in the history."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Then:
    """What is known of the time, beside the readings."""

    devices: Collection[tuple[SiteId, DeviceId]]
    """Those that are announced now."""
    rules: Mapping[tuple[str, str], Rule]
    """In use, by kind and name."""
    away: Mapping[tuple[SiteId, EdgeId], Sequence[tuple[int, int]]]
    """When each edge was away."""
    began_ms: int
    """The first word of the engine's log."""

    def gone(self, one: Episode) -> Why:
        """Why what was raised would not be."""
        rule = self.rules.get((one.kind, one.rule))
        if (one.site, one.device) not in self.devices:
            return "device gone"
        if rule is None:
            return "rule gone"
        if one.version not in ("", rule.version):
            return "earlier rule"
        return "late" if one.late else self._away(one)

    def new(self, one: Episode) -> Why:
        """Why what would be raised was not."""
        if one.raised_at_ms < self.began_ms:
            return "no engine"
        rule = self.rules.get((one.kind, one.rule))
        return "shadow" if rule is not None and rule.shadow else self._away(one)

    def _away(self, one: Episode) -> Why:
        over_ms = one.raised_at_ms if one.cleared_at_ms is None else one.cleared_at_ms
        spans = self.away.get((one.site, one.edge), ()) if one.edge is not None else ()
        return "away" if any(since <= over_ms and one.raised_at_ms <= until for since, until in spans) else ""


def counted(found: Iterable[Why]) -> dict[Why, int]:
    """How often each, the commonest first; what has none last."""
    counts = Counter(found)
    return dict(sorted(counts.items(), key=lambda pair: (pair[0] == "", -pair[1], pair[0])))
