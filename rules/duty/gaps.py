"""Holes in a roster, found before the night does: spans in which nobody would be called on a step. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from messages.alarm import Level
from messages.announcement import Place
from rules.duty.roll import home
from rules.duty.roster import UNCHANGED, Changes, edges_ms
from rules.duty.routing import Situation, Step, steps
from rules.duty.site import Route, Site

ANY_KIND = "any"
"""A kind that no route names: what is left to the last one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Nobody is on duty on a step."""

    grid: str
    step: int
    wanted: tuple[str, ...]
    kinds: tuple[str, ...]
    """Whose calls would find nobody; empty: any."""
    level: Level
    from_ms: int
    until_ms: int


def gaps(site: Site, routes: tuple[Route, ...], from_ms: int, until_ms: int, changes: Changes = UNCHANGED) -> list[Gap]:
    """The spans without anybody, for every grid and every route that could be taken there; the first ones first.

    A third step that is empty is none: departments that never gave anybody are asked by their own ways.
    """
    moments = edges_ms(site, site.posts.values(), changes, from_ms, until_ms)
    found: list[Gap] = []
    for grid in site.grids:
        for situation, kinds in _situations(site, routes, grid):
            open_: dict[int, Gap] = {}
            for begins, ends in pairwise(moments):
                empty = {step.number: step for step in steps(site, routes, situation, begins, changes) if _lacks(step)}
                found += [open_.pop(number) for number in list(open_) if number not in empty]
                for number, step in empty.items():
                    before = open_.get(number)
                    open_[number] = Gap(
                        grid=grid,
                        step=number,
                        wanted=step.wanted,
                        kinds=kinds,
                        level=situation.level,
                        from_ms=before.from_ms if before else begins,
                        until_ms=ends,
                    )
            found += open_.values()
    return sorted(_merged(found), key=lambda gap: (gap.from_ms, gap.grid, gap.step))


def unasked(site: Site) -> list[str]:
    """The households of which nobody can be asked how all is: neither the resident nor a contact has a number or an address."""
    homes = {name: home(name, one) for name, one in site.households.items() if one.devices}
    return [name for name, its in homes.items() if not its.resident and not its.contacts]


def _lacks(step: Step) -> bool:
    return step.number < 3 and not step.people


def _situations(site: Site, routes: tuple[Route, ...], grid: str) -> Iterator[tuple[Situation, tuple[str, ...]]]:
    """One situation for each route that may be taken in a grid."""
    for route in (*site.routes, *routes):
        if route.grids and grid not in route.grids:
            continue
        yield (
            Situation(
                kind=route.kinds[0] if route.kinds else ANY_KIND,
                level=route.levels[0] if route.levels else "red",
                place=Place(grid=grid, text=grid),
                owner=route.owners[0] if route.owners else None,
            ),
            tuple(route.kinds),
        )


def _merged(found: list[Gap]) -> list[Gap]:
    """The same hole is said once, for all kinds whose route leads into it."""
    same: dict[tuple[str, int, int, int], Gap] = {}
    for gap in found:
        key = (gap.grid, gap.step, gap.from_ms, gap.until_ms)
        known = same.setdefault(key, gap)
        same[key] = replace(
            known,
            wanted=tuple(dict.fromkeys((*known.wanted, *gap.wanted))),
            kinds=tuple(dict.fromkeys((*known.kinds, *gap.kinds))) if known.kinds and gap.kinds else (),
        )
    return list(same.values())
