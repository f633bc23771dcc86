"""The worker's phone in Chromium, before a console that runs: somebody logged in on it, a case of his own, and what he does there."""

import base64
import uuid
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect

from console.rights import Scope
from rules.records import Case
from tests.console.block import PASSWORD
from tests.integration.console_filling import Console, console

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYPj/HwADAgH/p9sTLwAAAABJRU5ErkJggg=="
)
PHONE: ViewportSize = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """One for all: each test has a case of its own."""
    with console(tmp_path_factory.mktemp("console")) as started:
        for name in ("lin", "wu"):
            started.block.accounts.add(name, PASSWORD, "worker", Scope(("junmen",), ("grid-1",)))
        yield started


def phone(chromium: Browser, running: Console, name: str | None = "lin", *, worker: bool = True) -> BrowserContext:
    """A phone, with somebody logged in; `worker`: its browser can keep pages."""
    context = chromium.new_context(
        locale="zh-CN",
        viewport=PHONE,
        is_mobile=True,
        has_touch=True,
        service_workers="allow" if worker else "block",
    )
    if name:
        log_in(context, running, name).close()
    return context


def log_in(context: BrowserContext, running: Console, name: str) -> Page:
    page = context.new_page()
    page.goto(f"{running.address}/login")
    page.get_by_label("姓名").fill(name)
    page.get_by_label("密码").fill(PASSWORD)
    page.get_by_role("button", name="登录").click()
    expect(page.get_by_role("heading", name="我的工单")).to_be_visible()
    return page


def case_of(running: Console) -> Case:
    name = f"gas-{uuid.uuid4().hex[:8]}"
    case = running.block.raise_alarm(name, place=name).case
    assert case
    return case


def opened(context: BrowserContext, address: str) -> Page:
    """A page that the browser's worker has in its care, and has kept."""
    page = context.new_page()
    page.goto(address)
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    page.wait_for_function("caches.open('gridcall-pages').then((c) => c.match(location.pathname)).then(Boolean)")
    return page


def press(page: Page, name: str) -> None:
    page.locator(".bar:visible").get_by_role("button", name=name).click()


def finish(page: Page, photo: bytes = PNG) -> None:
    page.locator(".bar:visible").get_by_role("link", name="处置完成").click()
    page.get_by_label("已修复").check()
    page.locator("[data-photo]").set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": photo})
    expect(page.locator(".photo img")).to_be_attached()
    page.get_by_role("button", name="提交 · 处置完成").click()


def acts(running: Console, case: Case) -> list[tuple[str, str]]:
    """Of people, in order."""
    lines = running.block.desk.log_of_case(case.id)
    return [(line.event, line.actor) for line in lines if line.event.startswith("case.") and line.actor != "rules"]
