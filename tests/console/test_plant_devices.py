"""Devices, edges and the quarantine: what is shown to whom, with a collector's real pages and without any."""

import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn

from collector import web
from collector.intake.judge import Reason
from collector.quarantine.kept import Quarantine, Which
from collector.quarantine.web import Hands
from collector.web import Windows
from console.accounts import Accounts
from console.rights import EVERYWHERE, Scope
from messages.pack import Fault
from tests import services
from tests.collector.test_quarantine import bad
from tests.console.block import NOON_MS, PASSWORD, Block
from tests.console.browsing import hidden, log_in

TOKEN = "a-secret-for-this-test"


@pytest.fixture
def quarantine(tmp_path: Path) -> Quarantine:
    made = Quarantine(tmp_path / "quarantine.db")
    made.settle(
        [
            bad(b'\x00\xff<script>alert("x")</script>\xe2\x80\xae', Reason(Fault.MALFORMED, "<b>no JSON</b>")),
            bad(b"second", Reason(Fault.UNKNOWN_DEVICE, "pi-1 has not announced gas-9")),
        ]
    )
    return made


async def test_a_device_shows_its_alarm_however_many_graver_ones_are_open(
    junmen: Block, browser: httpx.AsyncClient
) -> None:
    junmen.announce("bin-1")
    for number in range(201):
        junmen.raise_alarm(f"gas-{number}")
    alarm = junmen.raise_alarm("bin-1", level="blue", kind="waste_bin", rule="full")
    await log_in(browser)
    assert f"/alarms/{alarm.id}" in (await browser.get("/devices/junmen/pi-1/bin-1")).text


@pytest.fixture
def collector(quarantine: Quarantine) -> Iterator[str]:
    """A collector's own pages, served for real; its presence and ledger are those of one edge."""
    port = services.free_port()

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

    seen = {"device": "gas-1", "kind": "gas_alarm", "state": "late", "newest_reading_ms": NOON_MS - 200_000}
    present = {"site": "junmen", "edge": "pi-1", "state": "online", "heard_ms": NOON_MS, "devices": [seen]}
    account = {"site": "junmen", "edge": "pi-1", "produced": 1234, "receipted": 1200, "pending": 30, "dropped": 4}
    account |= {"stored": 1200, "quarantined": 2, "late": 0, "doubled_packs": 0, "missing_packs": 0}
    account |= {"breach": None, "software": "gridcall 2.7", "dropped_for": {"full": 4}}
    windows = Windows(
        metrics=lambda: b"",
        troubles=lambda: (),
        remarks=lambda: (),
        presence=lambda: [present],
        ledger=lambda: [account],
        quarantine=counts,
        hands=Hands(TOKEN, entries=entries, entry=entry, retry=retry, drop=drop),  # type: ignore[arg-type]
    )
    server = uvicorn.Server(uvicorn.Config(web.app(windows), lifespan="off", log_config=None))
    listening = web.bound("127.0.0.1", port)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(60)


def with_collector(junmen: Block, address: str) -> AbstractAsyncContextManager[httpx.AsyncClient]:
    token = junmen.folder / "collector.token"
    token.write_text(TOKEN)
    more = {"collectors": [address], "collector_token_file": token}
    junmen.config = junmen.config.model_copy(update=more)
    return opened(junmen)


@asynccontextmanager
async def opened(junmen: Block) -> AsyncIterator[httpx.AsyncClient]:
    app = junmen.console()
    headers = {"accept": "text/html", "accept-language": "zh-CN"}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://console", headers=headers) as browser:
        yield browser
    app.state.parts.plant.close()


def engineer(accounts: Accounts, scope: Scope = EVERYWHERE) -> None:
    accounts.add("wei", PASSWORD, "engineer", scope)


async def test_edges_show_their_ledger_and_devices_their_age(junmen: Block, collector: str) -> None:
    junmen.add_device("gas-1", silent_from_ms=NOON_MS + 1000)
    async with with_collector(junmen, collector) as browser:
        await log_in(browser)
        page = (await browser.get("/devices")).text
    for words in ("1234", "gridcall 2.7", "full 4", "迟到", "3 分钟前", "gas-1", "12:00:00"):
        assert words in page, words


async def test_without_a_collector_the_page_says_what_the_engine_knows(junmen: Block) -> None:
    junmen.add_device("gas-1", silent_from_ms=NOON_MS - 1000)
    async with with_collector(junmen, f"http://127.0.0.1:{services.free_port()}") as browser:
        await log_in(browser)
        page = (await browser.get("/devices")).text
    assert "问不到采集服务" in page
    assert "没有数据" in page


async def test_a_device_shows_the_last_value_of_each_channel_and_marks_the_old_ones(junmen: Block) -> None:
    junmen.add_device("gas-1", silent_from_ms=NOON_MS + 1000)
    junmen.measure("gas-1", "gas_concentration", (NOON_MS - 86_400_000, 3.25))
    junmen.raise_alarm("gas-1")
    async with opened(junmen) as browser:
        await log_in(browser)
        page = (await browser.get("/devices/junmen/pi-1/gas-1")).text
        assert (await browser.get("/devices/junmen/pi-1/gas-77")).status_code == 404
    for words in ("3.25", "已过时", "1 天", "燃气泄漏"):
        assert words in page, words


async def test_devices_outside_an_accounts_place_are_not_there(junmen: Block) -> None:
    junmen.add_device("gas-1", silent_from_ms=NOON_MS + 1000)
    junmen.accounts.add("far", PASSWORD, "operator", Scope(("elsewhere",)))
    junmen.accounts.add("lin", PASSWORD, "worker")
    async with opened(junmen) as browser:
        await log_in(browser, "far")
        page = await browser.get("/devices")
        assert "gas-1" not in page.text
        assert "pi-1" not in page.text
        assert (await browser.get("/devices/junmen/pi-1/gas-1")).status_code == 404
    async with opened(junmen) as browser:
        await log_in(browser, "lin")
        assert (await browser.get("/devices")).status_code == 403


async def test_what_lies_in_quarantine_is_shown_as_text_that_nothing_obeys(junmen: Block, collector: str) -> None:
    engineer(junmen.accounts)
    async with with_collector(junmen, collector) as browser:
        await log_in(browser, "wei")
        listed = (await browser.get("/quarantine")).text
        shown = (await browser.get("/quarantine/0/1")).text
    assert "格式错误" in listed
    assert "<b>no JSON</b>" not in listed
    assert "&lt;script&gt;" in shown
    assert "<script>alert" not in shown
    assert "\\x00\\xff" in shown.replace("&#39;", "'")
    assert "\u202e" not in shown
    assert "\\u202e" in shown


async def test_dropping_leaves_the_others_and_stands_in_the_log_with_its_actor(
    junmen: Block, collector: str, quarantine: Quarantine
) -> None:
    engineer(junmen.accounts)
    async with with_collector(junmen, collector) as browser:
        await log_in(browser, "wei")
        token = hidden((await browser.get("/quarantine")).text, "token")
        assert (await browser.post("/quarantine/0/drop", data={"ids": "1"})).status_code == 403
        done = await browser.post("/quarantine/0/drop", data={"token": token, "ids": "1"})
        assert done.headers["location"] == "/quarantine?of=0&said=1"
    assert [entry.id for entry in quarantine.entries(0, 10)] == [2]
    (line,) = [line for line in junmen.desk.log_after(0) if line.event == "quarantine.dropped"]
    assert (line.actor, line.detail) == ("wei", "junmen: 1 of 1: 1")


async def test_quarantine_is_for_who_keeps_the_plant_of_its_site(
    junmen: Block, collector: str, quarantine: Quarantine
) -> None:
    engineer(junmen.accounts, Scope(("elsewhere",)))
    async with with_collector(junmen, collector) as browser:
        await log_in(browser, "wei")
        assert "格式错误</b>" not in (await browser.get("/quarantine")).text
        assert (await browser.get("/quarantine/0/1")).status_code == 404
        token = hidden((await browser.get("/quarantine")).text, "token")
        await browser.post("/quarantine/0/drop", data={"token": token, "ids": ["1", "2"]})
    assert quarantine.count() == 2
    async with with_collector(junmen, collector) as browser:
        await log_in(browser)  # an operator
        assert (await browser.get("/quarantine")).status_code == 403
