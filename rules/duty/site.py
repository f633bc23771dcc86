"""A site 社区 as its file tells it: grids, buildings, people, posts, owners, routes. One TOML file per site, its stem the site's id.

A post 岗位 is a role for an area, held by people in shifts. What changes from week to week (leave, stand-ins, extra duty) is not
in the file but in the database (rules.duty.roster). Every mistake ends as ConfigError with file, line and field.
"""

from collections.abc import Iterable
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from messages.alarm import Level
from messages.announcement import Place
from messages.ids import IDENTIFIER, ONE_LINE
from messages.language import Language, Phrase, Unfit, phrase
from messages.language import why as why_
from messages.settings import ConfigError, Settings, Text, line_of, read
from messages.suggestion import suggest
from rules.language.calendar import Calendar, CalendarText

Role = Literal[
    "grid_worker",  # 网格员
    "helper",  # 网格协管员
    "building_lead",  # 楼栋长
    "property",  # 物业
    "fire_station",  # 微型消防站
    "health_station",  # 社区卫生服务站
    "community",  # 社区值班
    "street",  # 街道
    "department",  # 部门
]
Department = Literal["urban_management", "water", "power", "gas", "facilities", "sanitation", "landscaping"]
"""城管 水 电 气 设施 环卫 园林: the seven of 「1+7」 (section 1c of the field notes)."""

Days = Literal["daily", "workdays", "holidays", "mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_Id = Annotated[str, StringConstraints(pattern=IDENTIFIER)]
_Line = Annotated[str, StringConstraints(pattern=ONE_LINE, min_length=1, max_length=80)]
_Phone = Annotated[str, StringConstraints(pattern=r"^\+?[0-9 -]{3,24}$")]


MOST_PLACES_KEPT = 4_096
"""Of a site: who is in charge of each of so many is kept in mind."""


def _metres(points: list[list[float]]) -> list[list[float]]:
    if any(len(point) != 2 for point in points):
        raise Unfit("each point should be [metres east, metres north]")
    return points


_Points = Annotated[list[list[float]], AfterValidator(_metres)]


def minute_of(text: str) -> int:
    """Minutes after midnight of "08:30"; "24:00" is the end of the day. Raises ValueError."""
    hours, colon, minutes = text.partition(":")
    if not (colon and hours.isdecimal() and len(minutes) == 2 and minutes.isdecimal()):
        raise Unfit('a time of day such as "08:30" is wanted, not {text!r}', text=text)
    minute = int(hours) * 60 + int(minutes)
    if int(minutes) > 59 or minute > 24 * 60:
        raise Unfit('a time of day from "00:00" to "24:00" is wanted, not {text!r}', text=text)
    return minute


def _time_of_day(text: str) -> str:
    minute_of(text)
    return text


TimeOfDay = Annotated[str, AfterValidator(_time_of_day)]


class Origin(Settings):
    """Where the plan's lower left corner lies, in degrees; devices say where they are by the same map datum."""

    lat: Annotated[float, Field(ge=-85, le=85)]
    lon: Annotated[float, Field(ge=-180, le=180)]


class Shape(Settings):
    """A road, a green or a water on the plan."""

    sort: Literal["road", "green", "water", "wall"]
    points: Annotated[_Points, Field(min_length=2)]
    name: _Line | None = None


class Plan(Settings):
    """The site's own drawing, metres: what the one-screen map shows without any tile server."""

    width: Annotated[float, Field(gt=0, le=50_000)]
    height: Annotated[float, Field(gt=0, le=50_000)]
    origin: Origin | None = None
    shapes: list[Shape] = Field(default_factory=list)


class Grid(Settings):
    """网格, of about 500 households."""

    name: Text
    households: Annotated[int, Field(ge=0)] = 0
    outline: _Points = Field(default_factory=list)


class Building(Settings):
    """楼."""

    grid: _Id
    name: Text | None = None
    units: Annotated[int, Field(ge=0, le=100)] = 0
    floors: Annotated[int, Field(ge=0, le=200)] = 0
    outline: _Points = Field(default_factory=list)


ReachWord = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{1,63}(:\S{1,200})?$")]
"""A channel, with an address where the phone number isn't one."""


ASKED_BY = ("sms", "voice")
"""How a household is asked, where it says nothing else: a text brings the link to answer by, and where a number takes none it rings."""


class Person(Settings):
    """Somebody who can be called: a worker, or the desk of a company that answers one number."""

    name: _Line
    language: Language = "zh"
    phone: _Phone | None = None
    reach: list[ReachWord] = Field(default_factory=list)
    """Channels in the order in which they are tried, each with an address where the phone number isn't one: "wecom:LinXiaoMei", "sms"."""
    login: Annotated[str, StringConstraints(max_length=40)] | None = None
    """The account on the pages, if it isn't called as the person is here."""


class Shift(Settings):
    """When the people of a post are on duty. Without times: around the clock."""

    people: Annotated[list[_Id], Field(min_length=1)]
    days: Days | list[Days] = "daily"
    from_: TimeOfDay = Field(default="00:00", alias="from")
    until: TimeOfDay = "24:00"
    """Not after `from`: on the next day."""
    rotate_days: Annotated[int, Field(ge=1, le=366)] | None = None
    """The first of `people` has the first so many days, then the second, and so on; the others are not on duty meanwhile."""
    since: date | None = None
    """The first day of a rotation, and the first day of the shift at all."""
    to: date | None = None
    """The last day, inclusive."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.rotate_days is not None and self.since is None:
            raise Unfit("a rotation needs `since`, the day on which the first of `people` begins")
        if minute_of(self.from_) == 24 * 60:
            raise Unfit('`from`: the day begins at "00:00"')
        return self


class Post(Settings):
    """岗位: a role for an area. Neither `grids` nor `buildings`: for the whole site."""

    role: Role
    department: Department | None = None
    grids: list[_Id] = Field(default_factory=list)
    buildings: list[str] = Field(default_factory=list)
    shifts: Annotated[list[Shift], Field(min_length=1)]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.role == "department") != (self.department is not None):
            raise Unfit("`department` says which one, for the role department alone")
        return self


class Owner(Settings):
    """权属单位: whose asset it is, and who answers for it."""

    name: Text
    department: Department | None = None
    people: list[_Id] = Field(default_factory=list)
    devices: list[_Id] = Field(default_factory=list)
    """Its devices, beside those that announce `owner` by themselves."""


class Contact(Settings):
    """Whom to ask when somebody doesn't answer."""

    name: _Line
    relation: _Line | None = None
    phone: _Phone
    reach: list[ReachWord] = Field(default_factory=lambda: list(ASKED_BY))
    key: bool = False
    """Whether a spare key lies there."""


class Household(Settings):
    """Where somebody lives who is looked after 独居老人 and agreed to it. Nothing but the pages shows it, to who has the right, and each
    look is noted. Who isn't seen is asked before a worker goes there, and then her contacts (`rules.cases.policies.toml`)."""

    building: str
    unit: Annotated[str, StringConstraints(pattern=ONE_LINE, max_length=40)] | None = None
    door: Annotated[str, StringConstraints(pattern=ONE_LINE, max_length=40)] | None = None
    resident: _Line
    phone: _Phone | None = None
    reach: list[ReachWord] = Field(default_factory=lambda: list(ASKED_BY))
    """How the resident is asked whether all is well, as a person's `reach`; each contact has the same."""
    others: Annotated[list[_Line], Field(max_length=10)] = Field(default_factory=list)
    """Who lives there besides."""
    mobility: Annotated[str, StringConstraints(pattern=ONE_LINE, max_length=100)] = ""
    """How well the resident walks, hears and sees: whether somebody will come to the door."""
    contacts: Annotated[list[Contact], Field(max_length=10)] = Field(default_factory=list)
    notes: Annotated[str, StringConstraints(max_length=500)] = ""
    """What else a person has to know who goes there: a dog, medicine, the door sticks."""
    consent: date
    """When the resident agreed that this is kept. Without consent there is no entry."""
    devices: list[_Id] = Field(default_factory=list)


class Route(Settings):
    """Who is called, step by step, for what. The first that fits is taken; the shipped ones come after a site's own."""

    kinds: list[_Id] = Field(default_factory=list)
    """None named: any."""
    levels: list[Level] = Field(default_factory=list)
    grids: list[_Id] = Field(default_factory=list)
    owners: list[_Id] = Field(default_factory=list)
    first: Annotated[list[str], Field(min_length=1)]
    """L1 网格: roles, "department:gas", "owner", "person:lin"; all of one step are called together, in this order."""
    second: list[str] = Field(default_factory=lambda: ["community", "street"])
    """L2 街道."""
    third: list[str] = Field(default_factory=list)
    """L3 部门报到."""


class Site(Settings):
    """One site's file."""

    name: Text
    street: Text | None = None
    calendar: CalendarText = CalendarText()
    plan: Plan | None = None
    grids: Annotated[dict[_Id, Grid], Field(min_length=1)]
    buildings: dict[str, Building] = Field(default_factory=dict)
    people: dict[_Id, Person] = Field(default_factory=dict)
    posts: dict[_Id, Post] = Field(default_factory=dict)
    owners: dict[_Id, Owner] = Field(default_factory=dict)
    routes: list[Route] = Field(default_factory=list)
    households: dict[_Id, Household] = Field(default_factory=dict)

    def clock(self) -> Calendar:
        return self._clock

    @cached_property
    def _clock(self) -> Calendar:
        return self.calendar.calendar()

    def owner_of(self, device: str, announced: str) -> str:
        """Whose device it is: the site's word, then its own."""
        return next((name for name, owner in self.owners.items() if device in owner.devices), announced)

    def household_of(self, device: str) -> tuple[str, Household] | None:
        """At whose place it hangs, if that is somebody who is looked after."""
        return next(((name, one) for name, one in self.households.items() if device in one.devices), None)

    def in_charge(self, role: str, department: str | None, place: Place) -> tuple[str, ...]:
        """The posts of a role that are in charge of a place, the nearest first."""
        key = (role, department, place.grid, place.building)
        if (found := self._in_charge.get(key)) is None:
            if len(self._in_charge) >= MOST_PLACES_KEPT:
                self._in_charge.clear()
            its = {name: one for name, one in self.posts.items() if (one.role, one.department) == (role, department)}
            near = {name: self.covers(post, place) for name, post in its.items()}
            found = tuple(sorted((name for name in its if near[name]), key=lambda name: -near[name]))
            self._in_charge[key] = found
        return found

    @cached_property
    def _in_charge(self) -> dict[tuple[str, str | None, str, str], tuple[str, ...]]:
        return {}

    def __copy__(self) -> Self:
        """Without what is kept in mind of it: a copy is made to change it."""
        copied = super().__copy__()
        for kept in ("_clock", "_in_charge"):
            copied.__dict__.pop(kept, None)
        return copied

    def covers(self, post: Post, place: Place) -> int:
        """How closely a post is in charge of a place: 3 its building, 2 its grid, 1 the whole site, 0 not at all."""
        if place.building and place.building in post.buildings:
            building = self.buildings.get(place.building)
            return 3 if building is None or building.grid == place.grid else 0
        if place.grid in post.grids:
            return 2
        return 0 if post.grids or post.buildings else 1


def load_site(path: Path) -> Site:
    """One site, read and checked. Raises ConfigError."""
    site = read(path, Site)
    for where, name, known, what in _references(site):
        if name not in known:
            raise _mistake(
                path, where, phrase("no {what} `{name}`{near}", what=_WHAT[what], name=name, near=suggest(name, known))
            )
    for index, route in enumerate(site.routes):
        for step in ("first", "second", "third"):
            for word in getattr(route, step):
                if why := wrong_word(word, site.people):
                    raise _mistake(path, ("routes", index, step), why)
    try:
        site.clock()
    except ValueError as error:
        raise _mistake(path, ("calendar", "zone"), why_(error)) from error
    return site


def wrong_word(word: str, people: Iterable[str]) -> Phrase | None:
    """What is wrong with a word of a route; None if nothing is."""
    sort, colon, name = word.partition(":")
    if not colon and (word == "owner" or (word in Role.__args__ and word != "department")):  # type: ignore[attr-defined]
        return None
    if sort == "person":
        wrong = phrase("no person `{name}`{near}", name=name, near=suggest(name, people))
        return None if name in people else wrong
    if sort == "department":
        known = Department.__args__  # type: ignore[attr-defined]
        wrong = phrase("no department `{name}`{near}", name=name, near=suggest(name, known))
        return None if name in known else wrong
    known = (*Role.__args__, "owner", "person:…", "department:…")  # type: ignore[attr-defined]
    return phrase("no role `{word}`{near}", word=word, near=suggest(word, known))


def _references(site: Site) -> Iterable[tuple[tuple[Any, ...], str, Iterable[str], str]]:
    """Where a name stands for something else in the file, and what it may be."""
    yield from ((("buildings", name, "grid"), one.grid, site.grids, "grid") for name, one in site.buildings.items())
    yield from (
        (("households", name, "building"), one.building, site.buildings, "building")
        for name, one in site.households.items()
    )
    for name, post in site.posts.items():
        for grid in post.grids:
            yield ("posts", name, "grids"), grid, site.grids, "grid"
        for one in post.buildings:
            yield ("posts", name, "buildings"), one, site.buildings, "building"
        for index, shift in enumerate(post.shifts):
            for person in shift.people:
                yield ("posts", name, "shifts", index, "people"), person, site.people, "person"
    for name, owner in site.owners.items():
        for person in owner.people:
            yield ("owners", name, "people"), person, site.people, "person"
    for index, route in enumerate(site.routes):
        for grid in route.grids:
            yield ("routes", index, "grids"), grid, site.grids, "grid"
        for one in route.owners:
            yield ("routes", index, "owners"), one, site.owners, "owner"


_WHAT = {"grid": phrase("grid"), "building": phrase("building"), "person": phrase("person"), "owner": phrase("owner")}


def _mistake(path: Path, where: tuple[Any, ...], why: Phrase) -> ConfigError:
    line = line_of(path.read_text(encoding="utf-8-sig"), where)
    return ConfigError("{path}:{line}: {where}: {why}", path=path, line=line, where=".".join(map(str, where)), why=why)
