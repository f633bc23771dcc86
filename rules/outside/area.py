"""Where something is, as CAP writes it: the outline of the building or the grid from the site's own plan, a circle around the asset, codes. Pure.

Degrees are by the map datum that the site uses (`origin` of its plan, `lat` and `lon` of its devices); CAP means WGS 84, so a site that
feeds CAP to others should measure by that one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from messages.announcement import Place
from rules.duty.site import Origin, Site
from rules.language.neighbours import EARTH_M

CIRCLE_KM = 0.03
"""Around an asset: what a position on a plan errs by, and from where a cover is seen. Engineering default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """`polygons`: rings of (lat, lon), the first point once more at the end; `geocodes`: (name, value)."""

    words: str
    polygons: tuple[tuple[tuple[float, float], ...], ...] = ()
    circles: tuple[tuple[float, float, float], ...] = ()
    """(lat, lon, kilometres)."""
    geocodes: tuple[tuple[str, str], ...] = ()


def area(site_id: str, site: Site | None, place: Place, lat: float | None, lon: float | None) -> Area:
    """The narrowest outline that the plan has; with neither plan nor position, the codes alone."""
    geocodes = [("gridcall:grid", f"{site_id}/{place.grid}")]
    geocodes += [("gridcall:building", f"{site_id}/{place.building}")] if place.building else []
    circles = ((lat, lon, CIRCLE_KM),) if lat is not None and lon is not None else ()
    origin = site.plan.origin if site and site.plan else None
    ring = _ring(_outline(site, place), origin) if site and origin else ()
    return Area(
        words=place.text or place.grid, polygons=(ring,) if ring else (), circles=circles, geocodes=tuple(geocodes)
    )


def _outline(site: Site, place: Place) -> Sequence[Sequence[float]]:
    building = site.buildings.get(place.building)
    if building is not None and building.outline:
        return building.outline
    grid = site.grids.get(place.grid)
    return grid.outline if grid else ()


def _ring(outline: Sequence[Sequence[float]], origin: Origin) -> tuple[tuple[float, float], ...]:
    """Closed; empty for what encloses nothing."""
    points = [_degrees(east, north, origin) for east, north in outline]
    if len(set(points)) < 3:
        return ()
    return (*points, *(() if points[0] == points[-1] else (points[0],)))


def _degrees(east_m: float, north_m: float, origin: Origin) -> tuple[float, float]:
    """On a plane that touches the earth at the plan's corner; six digits are a tenth of a metre."""
    lat = origin.lat + math.degrees(north_m / EARTH_M)
    lon = origin.lon + math.degrees(east_m / (EARTH_M * math.cos(math.radians(origin.lat))))
    return round(lat, 6), round(lon, 6)
