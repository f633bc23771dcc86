"""How it is known that somebody is on the spot (section 2b of the field notes): where the phone is, the code on the asset, his word. Pure."""

from dataclasses import dataclass

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


def presence(case: Case, spot: Spot | None, code: str = "") -> Presence:
    """The strongest that holds. `code`: what stands on the asset, its device id, alone or behind its site."""
    if case.subject and code.strip() in (case.subject, f"{case.site}/{case.subject}"):
        return "code"
    if spot is None or case.lat is None or case.lon is None or not 0 <= spot.error_m <= MOST_ERROR_M:
        return "manual"
    away_m = distance_m(spot.lat, spot.lon, case.lat, case.lon)
    return "geofence" if away_m <= FENCE_M + spot.error_m else "manual"
