"""The desk writes down what was said on the telephone, in Chromium: on a phone and on a wall, in both languages, without a reload."""

import pytest
from playwright.sync_api import Page, expect

from rules.cases.acts import SAFE
from rules.records import CaseState
from tests.console.phones import now
from tests.console.test_phone_asked import SHE, asked_of
from tests.integration.console_filling import Console
from tests.integration.judging import PHONE, violations

pytestmark = pytest.mark.needs("chromium")


def test_an_operator_who_has_telephoned_presses_what_was_said_and_reads_that_it_counts(
    running: Console, page: Page
) -> None:
    case = asked_of(running.block)
    page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    page.goto(f"{running.address}/cases/{case.id}")
    page.evaluate("window.sameDocument = true")
    answer = page.locator("[data-part=answer]")
    answer.get_by_role("button", name="All is well").click()
    assert now(running.block, case).state is CaseState.REGISTERED, "nobody was named: the browser asks for it"
    answer.get_by_text("陈**").first.click()
    answer.get_by_role("button", name="No answer").click()
    expect(page.locator("[data-part=timeline]")).to_contain_text("No answer on the telephone", timeout=5000)
    answer.get_by_text("陈**").first.click()
    answer.get_by_role("button", name="All is well").click()
    expect(page.locator("[data-part=timeline]")).to_contain_text("All is well · 陈**, by telephone", timeout=5000)
    assert page.evaluate("window.sameDocument") is True
    done = now(running.block, case)
    assert (done.outcome, done.feedback_by) == (SAFE, SHE)


def test_axe_finds_nothing_where_it_is_asked_who_was_called(running: Console, page: Page) -> None:
    case = asked_of(running.block)
    assert violations(page, f"{running.address}/cases/{case.id}") == []
