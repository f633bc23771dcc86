"""No page of the operators breaks a rule of WCAG that axe-core can judge."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Page

from messages.settings import Text
from tests.integration.console_filling import Console, console
from tests.integration.judging import complaints, violations
from tests.integration.test_console_browser import Window, chromium

pytestmark = pytest.mark.needs("chromium")
__all__ = ["chromium"]


@dataclass
class Desk:
    """A browser that is logged in, before a block in which everything goes on."""

    page: Page
    address: str
    addresses: dict[str, str]


@pytest.fixture(scope="module")
def desk(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with console(tmp_path_factory.mktemp("desk")) as running:
        addresses = fill(running)
        context = chromium.new_context(locale="en-GB")
        window = Window(context.new_page(), running.address)
        window.log_in()
        yield Desk(window.page, running.address, addresses)
        context.close()


def fill(running: Console) -> dict[str, str]:
    block = running.block
    gas = block.raise_alarm(limits={"gas_concentration": 10.0}, advice=Text(zh="开窗", en="Open the windows"))
    block.raise_alarm("bin-1", level="yellow", kind="waste_bin", title=Text(zh="垃圾桶满", en="Bin full"))
    assert gas.case
    return {"alarm": f"/alarms/{gas.id}", "case": f"/cases/{gas.case.id}"}


PAGES = ["/", "/map", "/cases", "/lists/flood", "/lists/shelved", "/handover", "/keys", "alarm", "case"]


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_on_a_page_of_the_operators(desk: Desk, name: str) -> None:
    assert violations(desk.page, desk.address + desk.addresses.get(name, name)) == []


def test_axe_finds_what_is_wrong(desk: Desk) -> None:
    """Else the tests above would say nothing."""
    desk.page.goto(f"{desk.address}/keys")
    desk.page.evaluate("document.querySelector('label:has(#keys-switch)').outerHTML = '<input>'")
    assert any(line.startswith("label: ") for line in complaints(desk.page))
