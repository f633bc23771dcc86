"""1,000 open feeds, 50 events/s: from an event's commit to the last page that was open then, what a break costs, gaps and repeats, and the console's share of a core.

The console is a process, the pages are another (`_feed_readers`). An event is a raise, a return to normal or the end of a case, each a transaction
of this process; so about 200 alarms are open. Each page breaks off now and then, comes back within two seconds and says how far it got. What every
page heard is held against what was done: each event once, in order. Beats come from the console each second.

Lateness is that of pages whose stream was open when the event was committed; that the server ends each stream now and then is its own affair and counts as
lateness too. A page that broke off by itself is another question: how long after it asked again it has all that had happened until then.

FEED_S, FEED_READERS and FEED_EVENTS change the seconds, the pages and the events/s.
"""

import contextlib
import math
import os
import pickle
import subprocess
import sys
import tempfile
import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from rules.records import Alarm
from tests.bench._feed_readers import ASKS, BROKE, OPEN, Heard, Page, Said
from tests.bench.figure import Figure, percentile
from tests.console.block import PASSWORD
from tests.console.browsing import hidden
from tests.integration.console_filling import Console, console, now_ms
from tests.services import ROOT

SECONDS = int(os.environ.get("FEED_S", "150"))
READERS = int(os.environ.get("FEED_READERS", "1000"))
PAGES_OF_A_LOGIN = 20
"""Fewer than a login may have: one that breaks off is back before the server knows that it has gone."""
EVENTS = int(os.environ.get("FEED_EVENTS", "50"))
BREAK_EVERY_S = 60.0
"""Of one page, on average."""
RAISE, RETURN, END = range(3)
AFTER = (0, 100, 200)
"""So many alarms later each of it is done: about 200 are open."""
SETTLE_S = 5.0


@dataclass(frozen=True)
class Done:
    """What was done, in order: what sort of event (RAISE, RETURN, END), with which alarm, and when it was committed (s, monotonic)."""

    events: list[tuple[int, str, float]] = field(default_factory=list)

    def note(self, sort: int, alarm: str) -> None:
        self.events.append((sort, alarm, time.monotonic()))


def run() -> Iterator[Figure]:
    with (
        tempfile.TemporaryDirectory() as name,
        console(Path(name)) as running,
        _readers(running, Path(name)) as readers,
    ):
        program = psutil.Process(running.service.process.pid if running.service.process else 0)
        time.sleep(SETTLE_S)
        idle = _cpu_s(program)
        time.sleep(5 * SETTLE_S)
        idle_share = (_cpu_s(program) - idle) / (5 * SETTLE_S)
        began, began_cpu_s = time.monotonic(), _cpu_s(program)
        done = _load(running)
        took_s, cpu_s = time.monotonic() - began, _cpu_s(program) - began_cpu_s
        readers.calm()
        time.sleep(SETTLE_S)
        memory = program.memory_info().rss
        heard = readers.finish()
    events = len(done.events)
    yield Figure("events", events / took_s, "events/s")
    yield Figure("pages", len(heard.pages), "pages")
    yield from _figures(done, heard)
    yield Figure("breaks", heard.breaks, "breaks")
    yield Figure("ends_by_the_server", heard.ends, "ends")
    yield Figure("refused", heard.refused, "streams")
    yield Figure("console_idle", idle_share, "cores")
    yield Figure("console", cpu_s / took_s, "cores")
    yield Figure("console_for_an_event_and_page", cpu_s / events / len(heard.pages) * 1e6, "us")
    written = sum(began <= at_s <= began + took_s for page in heard.pages for at_s in page.at_s)
    yield Figure("console_for_a_message_to_a_page", cpu_s / written * 1e6, "us")
    yield Figure("largest_step", max(one.size for one in heard.said if one.event == "step"), "bytes")
    yield Figure("largest_beat", max(one.size for one in heard.said if one.event == "beat"), "bytes")
    yield Figure("readers", heard.cpu_s / (took_s + 7 * SETTLE_S), "cores")
    yield Figure("console_memory", memory / 2**20, "MiB")


@dataclass
class Readers:
    """The process of the pages."""

    process: subprocess.Popen[str]
    file: Path

    def calm(self) -> None:
        """No page breaks off any more, and all are back."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write("calm\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "calm\n"

    def finish(self) -> Heard:
        self.process.communicate("", timeout=120)
        assert self.process.returncode == 0
        heard = pickle.loads(self.file.read_bytes())
        assert isinstance(heard, Heard)
        return heard


@contextlib.contextmanager
def _readers(running: Console, folder: Path) -> Iterator[Readers]:
    logins = [_log_in(running, f"desk {number}") for number in range(math.ceil(READERS / PAGES_OF_A_LOGIN))]
    words = map(str, (running.service.port, READERS, BREAK_EVERY_S, folder / "heard"))
    command = [sys.executable, "-m", "tests.bench._feed_readers", *words]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdin
        assert process.stdout
        process.stdin.write("\t".join(logins) + "\n")
        process.stdin.flush()
        assert process.stdout.readline() == "open\n"
        yield Readers(process, folder / "heard")
    finally:
        process.kill()
        process.wait()


def _log_in(running: Console, name: str) -> str:
    """The cookies of somebody who has logged in."""
    running.block.accounts.add(name, PASSWORD)
    with httpx.Client(base_url=running.address, timeout=20) as client:
        token = hidden(client.get("/login").text, "token")
        client.post("/login", data={"token": token, "name": name, "password": PASSWORD})
        return "; ".join(f"{cookie}={value}" for cookie, value in client.cookies.items())


def _load(running: Console) -> Done:
    block, done, alarms = running.block, Done(), list[Alarm]()
    began_s, number = time.monotonic(), 0
    while time.monotonic() - began_s < SECONDS:
        turn, sort = divmod(number, 3)
        number += 1
        if turn < AFTER[sort]:
            continue
        block.now_ms = now_ms()
        if sort == RAISE:
            alarm = block.raise_alarm(f"bench-{turn}", latch=False)
            alarms.append(alarm)
        else:
            alarm = alarms[turn - AFTER[sort]]
        if sort == RETURN:
            block.return_to_normal(alarm)
        elif sort == END:
            assert alarm.case
            block.desk.cancel(alarm.case.id, actor="bench", at_ms=block.now_ms, reason="test")
        done.note(sort, alarm.id)
        time.sleep(max(0.0, began_s + len(done.events) / EVENTS - time.monotonic()))
    return done


def _figures(done: Done, heard: Heard) -> Iterator[Figure]:
    told = _told(done, heard.said)
    wrong = [_wrong(page, told, len(done.events)) for page in heard.pages]
    yield Figure("gaps", sum(gaps for gaps, _, _ in wrong), "events")
    yield Figure("repeats", sum(repeats for _, repeats, _ in wrong), "events")
    yield Figure("not_yet_heard_at_the_end", sum(behind for _, _, behind in wrong), "events")
    whole = [number for number, one in enumerate(heard.said) if one.whole]
    lists = sum(page.heard.count(number) for page in heard.pages for number in whole) - len(heard.pages)
    yield Figure("whole_lists_after_a_break", lists, "lists")
    yield from lateness(done, heard)
    behind_s = _catching_up(done, heard, told)
    yield Figure("breaks_in_which_something_was_missed", len(behind_s), "breaks")
    yield from _spread("after_a_break", behind_s)
    yield Figure("longest_between_beats", max(_between_beats(page, heard.said) for page in heard.pages), "s")


def lateness(done: Done, heard: Heard) -> Iterator[Figure]:
    """Of events that a step has told: until one page after the other had them, and until the last page that was open when it was committed."""
    found = {(sort, alarm): number for number, (sort, alarm, _) in enumerate(done.events)}
    steps = [[] if one.whole else _events(found, one) for one in heard.said]
    every, last_s = list[float](), defaultdict[int, float](float)
    for page in heard.pages:
        open_from_s = math.inf
        for number, at_s in zip(page.heard, page.at_s, strict=True):
            if number == BROKE:
                open_from_s = math.inf
            elif number == OPEN and open_from_s == math.inf:
                open_from_s = at_s
            for event in steps[number] if number >= 0 else ():
                committed_s = done.events[event][2]
                if committed_s >= open_from_s:
                    every.append(at_s - committed_s)
                    last_s[event] = max(last_s[event], at_s - committed_s)
    yield from _spread("to_a_page", every)
    yield from _spread("to_the_last_page", list(last_s.values()))


def _spread(case: str, some: list[float]) -> Iterator[Figure]:
    for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0)):
        if some:
            yield Figure(f"{case}_{name}", percentile(some, share) * 1000, "ms")


def _catching_up(done: Done, heard: Heard, told: list[tuple[int, int]]) -> list[float]:
    """Seconds, for each break in which a page missed something: from asking until it had all that was committed before it asked."""
    committed_s, found = [at_s for _, _, at_s in done.events], list[float]()
    for page in heard.pages:
        reached, wanted, asked_s, broken = 0, 0, 0.0, False
        for number, at_s in zip(page.heard, page.at_s, strict=True):
            if number == BROKE:
                broken = True
            elif number == ASKS and broken:
                wanted, asked_s, broken = bisect_right(committed_s, at_s), at_s, False
            elif number >= 0:
                behind, reached = reached < wanted, max(reached, told[number][1])
                if behind and reached >= wanted:
                    found.append(at_s - asked_s)
    return found


def _events(found: dict[tuple[int, str], int], said: Said) -> list[int]:
    """The numbers of what a message tells, as far as it was done here."""
    its = [found.get((RETURN if back else RAISE, alarm)) for alarm, back in said.now]
    its += [found.get((END, alarm)) for alarm in said.gone]
    return [number for number in its if number is not None]


def _told(done: Done, said: list[Said]) -> list[tuple[int, int]]:
    """Which events each message tells, from and up to; of a whole list, all until then."""
    found = {(sort, alarm): number for number, (sort, alarm, _) in enumerate(done.events)}
    told = list[tuple[int, int]]()
    for one in said:
        its = _events(found, one)
        if one.whole:
            told.append((0, _reached(done, one)))
        elif its:
            first, last = min(its), max(its)
            assert sorted(its) == list(range(first, last + 1)), "a step leaves out an event, or tells one twice"
            told.append((first, last + 1))
        else:
            told.append((0, 0))
    return told


def _reached(done: Done, listed: Said) -> int:
    """After how many events exactly this was open."""
    now, wanted = dict[str, bool](), dict(listed.now)
    for number, (sort, alarm, _) in enumerate(done.events):
        if now == wanted:
            return number
        if sort == END:
            del now[alarm]
        else:
            now[alarm] = sort == RETURN
    assert now == wanted, "a list of what was never open together"
    return len(done.events)


def _wrong(page: Page, told: list[tuple[int, int]], events: int) -> tuple[int, int, int]:
    """Events that the page missed, that it heard again, and that were still to come when the run ended."""
    reached = gaps = repeats = 0
    for number in page.heard:
        if number < 0:
            continue
        first, end = told[number]
        if first == end:
            continue
        if first:
            gaps += max(0, first - reached)
            repeats += max(0, min(end, reached) - first)
        reached = max(reached, end)
    return gaps, repeats, events - reached


def _between_beats(page: Page, said: list[Said]) -> float:
    """The longest that a page waited for a beat while it was open."""
    before_s, longest_s = math.inf, 0.0
    for number, at_s in zip(page.heard, page.at_s, strict=True):
        if number in (BROKE, ASKS):
            before_s = math.inf
        elif number == OPEN:
            before_s = at_s
        elif said[number].event == "beat":
            longest_s, before_s = max(longest_s, at_s - before_s), at_s
    return longest_s


def _cpu_s(program: psutil.Process) -> float:
    times = program.cpu_times()
    return times.user + times.system
