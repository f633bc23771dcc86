"""Which file of tests runs when, and beside which, where several run at a time.

A browser computes and asserts seconds, other real programs wait far longer than they compute, and the rest only computes. So each worker has its own sort
of file, longest first: one browser at a time, beside programs that are waited for; and what only computes has what they leave, and is nice to
them. Who has no more of his own sort takes of the others', the short ones first.
"""

import os
from collections import OrderedDict
from enum import Enum
from functools import cache
from pathlib import Path

import pytest
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

TESTS = Path(__file__).parent
REAL = (TESTS / "integration", TESTS / "system")
LONGEST = (
    "test_phone_deceived",
    "test_nothing_is_lost",
    "test_operator_for_everybody",
    "test_edge_installer",
    "test_plant_browser",
    "test_edge_reload",
    "test_console_browser",
    "test_rules_service",
    "test_desk_deceived",
    "test_bus_link",
    "test_access_browser",
    "test_phone_offline",
    "test_phone_browser",
    "test_operator_browser",
)
"""What takes a minute or more begins: a long file at the end leaves a core idle. A name that is missing here costs a little time."""
NICE = 5
"""It gets a third of what another gets, where both want all."""


class Sort(Enum):
    """Of a file, by what its tests need."""

    BROWSER = 0
    PROGRAMS = 1
    PURE = 2


@cache
def sort_of(file: Path) -> Sort:
    if not any(folder in file.parents for folder in REAL):
        return Sort.PURE
    return Sort.BROWSER if "playwright" in file.read_text(encoding="utf-8") else Sort.PROGRAMS


def place(file: Path) -> tuple[bool, int]:
    """For sorting: those with real programs first, and of them the longest."""
    return sort_of(file) is Sort.PURE, LONGEST.index(file.stem) if file.stem in LONGEST else len(LONGEST)


def sort_for(worker: str, of: int) -> Sort | None:
    """Which sort is a worker's own; of two, each takes what comes."""
    number = int(worker.removeprefix("gw"))
    return Sort(number % len(Sort)) if of >= len(Sort) else None


def taken(row: list[str], ours: Sort | None) -> str:
    """Of the files that wait, the one that a worker of this sort takes next."""
    if not ours:
        return row[0]
    return next((name for name in row if sort_of(TESTS.parent / name) is ours), row[-1])


class Turns(LoadFileScheduling):  # type: ignore[misc]
    """Gives each worker the next file of its own sort."""

    workqueue: OrderedDict[str, dict[str, bool]]

    def _assign_work_unit(self, node: WorkerController) -> None:
        ours = sort_for(node.gateway.id, self.numnodes)
        self.workqueue.move_to_end(taken(list(self.workqueue), ours), last=False)
        super()._assign_work_unit(node)


def begin(config: pytest.Config) -> None:
    """Of a worker: who only computes lets the others go first."""
    ours = getattr(config, "workerinput", None)
    if ours and sort_for(ours["workerid"], ours["workercount"]) is Sort.PURE:
        os.nice(NICE)
