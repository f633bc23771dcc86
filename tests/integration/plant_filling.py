"""A plant for browser tests: a console with a collector that answers, rules in force, devices, a quarantine and people of every role."""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from playwright.sync_api import Browser, BrowserContext, Page

from collector import web
from collector.intake.judge import Reason
from collector.quarantine.kept import Quarantine, Which
from collector.quarantine.web import Hands
from collector.web import Windows
from console.rights import Role
from messages.kind import load_kinds
from messages.pack import Fault
from messages.settings import Text
from rules.language.library import load_rules
from rules.store import versions
from tests.collector.test_quarantine import bad
from tests.console.block import PASSWORD
from tests.integration.console_filling import Console, console, now_ms
from tests.services import free_port

TOKEN = "a-secret-for-this-test"
MINUTE_MS = 60_000
PEOPLE: dict[str, Role] = {
    "wei": "engineer",
    "fang": "supervisor",
    "zhou": "operator",
    "lin": "worker",
    "wu": "worker",
    "sun": "auditor",
}
ENGINE = """
name = "rules-1"
database = "sqlite:///rules.db"
store = "sqlite:history.db"
site_files = "sites"
[broker]
host = "127.0.0.1"
"""


@dataclass
class Plant:
    """The console and what lies behind it."""

    console: Console
    quarantine: Quarantine

    @property
    def address(self) -> str:
        return self.console.address


@contextlib.contextmanager
def plant(folder: Path) -> Iterator[Plant]:
    quarantine = Quarantine(folder / "quarantine.db")
    (folder / "collector.token").write_text(TOKEN)
    (folder / "rules.toml").write_text(ENGINE)
    with serving(quarantine) as collector:
        more = f'collectors = ["{collector}"]\ncollector_token_file = "collector.token"\nrules = "rules.toml"\n'
        with console(folder, more) as running:
            _fill(running)
            yield Plant(running, quarantine)


def hold_bad_messages(quarantine: Quarantine) -> None:
    """Two that could not be stored; one of them would like to be a script."""
    quarantine.settle(
        [
            bad(b"\x00\xff<script>alert(1)</script>", Reason(Fault.MALFORMED, "<b>no JSON</b>")),
            bad(b"second", Reason(Fault.UNKNOWN_DEVICE, "pi-1 has not announced gas-9")),
        ]
    )


def _fill(running: Console) -> None:
    block, now = running.block, running.block.now_ms
    for name, role in PEOPLE.items():
        block.accounts.add(name, PASSWORD, role)
    versions.keep(block.database, load_rules(load_kinds()), now)
    block.announce("gas-1", kind="gas_alarm", place="3号楼2单元101厨房", guards=True)
    block.announce("cover-1", kind="manhole_cover", place="津泰路北侧检查井")
    block.announce("bin-1", place="小花园东侧垃圾桶")
    block.announce("door-1", kind="elderly_door", place="3号楼2单元301", guards=True)
    block.announce("lamp-7", kind="smart_pole", grid="grid-2", place="军门巷7号灯杆")
    block.fall_silent("lamp-7")
    block.measure(
        "gas-1",
        "gas_concentration",
        *((now - minute * MINUTE_MS, 12.0 if 10 <= minute < 20 else 1.5) for minute in range(60)),
    )
    block.raise_alarm("gas-1", limits={"gas_concentration": 10.0}, ago_ms=20_000)
    block.raise_alarm(
        "bin-1",
        level="yellow",
        kind="waste_bin",
        rule="full",
        place="小花园东侧垃圾桶",
        evidence={"fill": 96.0},
        title=Text(zh="垃圾桶满", en="Bin full"),
    )


@contextlib.contextmanager
def serving(quarantine: Quarantine) -> Iterator[str]:
    """A collector's own pages, served for real; its presence and ledger are those of one edge."""
    at_ms = now_ms()

    async def entries(after: int, most: int, which: Which) -> object:
        return quarantine.entries(after, most, which)

    async def entry(number: int) -> object:
        return quarantine.entry(number)

    async def drop(which: Which) -> int:
        return quarantine.drop(which)

    async def retry(which: Which) -> int:
        return 0

    async def counts() -> list[dict[str, object]]:
        return []

    seen = {"device": "gas-1", "kind": "gas_alarm", "state": "online", "newest_reading_ms": at_ms - 12_000}
    late = {"device": "bin-1", "kind": "waste_bin", "state": "late", "newest_reading_ms": at_ms - 4_000_000}
    present = {"site": "junmen", "edge": "pi-1", "state": "online", "heard_ms": at_ms, "devices": [seen, late]}
    account = {"site": "junmen", "edge": "pi-1", "produced": 123_456, "receipted": 123_400, "pending": 52, "dropped": 4}
    account |= {"stored": 123_398, "quarantined": 2, "late": 7, "doubled_packs": 0, "missing_packs": 0}
    account |= {"breach": None, "software": "gridcall 0.1.0", "dropped_for": {"full": 4}}
    account |= {"rejected_for": {"malformed": 1, "unknown-device": 1}, "outbox_bytes": 48_000}
    windows = Windows(
        metrics=lambda: b"",
        troubles=lambda: (),
        remarks=lambda: (),
        presence=lambda: [present],
        ledger=lambda: [account],
        quarantine=counts,
        hands=Hands(TOKEN, entries=entries, entry=entry, retry=retry, drop=drop),  # type: ignore[arg-type]
    )
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(web.app(windows), lifespan="off", log_config=None))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [web.bound("127.0.0.1", port)]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)


def person(chromium: Browser, address: str, name: str, **more: object) -> tuple[BrowserContext, Page]:
    """A browser of her own, in which somebody has logged in."""
    context = chromium.new_context(**{"locale": "en-GB", "reduced_motion": "reduce", **more})  # type: ignore[arg-type]
    page = context.new_page()
    log_in(page, address, name)
    return context, page


def log_in(page: Page, address: str, name: str) -> None:
    """By the form, which is opened if it isn't there."""
    if "/login" not in page.url:
        page.goto(f"{address}/login")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(lambda url: "/login" not in url)
