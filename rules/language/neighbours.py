"""`count_devices`: how many devices of the neighbourhood are, or lately were, as a condition says. Pure.

    count_devices("sewer_level", "water_level >= 0.8 * depth", within="500m", window="15min")

Of several kinds, "sewer_level, manhole_cover", the condition must fit each; "*" is every kind that it fits. Its settings are those of the kind's rule file, with each
device's own. `within` is a distance between the devices' settings `lat` and `lon` (degrees, WGS 84 or GCJ-02, but the same for all), or
one of "grid", "building", "circuit", "site"; on which circuit (回路) a device hangs is its setting `circuit`. The device itself counts if it is one of them. For a site's own rules the answer is the
largest number that lie that near to one of them.

The answer comes from whoever sees all devices (`rules.engine.neighbourhood`); a Pi sees only its own, so a reflex can't ask.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from messages.announcement import Place
from messages.language import Phrase, phrase, why
from messages.reading import Value
from messages.settings import duration_s
from messages.suggestion import suggest
from rules.language.terms import RATIO, Misfit, Term, asked

EVERY = "*"
"""Of whichever kind."""

PLACES = ("grid", "building", "circuit", "site")
WHEREABOUTS = ("lat", "lon", "circuit")
"""The settings of a device that say where it is."""
EARTH_M = 6_371_008.8
"""Mean radius, IUGG."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of the neighbourhood."""

    kinds: tuple[str, ...]
    condition: str
    within: str | float
    """One of PLACES, or metres."""
    window_ms: int
    """For how long a device counts after its condition was last true."""

    @property
    def ends(self) -> str:
        """The sentence that is true when the condition isn't; a comment in it ends with its line."""
        return f"not (\n{self.condition}\n)"

    @property
    def key(self) -> str:
        return f"{', '.join(self.kinds)}: {self.condition}, {self.within}, {self.window_ms}"

    def term(self) -> Term:
        """How many; unknown where nobody can tell."""
        key = self.key
        return Term("number", RATIO, asked(lambda _, then: then.around.get(key)))


def question(texts: Sequence[Any], named: Mapping[str, Any], kinds: Mapping[str, Any]) -> Question:
    """From the arguments as they are written. Raises Misfit."""
    if len(texts) != 2 or not all(isinstance(text, str) for text in texts) or set(named) - {"within", "window"}:
        raise Misfit('write count_devices("kind", "condition", within="500m", window="15min")')
    asked = tuple(name.strip() for name in texts[0].split(","))
    if asked == ("",):
        raise Misfit("the condition fits no kind").of(1)
    for name in asked:
        if name not in kinds:
            raise Misfit("no kind `{kind}`{near}", kind=name, near=suggest(name, kinds)).of(0)
    try:
        window_s = duration_s(named.get("window", "0s"))
    except ValueError as error:
        raise Misfit("window: {why}", why=why(error)).of("window") from error
    return Question(asked, texts[1], _within(named.get("within", "site")), round(window_s * 1000))


def _within(text: Any) -> str | float:
    if text in PLACES:
        return str(text)
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(m|km)", text) if isinstance(text, str) else None
    if found is None:
        places = Phrase(", ".join(PLACES))
        words = phrase(
            'within: a distance such as "500m", or one of {places} is wanted, not {text}',
            places=places,
            text=repr(text),
        )
        raise Misfit(words).of("within")
    return float(found[1]) * (1000 if found[2] == "km" else 1)


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where a device is, as far as it matters to a neighbour."""

    grid: str
    building: str
    lat: float | None = None
    lon: float | None = None
    circuit: str = ""
    """What it is fed by, e.g. "3-L2"; the same name is the same circuit in the whole site."""


def whereabouts(place: Place, settings: Mapping[str, Value]) -> Whereabouts:
    lat, lon, circuit = settings.get("lat"), settings.get("lon"), settings.get("circuit")
    here = Whereabouts(place.grid, place.building, circuit=circuit if isinstance(circuit, str) else "")
    if isinstance(lat, float | int) and isinstance(lon, float | int) and abs(lat) <= 90 and abs(lon) <= 180:
        return replace(here, lat=float(lat), lon=float(lon))
    return here


def near(within: str | float, one: Whereabouts, other: Whereabouts) -> bool:
    """Whether `other` is in the neighbourhood of `one`. A device whose place is not known is near itself alone."""
    if one is other or within == "site":
        return True
    if within == "grid":
        return one.grid == other.grid
    if within == "building":
        return bool(one.building) and (one.grid, one.building) == (other.grid, other.building)
    if within == "circuit":
        return bool(one.circuit) and one.circuit == other.circuit
    if one.lat is None or one.lon is None or other.lat is None or other.lon is None:
        return False
    return distance_m(one.lat, one.lon, other.lat, other.lon) <= float(within)


def distance_m(lat: float, lon: float, other_lat: float, other_lon: float) -> float:
    """On a plane that touches the earth there: within a community it is exact to millimetres."""
    north = math.radians(other_lat - lat)
    east = math.radians((other_lon - lon + 180) % 360 - 180) * math.cos(math.radians((lat + other_lat) / 2))
    return EARTH_M * math.hypot(north, east)
