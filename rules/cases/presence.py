"""How it is known that somebody is on the spot (section 2b of the field notes): where the phone is, the label on the asset, his word. Pure.

A label can be photographed and its code used from a sofa. So a place that the phone gives has the last word: a code from afar counts as his
word, and the log says why. Where the phone gives no place, or the asset has none, the code is all there is; the log tells them apart, since
a position is written there as what it is.
"""

from dataclasses import dataclass

from rules.assets.label import Label
from rules.language.neighbours import distance_m
from rules.records import Case, Presence

FENCE_M = 80.0
"""Around the asset: the next stairwell, and what a phone errs by between houses. Engineering default."""
MOST_ERROR_M = 100.0
"""A position that may be further off says nothing."""


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a phone says that it is; degrees, by the same map datum as the devices' settings."""

    lat: float
    lon: float
    error_m: float = 0.0
    """Within how many metres, as the phone believes."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What holds, and why a code that was given does not: one of DOUBTS, or nothing."""

    how: Presence
    doubt: str = ""


DOUBTS = ("code-unknown", "code-replaced", "code-of-another", "code-from-afar")


def presence(case: Case, spot: Spot | None, code: str = "", label: Label | None = None) -> Proof:
    """The strongest that holds. `label`: the one with that code, if there is one."""
    near = _near(case, spot)
    doubt = _doubt(case, label, near) if code.strip() else ""
    if code.strip() and not doubt:
        return Proof("code")
    return Proof("geofence" if near else "manual", doubt)


def _doubt(case: Case, label: Label | None, near: bool | None) -> str:
    if label is None:
        return "code-unknown"
    if not label.holds:
        return "code-replaced"
    if (label.site, label.device) != (case.site, case.subject):
        return "code-of-another"
    return "code-from-afar" if near is False else ""


def _near(case: Case, spot: Spot | None) -> bool | None:
    """Whether the phone is at the asset; None where nobody can tell."""
    if spot is None or case.lat is None or case.lon is None or not 0 <= spot.error_m <= MOST_ERROR_M:
        return None
    away_m = distance_m(spot.lat, spot.lon, case.lat, case.lon)
    return None if away_m != away_m else away_m <= FENCE_M + spot.error_m
