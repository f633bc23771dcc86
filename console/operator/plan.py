"""A site as a drawing: its own plan, or where it has none a scheme of its grids and buildings; and where on it something lies. Pure.

Units are the plan's metres; y grows downwards here, as in SVG, and northwards in the site's file. Without a plan a unit is nothing in the world.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from messages.announcement import Place
from messages.settings import Text
from rules.duty.site import Plan, Site

M_PER_DEGREE = 111_320.0
"""Of latitude; of longitude at the equator. Good to a metre within a site."""
OUTSIDE = 0.15
"""What lies further outside the plan than this share of it is on no plan."""

CELL, GAP, HEAD, COLUMNS = 60.0, 14.0, 34.0, 4
"""Of a scheme: a building, the room between two, the room for a grid's name, and buildings in a row."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Area:
    """A grid or a building. `points` as SVG writes them; `at`: where its name stands; `mark`: where what happens there is marked."""

    id: str
    name: Text
    points: str
    at: Point
    mark: Point


@dataclass(frozen=True, slots=True)
class Figure:
    """A road, a green, a water or a wall."""

    sort: str
    points: str
    name: str
    at: Point
    turn: int
    """By how much its name is turned, degrees."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """What is drawn under the marks."""

    width: float
    height: float
    figures: tuple[Figure, ...]
    grids: tuple[Area, ...]
    buildings: tuple[Area, ...]
    to_scale: bool
    plan: Plan | None = None

    def spot(self, place: Place, lat: float | None = None, lon: float | None = None) -> Point | None:
        """Where it lies: by degrees, else in its building, else in its grid; None: on no plan."""
        if lat is not None and lon is not None and (found := self._projected(lat, lon)) is not None:
            return found
        for areas, name in ((self.buildings, place.building), (self.grids, place.grid)):
            for area in areas:
                if name and area.id == name:
                    return area.mark
        return None

    def _projected(self, lat: float, lon: float) -> Point | None:
        if self.plan is None or (origin := self.plan.origin) is None:
            return None
        east = (lon - origin.lon) * M_PER_DEGREE * math.cos(math.radians(origin.lat))
        north = (lat - origin.lat) * M_PER_DEGREE
        inside = all(
            -OUTSIDE * most <= at <= (1 + OUTSIDE) * most for at, most in ((east, self.width), (north, self.height))
        )
        return (_in(east, self.width), _in(self.height - north, self.height)) if inside else None


def drawing(site: Site | None, places: Iterable[Place] = ()) -> Drawing:
    """Of a site; `places` are those of its alarms and devices, for a site that has no file or whose file knows no building there."""
    if site is not None and site.plan is not None:
        return _plan(site, site.plan)
    return _scheme(site, places)


def _plan(site: Site, plan: Plan) -> Drawing:
    def turned(points: Sequence[Sequence[float]]) -> list[Point]:
        return [(point[0], plan.height - point[1]) for point in points]

    return Drawing(
        width=plan.width,
        height=plan.height,
        figures=tuple(_figure(shape.sort, turned(shape.points), shape.name or "") for shape in plan.shapes),
        grids=tuple(
            Area(name, grid.name, _svg(points), _under_the_top(points), _centre(points))
            for name, grid in site.grids.items()
            if len(points := turned(grid.outline)) > 2
        ),
        buildings=tuple(
            Area(name, building.name or _numbered(name), _svg(points), _centre(points), _end(points))
            for name, building in site.buildings.items()
            if len(points := turned(building.outline)) > 2
        ),
        to_scale=True,
        plan=plan,
    )


def _scheme(site: Site | None, places: Iterable[Place]) -> Drawing:
    held: dict[str, dict[str, Text]] = {name: {} for name in site.grids} if site else {}
    for name, building in (site.buildings if site else {}).items():
        held[building.grid][name] = building.name or _numbered(name)
    for place in places:
        buildings = held.setdefault(place.grid, {})
        if place.building:
            buildings.setdefault(place.building, _numbered(place.building))
    names: Mapping[str, Text] = {name: grid.name for name, grid in site.grids.items()} if site else {}
    grids: list[Area] = []
    drawn: list[Area] = []
    across = max(1, math.ceil(math.sqrt(len(held))))
    wide = COLUMNS * (CELL + GAP) + GAP
    left = top = tallest = 0.0
    for number, (name, buildings) in enumerate(held.items()):
        if number % across == 0 and number:
            left, top, tallest = 0.0, top + tallest + GAP, 0.0
        high = HEAD + max(1, math.ceil(len(buildings) / COLUMNS)) * (CELL * 0.6 + GAP) + GAP
        grids.append(
            Area(
                name,
                names.get(name, Text(zh=name, en=name)),
                _box(left, top, wide, high),
                (left + wide / 2, top + HEAD * 0.7),
                (left + wide - GAP * 1.5, top + HEAD * 0.55),
            )
        )
        for index, (number_of, said) in enumerate(buildings.items()):
            x = left + GAP + index % COLUMNS * (CELL + GAP)
            y = top + HEAD + index // COLUMNS * (CELL * 0.6 + GAP)
            middle = y + CELL * 0.3
            drawn.append(Area(number_of, said, _box(x, y, CELL, CELL * 0.6), (x + CELL / 2, middle), (x, middle)))
        left, tallest = left + wide + GAP, max(tallest, high)
    width, height = max(wide, across * (wide + GAP) - GAP), max(HEAD, top + tallest)
    return Drawing(width, height, (), tuple(grids), tuple(drawn), to_scale=False)


def _figure(sort: str, points: list[Point], name: str) -> Figure:
    if sort == "green":
        return Figure(sort, _svg(points), name, _centre(points), 0)
    middle = len(points) // 2
    (x1, y1), (x2, y2) = points[middle - 1], points[middle]
    upright = abs(y2 - y1) > abs(x2 - x1)
    share = 0.12  # near its beginning, where fewer things cross it
    return Figure(sort, _svg(points), name, (x1 + (x2 - x1) * share, y1 + (y2 - y1) * share), -90 if upright else 0)


def _numbered(name: str) -> Text:
    return Text(zh=f"{name}号楼", en=f"Bldg {name}") if name.isdigit() else Text(zh=name, en=name)


def _centre(points: Sequence[Point]) -> Point:
    """Of the box around them: inside of every block of houses, and as far from its edges as can be."""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2


def _end(points: Sequence[Point]) -> Point:
    """Of a building: the left one, or the upper one where it stands upright, so that its name in the middle stays to be read."""
    left, top = min(x for x, _ in points), min(y for _, y in points)
    middle_x, middle_y = _centre(points)
    return (middle_x, top) if middle_y - top > middle_x - left else (left, middle_y)


def _under_the_top(points: Sequence[Point]) -> Point:
    top, low = min(y for _, y in points), max(y for _, y in points)
    return _centre(points)[0], top + (low - top) * 0.2


def _svg(points: Iterable[Point]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _box(x: float, y: float, width: float, height: float) -> str:
    return _svg([(x, y), (x + width, y), (x + width, y + height), (x, y + height)])


def _in(value: float, most: float) -> float:
    return min(max(value, 0.0), most)
