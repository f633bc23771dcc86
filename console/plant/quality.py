"""How good a month's alarms were, by ISA-18.2: figures beside their guidance, to read, to print, and as a sheet."""

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date

from fastapi import APIRouter
from fastapi.responses import Response, StreamingResponse
from starlette.exceptions import HTTPException

from console.operator.names import sites_of
from console.plant.frame import show
from console.plant.moments import day_ms, month_before, month_of, next_month
from console.visit import LoggedIn, Visit, needs
from messages.ids import SiteId
from rules import rulebook
from rules.language.calendar import Calendar
from rules.quality import gathering
from rules.quality.figures import DAY_MS, FLOODED_SLOTS, PER_DAY, PER_SLOT, PRIORITIES, STANDING, Quality
from rules.quality.people import doings
from rules.quality.report import few

router = APIRouter(dependencies=[needs("report")])


@dataclass(frozen=True, slots=True)
class Month:
    """A month by the site's clock, or what of it has been."""

    first: date
    from_ms: int
    to_ms: int

    @property
    def text(self) -> str:
        return f"{self.first:%Y-%m}"


@router.get("/quality")
def quality(visit: LoggedIn, month: str = "", site: str = "") -> Response:
    span, sites = _month(visit, month), _sites(visit, site)
    shown = site or next(iter(sites), "")
    found = _found(visit, span, SiteId(shown)) if shown else []
    database, listed = visit.parts.desk.database, sites_of(visit)
    return show(
        visit,
        "quality.html",
        month=span,
        before=f"{month_before(span.first):%Y-%m}",
        after=f"{next_month(span.first):%Y-%m}",
        is_last=day_ms(next_month(span.first), _clock(visit)) > visit.now_ms,
        site=shown,
        sites=sites,
        found=found,
        people={one.site: doings(database, SiteId(one.site), span.from_ms, span.to_ms) for one in found},
        guide={"per_day": PER_DAY, "per_slot": PER_SLOT, "flooded": FLOODED_SLOTS, "standing": STANDING},
        priorities=PRIORITIES,
        seconds=lambda seconds: "—" if seconds is None else visit.words.span(round(seconds * 1000)),
        percent=lambda share: f"{share:.1%}",
        few=few,
        site_named=lambda one: visit.words.of(listed[one].name) if one in listed else one,
        is_short=lambda one: one.to_ms - one.from_ms < DAY_MS,
        rule_name=_rule_names(visit, found),
    )


def _rule_names(visit: Visit, found: list[Quality]) -> Callable[[str, str], str]:
    """What the rules of some figures are called, by kind and rule; one that is gone keeps its id."""
    kinds = {again.kind for one in found for again in one.repeaters}
    kinds |= {still.kind for one in found for still in one.standing}
    every = [version for kind in kinds for version in rulebook.versions(visit.parts.desk.database, kind)]
    titles = {(one.kind, one.rule): one.text["title"] for one in reversed(every)}
    return lambda kind, rule: str(titles.get((kind, rule), {}).get(visit.language, rule))


@router.get("/quality.csv")
def export(visit: LoggedIn, month: str = "", site: str = "") -> Response:
    span = _month(visit, month)
    sites = [name for name in _sites(visit, site) if site in ("", name)]
    headers = {"content-disposition": f'attachment; filename="quality-{span.text}.csv"'}
    return StreamingResponse(_sheet(visit, span, sites), media_type="text/csv; charset=utf-8", headers=headers)


def _sheet(visit: Visit, month: Month, sites: list[SiteId]) -> Iterator[str]:
    """A site at a time."""
    yield "\ufeffsite,part,name,figure,value,guidance\r\n"
    for site in sites:
        out = io.StringIO()
        for one in _found(visit, month, site):
            csv.writer(out, lineterminator="\r\n").writerows(
                (one.site, *(f"'{cell}" if cell.startswith(("=", "+", "-", "@")) else cell for cell in row))
                for row in _rows(one)
            )
        yield out.getvalue()


def _rows(one: Quality) -> Iterator[tuple[str, str, str, str, str]]:
    yield "site", "", "days", f"{(one.to_ms - one.from_ms) / DAY_MS:.3f}", ""
    yield "site", "", "alarms", str(one.alarms), ""
    yield "site", "", "kept quiet", str(one.quiet), ""
    yield "site", "", "rings per operator and day", f"{one.rate.per_day:.3f}", f"{PER_DAY:g}"
    yield "site", "", "rings per operator and ten minutes", f"{one.rate.per_slot:.4f}", f"{PER_SLOT:g}"
    yield "site", "", "share of ten-minute slots with more than ten", f"{one.rate.flooded:.5f}", f"{FLOODED_SLOTS:g}"
    yield "site", "", "floods", str(one.floods), ""
    yield "site", "", "standing for a day", str(one.standing_count), f"fewer than {STANDING}"
    for name, share in one.priorities.items():
        yield "priority", name, "share", f"{share:.4f}", f"{PRIORITIES[name]:g}"
    for grid, rate in one.grids.items():
        yield "grid", grid, "rings a day", f"{rate.per_day:.3f}", ""
        yield "grid", grid, "most in ten minutes", f"{rate.most_in_slot:g}", ""
    for again in one.repeaters:
        yield "device", f"{again.device} {again.rule}", "times", str(again.occurrences), ""
    for false in one.false:
        yield "model", false.model, "share of false alarms", f"{false.share:.4f}", ""
    for name, some in (("acknowledge", one.acknowledge), ("accept", one.accept), ("close", one.close)):
        yield "time", name, "median s", "" if some.median_s is None else f"{some.median_s:.1f}", ""
        yield "time", name, "p95 s", "" if some.p95_s is None else f"{some.p95_s:.1f}", ""


def _sites(visit: Visit, asked: str) -> list[SiteId]:
    """Those that the account may see, the one that is asked for among them."""
    sites = [one for one in gathering.sites(visit.parts.desk.database) if visit.user.may_at("report", one)]
    if asked and asked not in sites:
        raise HTTPException(404)
    return sites


def _found(visit: Visit, month: Month, site: SiteId) -> list[Quality]:
    """One site, or nothing if there is nothing to say. It takes as long as the site's month has alarms."""
    database, operators = visit.parts.desk.database, visit.parts.plant.operators
    return gathering.qualities(database, month.from_ms, month.to_ms, operators=operators, only=[site])


def _month(visit: Visit, text: str) -> Month:
    clock = _clock(visit)
    first = month_of(text) or clock.local(visit.now_ms).date().replace(day=1)
    from_ms = day_ms(first, clock)
    return Month(first, from_ms, max(from_ms + 1, min(day_ms(next_month(first), clock), visit.now_ms)))


def _clock(visit: Visit) -> Calendar:
    return Calendar(zone=visit.parts.config.zone)
