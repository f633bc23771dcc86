"""The rules in words, their versions, what they raised and would have raised; and a changed text tried over the past beside those in use."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Form
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from console.plant import dry_runs
from console.plant.dry_runs import MOST_DAYS, MOST_TEXT, Busy, DryRun, DryRuns
from console.plant.frame import show
from console.plant.sentences import lasting, spoken, valued
from console.script import found_in
from console.visit import LoggedIn, NotAllowed, OurForm, Visit, elsewhere, needs
from rules import chronicle, rulebook
from rules.backtest.reasons import NOTE, WHY
from rules.engine import own
from rules.rulebook import Version

LATELY_MS = 30 * 86_400_000

router = APIRouter(dependencies=[needs("report")])


@router.get("/rules")
def rules(visit: LoggedIn, q: str = "", level: str = "", shadow: bool = False) -> Response:
    every = [one for one in rulebook.versions(visit.parts.desk.database) if one.in_force]
    chosen = [
        one
        for one in every
        if level in ("", one.level)
        and (not shadow or one.shadow)
        and found_in(q, one.kind, one.rule, *map(str, one.text["title"].values()))
    ]
    return show(visit, "rules.html", **_common(visit), rules=chosen, asked={"q": q, "level": level}, shadow=shadow)


@router.get("/rules/{kind}")
def kind(visit: LoggedIn, kind: str) -> Response:
    every = rulebook.versions(visit.parts.desk.database, kind)
    if not every:
        raise HTTPException(404)
    path = rulebook.file_of(kind, visit.parts.plant.rule_folders)
    # what an engine says of the links of edges is in no history
    tries = kind != own.LINK and _may_try(visit) and visit.parts.plant.dry_runs is not None
    return show(
        visit,
        "kind.html",
        **_common(visit),
        kind=kind,
        rules=[one for one in every if one.in_force],
        earlier=[one for one in every if not one.in_force],
        own=visit.parts.desk.alarms(sites=visit.user.scope.sites, grids=visit.user.scope.grids, kind=kind),
        text=path.read_text(encoding="utf-8") if path and tries else None,
        tries=tries,
        sites=visit.user.scope.sites or sorted({alarm.site for alarm in visit.parts.desk.edges(visit.now_ms)}),
        runs=[run for run in _runs(visit) if run.kind == kind],
        most_days=MOST_DAYS,
    )


@router.post("/dry-runs", dependencies=[needs("rules"), OurForm])
def start(
    visit: LoggedIn,
    kind: Annotated[str, Form()] = "",
    text: Annotated[str, Form()] = "",
    days: Annotated[int, Form()] = 7,
    site: Annotated[str, Form()] = "",
) -> Response:
    if site:
        visit.need("rules", site)
    if not _may_try(visit):
        raise NotAllowed
    path = rulebook.file_of(kind, visit.parts.plant.rule_folders)
    if path is None or not 1 <= days <= MOST_DAYS or len(text) > MOST_TEXT:
        raise HTTPException(400)
    written = text.replace("\r\n", "\n")
    run = DryRun(
        id=dry_runs.new_id(),
        actor=visit.user.name,
        kind=kind,
        days=days,
        sites=(site,) if site else visit.user.scope.sites,
        text=None if written.strip() in ("", path.read_text(encoding="utf-8").strip()) else written,
        began_ms=visit.now_ms,
    )
    try:
        _tries(visit).start(run)
    except Busy:
        return show(visit, "dry_run.html", 409, complaint=visit.words("rules.busy"), run=None, **_common(visit))
    words = f"{' '.join(run.sites) or '*'}: {kind}, {days} d"
    chronicle.write(visit.parts.desk.database, "rule.tried", visit.user.name, words, visit.now_ms)
    return elsewhere(f"/dry-runs/{run.id}")


@router.get("/dry-runs/{run_id}", dependencies=[needs("rules")])
def dry_run(visit: LoggedIn, run_id: str) -> Response:
    run = _run(visit, run_id)
    every = rulebook.versions(visit.parts.desk.database, run.kind)
    titles = {f"{one.kind}.{one.rule}": one.text["title"] for one in reversed(every)}
    return show(
        visit,
        "dry_run.html",
        run=run,
        counted=_counted(run.result),
        rule_title=lambda name: titles.get(name, {}).get(visit.language, ""),
        why_said=lambda why: WHY[why].said(visit.language),
        note=NOTE.said(visit.language),
        **_common(visit),
    )


def _counted(result: Mapping[str, Any]) -> dict[str, dict[str, list[int]]]:
    """Alarms by rule, by day and by grid, and what else is counted: of each the count in every course."""
    courses = result.get("courses", [])
    days = {day: [_on(course, day) for course in courses] for day in result.get("days", [])}
    rules = sorted({name for course in courses for name in course["by_rule"]})
    grids = sorted({name for course in courses for name in course["by_grid_and_day"]})
    return {
        "rule": {name: [course["by_rule"].get(name, 0) for course in courses] for name in rules},
        "day": days,
        "besides": {
            "stood_before": [course["stood_before"] for course in courses],
            "flapping": [len(course["flapping"]) for course in courses],
            "stood_long": [len(course["standing"]) for course in courses],
        },
        "grid": {name: [sum(course["by_grid_and_day"].get(name, {}).values()) for course in courses] for name in grids},
    }


def _on(course: Mapping[str, Any], day: str) -> int:
    return sum(counts.get(day, 0) for counts in course["by_grid_and_day"].values())


@router.post("/dry-runs/{run_id}/stop", dependencies=[needs("rules"), OurForm])
def stop(visit: LoggedIn, run_id: str) -> Response:
    _tries(visit).stop(_run(visit, run_id))
    return elsewhere(f"/dry-runs/{run_id}")


def _tries(visit: Visit) -> DryRuns:
    if (tries := visit.parts.plant.dry_runs) is None:
        raise HTTPException(404)
    return tries


def _may_try(visit: Visit) -> bool:
    """A dry run is of whole sites: what it would raise is told of every grid."""
    return visit.user.may("rules") and not visit.user.scope.grids


def _runs(visit: Visit) -> list[DryRun]:
    """Those of the account's sites; of all sites, for who counts everywhere."""
    tries = visit.parts.plant.dry_runs if _may_try(visit) else None
    sites = visit.user.scope.sites
    return [run for run in (tries.runs() if tries else ()) if not sites or (run.sites and set(run.sites) <= set(sites))]


def _run(visit: Visit, run_id: str) -> DryRun:
    found = next((run for run in _runs(visit) if run.id == run_id), None)
    if found is None:
        raise HTTPException(404)
    return found


def _common(visit: Visit) -> dict[str, Any]:
    words = visit.words

    def sentence(one: Version, source: str) -> str:
        return spoken(source, one.settings, one.channels, words, lambda name: visit.parts.fragments.named(name, words))

    return {
        "raised": rulebook.raised(visit.parts.desk.database, visit.now_ms - LATELY_MS, visit.user.scope.sites),
        "kind_name": lambda name: words.of(its.name) if (its := visit.parts.fragments.kind(name)) else name,
        "spoken": sentence,
        "lasting": lambda one, delay: lasting(delay, one.settings, words),
        "valued": lambda setting: valued(setting, words),
        "said": lambda text: text.get(words.language, "") if text else "",
    }
