"""Whom who keeps accounts may keep: those whose sites and grids lie within his own, and never himself. Pure."""

from console.rights import Scope, User


def may_keep(keeper: User, other: User) -> bool:
    """Nobody changes his own rights: neither to have more of them, nor to shut himself out by mistake."""
    return keeper.may("accounts") and keeper.name != other.name and within(other.scope, keeper.scope)


def within(inner: Scope, outer: Scope) -> bool:
    """Whether every place of `inner` is one of `outer`."""
    if outer.sites and not (inner.sites and set(inner.sites) <= set(outer.sites)):
        return False
    if not outer.grids:
        return True
    return bool(inner.grids) and all(_grid_within(grid, inner, outer) for grid in inner.grids)


def _grid_within(grid: str, inner: Scope, outer: Scope) -> bool:
    if grid in outer.grids:
        return True
    if "/" in grid:
        return grid.partition("/")[2] in outer.grids
    return bool(inner.sites) and all(f"{site}/{grid}" in outer.grids for site in inner.sites)
