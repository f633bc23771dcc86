"""F11: a city of 519 grids, 519 workers and 260,000 households: how late the feed is for 50 operators, how long pages take, and the console's memory.

Ten sites with their files; an edge for each grid, 26,000 devices of which one in a hundred is silent, 1,500 open alarms with their cases and 50,000 closed ones
with their logs, the shipped rules. First each page is asked for alone, for the processor time that it takes of the console. Then 50 pages of the feed are open and ten events
happen each second, while one browser asks for page after page, as who may see it. Answers are whole pages.

PROFILE_S, PROFILE_DEVICES, PROFILE_OPEN, PROFILE_CLOSED change it.
"""

import contextlib
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import httpx
import psutil
from sqlalchemy import insert, select

from console.rights import Role
from messages.ids import DeviceId, SiteId
from messages.kind import load_kinds
from rules.alarms.condition import alarm_id
from rules.language.library import load_rules
from rules.store import rows, versions
from rules.store import tables as db
from tests.bench import feed
from tests.bench.figure import Figure, percentile
from tests.console.block import PASSWORD, Block
from tests.console.browsing import hidden
from tests.integration.console_filling import NAME, Console, console, now_ms

SECONDS = int(os.environ.get("PROFILE_S", "60"))
DEVICES = int(os.environ.get("PROFILE_DEVICES", "26000"))
OPEN = int(os.environ.get("PROFILE_OPEN", "1500"))
CLOSED = int(os.environ.get("PROFILE_CLOSED", "50000"))
SITES, GRIDS, HOUSEHOLDS = 10, 519, 260_000
OPERATORS, EVENTS = 50, 10
LOGGED = 8
"""Lines of a closed case."""
AT_ONCE, BREATH_S = 250, 0.01
"""Rows of a transaction while the city is filled, and a moment after it, for the engine's pulse."""
ALONE = 3
"""Times that a page is asked for alone; the cheapest counts."""
RED = 20
"""One open alarm in so many is red: a wall lists 500 alarms at most, the red ones that wait longest first, and it is to show each event."""
SILENT = 100
"""One device in so many says nothing."""
OPERATOR = (
    *(
        "/",
        "/alarms/ID",
        "/cases/c-ID",
        "/map",
        "/map?site=site-3",
        "/cases",
        "/cases?q=g17",
        "/cases?state=closed",
        "/w/",
        "/w/cases/c-ID",
    ),
    *(f"/lists/{name}" for name in ("flood", "stale", "shelved", "suppressed", "chattering", "uncertain")),
    *(
        "/handover",
        "/keys",
        "/plant",
        "/devices",
        "/devices?q=1234",
        "/devices/site-0/pi-0/dev-0",
        "/rules",
        "/rules/gas_alarm",
    ),
    *("/quality", "/quality?site=site-3", "/roster", "/roster?site=site-3", "/drills", "/account"),
)
SUPERVISOR = ("/audit", "/audit?case=c-ID", "/audit?words=suppressed", "/audit?actor=lin")
ENGINEER = ("/labels", "/labels/sheet", "/quarantine", "/accounts", "/accounts/journal", "/audit?event=alarm.")
PAGES = {NAME: OPERATOR, "supervisor": SUPERVISOR, "engineer": ENGINEER}


def run() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as name, console(Path(name)) as running:
        for site in range(SITES):
            (Path(name) / "sites" / f"site-{site}.toml").write_text(_site(site), encoding="utf-8")
        opened = _fill(running.block)
        for role in get_args(Role):
            if role in PAGES:
                running.block.accounts.add(role, PASSWORD, role)
        feed.SECONDS, feed.EVENTS, feed.READERS = SECONDS, EVENTS, OPERATORS
        program = psutil.Process(running.service.process.pid if running.service.process else 0)
        over = threading.Event()
        times: dict[str, list[float]] = {}
        alone_s = dict(_alone(running, opened, program))
        asking = threading.Thread(target=_ask, args=(running, opened, times, over))
        with feed._readers(running, Path(name)) as readers:
            began_cpu_s = feed._cpu_s(program)
            asking.start()
            done = feed._load(running)
            readers.calm()
            time.sleep(feed.SETTLE_S)
            cpu_s, memory = feed._cpu_s(program) - began_cpu_s, program.memory_info().rss
            over.set()
            asking.join()
            heard = readers.finish()
    yield from feed.lateness(done, heard)
    for page, took_s in times.items():
        yield Figure(f"page {page} p95", percentile(took_s, 0.95) * 1000, "ms")
    for page, page_s in alone_s.items():
        yield Figure(f"page {page} processor time", page_s * 1000, "ms")
    yield Figure("console", cpu_s / (SECONDS + feed.SETTLE_S), "cores")
    yield Figure("console_memory", memory / 2**20, "MiB")


def _site(number: int) -> str:
    """Its grids with their workers, each of about 500 households."""
    lines = [f'name = {{ zh = "社区{number}", en = "Community {number}" }}']
    for grid in range(number, GRIDS, SITES):
        lines += [
            f'[grids.g{grid}]\nname = {{ zh = "第{grid}网格", en = "Grid {grid}" }}\nhouseholds = {HOUSEHOLDS // GRIDS}',
            f'[people.w{grid}]\nname = "网格员{grid}"\nphone = "138{grid:08}"',
            f'[posts.p{grid}]\nrole = "grid_worker"\ngrids = ["g{grid}"]\nshifts = [{{ people = ["w{grid}"] }}]',
        ]
    return "\n".join(lines) + "\n"


def _fill(block: Block) -> str:
    """Everything that there is when the run begins; one of the open alarms."""
    template = block.raise_alarm("template", latch=False)
    with block.database.reading() as connection:
        alarm = dict(connection.execute(select(db.alarms).where(db.alarms.c.id == template.id)).one()._mapping)
        case = dict(connection.execute(select(db.cases).where(db.cases.c.id == alarm["case"])).one()._mapping)
    edges: list[dict[str, Any]] = [
        {"site": f"site-{grid % SITES}", "edge": f"pi-{grid}", "online": True, "since_ms": now_ms() - 3_600_000}
        | {"last_reading_at_ms": now_ms() + 3_600_000, "clock_trusted": True}
        for grid in range(GRIDS)
    ]
    devices: list[dict[str, Any]] = [
        {"site": f"site-{number % GRIDS % SITES}", "edge": f"pi-{number % GRIDS}", "device": f"dev-{number}"}
        | {"kind": "waste_bin" if number % 2 else "gas_alarm", "model": "m", "settings": {}, "guards": not number % 2}
        | {"place": {"grid": f"g{number % GRIDS}", "building": str(number % 9), "text": f"{number}"}}
        for number in range(DEVICES)
    ]
    keys = ("site", "edge", "device")
    silent = [{key: one[key] for key in keys} | {"from_ms": now_ms() - 3_600_000} for one in devices[::SILENT]]
    versions.keep(block.database, load_rules(load_kinds()), now_ms())
    with block.database.writing() as connection:
        connection.execute(insert(db.edges), edges)
        connection.execute(insert(db.silences), silent)
    for first in range(0, DEVICES, AT_ONCE):
        with block.database.writing() as connection:
            connection.execute(insert(db.devices), devices[first : first + AT_ONCE])
        time.sleep(BREATH_S)
    some = [_alarm(number, alarm, case, is_open=number < OPEN) for number in range(OPEN + CLOSED)]
    for first in range(0, len(some), AT_ONCE):
        part = some[first : first + AT_ONCE]
        with block.database.writing() as connection:
            connection.execute(insert(db.cases), [one for _, one in part])
            connection.execute(insert(db.alarms), [one for one, _ in part])
            lines = [
                rows.Line(event, its["id"] if event.startswith("alarm") else None, its_case["id"], "rules", "bench")
                for its, its_case in part
                for event in ("alarm.raised", *["notify.queued"] * (1 if its["open"] else LOGGED - 1))
            ]
            for at in range(0, len(lines), AT_ONCE):
                rows.append(connection, lines[at : at + AT_ONCE], now_ms())
        time.sleep(BREATH_S)
    block.return_to_normal(template)
    block.desk.cancel(f"{alarm['case']}", actor="bench", at_ms=now_ms(), reason="test")
    return str(some[0][0]["id"])


def _alarm(
    number: int, alarm: dict[str, Any], case: dict[str, Any], *, is_open: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Copies of one alarm and its case, at their place and of their time."""
    grid, at_ms = number % GRIDS, now_ms() - (number * 1_000 if is_open else 86_400_000 + number * 50_000)
    site, device = SiteId(f"site-{grid % SITES}"), DeviceId(f"dev-{number % DEVICES}")
    name = alarm_id(site, device, "leak", at_ms)
    place = alarm["place"] | {"grid": f"g{grid}", "text": f"g{grid} {number}号"}
    times = dict.fromkeys(("raised_at_ms", "changed_at_ms", "known_at_ms", "since_ms", "flapped_at_ms"), at_ms)
    level = "red" if number % RED == 0 else ("blue", "yellow", "orange")[number % 3]
    its = {"id": name, "site": site, "device": device, "rule": "leak", "place": place, "level": level}
    ours = {"id": f"c-{name}", "site": site, "subject": device, "place": place, "level": level, "opened_at_ms": at_ms}
    ended = {"state": "closed", "closed_at_ms": at_ms + 600_000, "closed_by": "bench"}
    state = {"open": is_open, "state": alarm["state"] if is_open else "norm", "times": [at_ms], "case": f"c-{name}"}
    return alarm | its | times | state, case | ours | {"clock_from_ms": at_ms} | ({} if is_open else ended)


@contextlib.contextmanager
def _browser(running: Console, name: str) -> Iterator[httpx.Client]:
    """Logged in."""
    with httpx.Client(base_url=running.address, timeout=60) as client:
        token = hidden(client.get("/login").text, "token")
        client.post("/login", data={"token": token, "name": name, "password": PASSWORD})
        yield client


def _alone(running: Console, opened: str, program: psutil.Process) -> Iterator[tuple[str, float]]:
    """Seconds of the console's processor time for each page, when nothing else is asked of it; its own beat is in it."""
    for name, pages in PAGES.items():
        with _browser(running, name) as client:
            for page in pages:
                took_s = []
                for _ in range(ALONE):
                    began_s = feed._cpu_s(program)
                    _get(client, page, opened)
                    took_s.append(feed._cpu_s(program) - began_s)
                yield page, min(took_s)


def _ask(running: Console, opened: str, times: dict[str, list[float]], over: threading.Event) -> None:
    """One page after the other, as one browser of each account."""
    with contextlib.ExitStack() as stack:
        browsers = {name: stack.enter_context(_browser(running, name)) for name in PAGES}
        while not over.is_set():
            for name, pages in PAGES.items():
                for page in pages:
                    began_s = time.monotonic()
                    _get(browsers[name], page, opened)
                    times.setdefault(page, []).append(time.monotonic() - began_s)


def _get(client: httpx.Client, page: str, opened: str) -> None:
    answer = client.get(page.replace("ID", opened))
    assert answer.status_code == 200, f"{page}: {answer.status_code}"
