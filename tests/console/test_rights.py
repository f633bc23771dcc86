"""Who may do what, and where."""

import pytest

from console.rights import ROLES, Right, Role, Scope, User


@pytest.mark.parametrize(
    ("role", "right", "may"),
    [
        ("worker", "work", True),
        ("worker", "dispatch", False),
        ("worker", "people", False),
        ("operator", "dispatch", True),
        ("operator", "plant", False),
        ("engineer", "accounts", True),
        ("engineer", "work", False),
        ("engineer", "people", False),
        ("auditor", "audit", True),
        ("auditor", "work", False),
    ],
)
def test_a_role_may_what_its_work_needs_and_no_more(role: Role, right: Right, may: bool) -> None:
    assert User("x", role).may(right) is may


def test_everybody_sees_and_only_one_role_makes_accounts() -> None:
    assert all("see" in rights for rights in ROLES.values())
    assert [role for role, rights in ROLES.items() if "accounts" in rights] == ["engineer"]


@pytest.mark.parametrize(
    ("scope", "site", "grid", "covers"),
    [
        (Scope(), "junmen", "grid-1", True),
        (Scope(("junmen",)), "junmen", "grid-1", True),
        (Scope(("junmen",)), "other", "grid-1", False),
        (Scope(("junmen",), ("grid-1",)), "junmen", "grid-2", False),
        (Scope(("junmen",), ("grid-1",)), "junmen", None, True),
        (Scope((), ("junmen/grid-1",)), "junmen", "grid-1", True),
        (Scope((), ("junmen/grid-1",)), "other", "grid-1", False),
    ],
)
def test_a_scope_covers_its_sites_and_grids(scope: Scope, site: str, grid: str | None, covers: bool) -> None:
    assert scope.covers(site, grid) is covers
    assert User("x", "worker", scope).may_at("work", site, grid) is covers
    assert not User("x", "worker", scope).may_at("dispatch", site, grid)
