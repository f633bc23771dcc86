"""Which file of tests runs when, and beside which, where several run at a time.

A browser computes and asserts seconds, other real programs wait far longer than they compute, and the rest only computes. So each worker has its own sort
of file, longest first: one browser at a time, beside programs that are waited for; and what only computes has what they leave, and is nice to
them. Who has no more of his own sort takes of the others', the short ones first.
"""

import os
from collections import OrderedDict
from contextlib import suppress
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
    """Gives each worker the next file of its own sort, and goes on without one that died.

    The library's own way stands still then, for good (pytest-xdist 3.8, its issues 1323, 1327, 1371 and 1378): it hands out files with nothing left in
    them, and the test that killed a worker once more; and a worker with one test waits for a second before it begins.
    """

    workqueue: OrderedDict[str, dict[str, bool]]
    assigned_work: dict[WorkerController, dict[str, dict[str, bool]]]

    def _assign_work_unit(self, node: WorkerController) -> None:
        ours = sort_for(node.gateway.id, self.numnodes)
        self.workqueue.move_to_end(taken(list(self.workqueue), ours), last=False)
        with suppress(OSError):  # he is dead, which is not known here yet: what he was given comes back
            super()._assign_work_unit(node)

    def schedule(self) -> None:
        super().schedule()
        for node in self.nodes:  # a worker begins where it knows of a second test, or that there is none
            if self._pending_of(self.assigned_work[node]) < 2:
                self._reschedule(node)

    def _reschedule(self, node: WorkerController) -> None:
        if node in self.registered_collections:  # who comes in the place of a dead one does not know the tests at first
            super()._reschedule(node)

    def remove_node(self, node: WorkerController) -> str | None:
        """The test that a dead worker was at, which has failed; what it had still to do waits for the others, or for who comes in its place."""
        undone = unfinished(self.assigned_work.pop(node))
        if not undone:
            return None
        file, tests = next(iter(undone.items()))
        failed = next(iter(tests))
        del tests[failed]
        self.workqueue.update(undone if tests else {other: undone[other] for other in undone if other != file})
        for other in self.nodes:
            self._reschedule(other)
        return failed


def unfinished(files: dict[str, dict[str, bool]]) -> dict[str, dict[str, bool]]:
    """Of a worker's files, what is not done, in the order in which it was handed out."""
    left = {
        file: dict.fromkeys((test for test, done in tests.items() if not done), False) for file, tests in files.items()
    }
    return {file: tests for file, tests in left.items() if tests}


def begin(config: pytest.Config) -> None:
    """Of a worker: who only computes lets the others go first."""
    ours = getattr(config, "workerinput", None)
    if ours and sort_for(ours["workerid"], ours["workercount"]) is Sort.PURE:
        os.nice(NICE)
