"""What is done on the worker's phone without a network is done once, whoever else was quicker and whatever dies meanwhile (F9 of the field notes)."""

import contextlib
import hashlib
import re
import time
from pathlib import Path

import httpx
import psutil
import pytest
from playwright.sync_api import Browser, BrowserContext, Route, expect
from sqlalchemy import update

from rules.notices import links
from rules.store import tables as db
from tests.console.block import PASSWORD
from tests.integration.browsing import ARGUMENTS
from tests.integration.console_filling import Console
from tests.integration.phones import PHONE, acts, case_of, finish, log_in, opened, phone, press, running
from tests.services import ROOT, program

__all__ = ["running"]
pytestmark = pytest.mark.needs("chromium")

DAY_S = 86_400
PATIENCE_MS = 60_000
"""For what comes to pass by itself, however busy the machine is."""


@pytest.mark.parametrize("by_link", [False, True])
def test_what_is_done_without_a_network_is_done_once_even_if_the_page_is_killed(
    chromium: Browser, running: Console, by_link: bool
) -> None:
    case, context = case_of(running), phone(chromium, running, None if by_link else "lin")
    address = f"{running.address}/w/cases/{case.id}"
    if by_link:
        with running.block.database.writing() as connection:
            address = f"{running.address}/c/{links.make(connection, case.id, 'lin', running.block.now_ms)}"
    page = opened(context, address)

    context.set_offline(True)
    page.reload()
    expect(page.locator("#offline")).to_contain_text("没有网络")
    press(page, "接单")
    expect(page.locator("#pending")).to_have_text("待上传 1")
    press(page, "我到了")
    expect(page.locator("#pending")).to_have_text("待上传 2")
    finish(page)
    expect(page.locator("#pending")).to_have_text("待上传 3")
    before_ms = page.evaluate("Date.now()")
    page.close()
    assert acts(running, case) == []

    context.set_offline(False)
    page = context.new_page()
    page.goto(address)
    expect(page.locator("main")).to_contain_text("已提交，等待核查")
    expect(page.locator("#pending")).to_be_hidden()
    assert acts(running, case) == [("case.accepted", "lin"), ("case.on_site", "lin"), ("case.feedback", "lin")]
    page.reload()
    expect(page.get_by_role("img", name="处置照片")).to_be_visible()
    assert len(acts(running, case)) == 3
    lines = [line for line in running.block.desk.log_of_case(case.id) if line.key]
    assert len({line.key for line in lines}) == 3
    assert all(line.device_at_ms and line.device_at_ms <= before_ms < line.at_ms for line in lines)
    done = running.block.desk.case(case.id)
    assert done
    assert done.photo
    assert running.block.desk.photo(done.photo)
    context.close()


@pytest.mark.parametrize("ended", ["after the act", "before the act"])
def test_an_act_under_a_link_that_ends_meanwhile_is_not_lost(chromium: Browser, running: Console, ended: str) -> None:
    """Done while the link held, it counts when there is a network again; done after its end, it waits for the login of its person."""
    case, context = case_of(running), phone(chromium, running, None)
    made_at_ms = running.block.now_ms
    with running.block.database.writing() as connection:
        link = f"/c/{links.make(connection, case.id, 'lin', made_at_ms)}"
    page = opened(context, running.address + link)
    context.set_offline(True)
    page.reload()
    press(page, "接单")
    expect(page.locator("#pending")).to_have_text("待上传 1")
    page.close()
    over_at_ms = made_at_ms + 1 if ended == "before the act" else time.time_ns() // 1_000_000
    with running.block.database.writing() as connection:
        connection.execute(update(db.links).where(db.links.c.case == case.id).values(expires_at_ms=over_at_ms))
    context.set_offline(False)
    page = context.new_page()
    page.goto(running.address + link)
    expect(page.locator("main")).to_contain_text("这个链接已失效")
    if ended == "before the act":
        expect(page.locator("#kept")).to_contain_text("本机还有 1 项操作没有传到，不会丢失")
        assert acts(running, case) == []
        page.get_by_role("link", name="登录").click()
        page.get_by_label("姓名").fill("lin")
        page.get_by_label("密码").fill(PASSWORD)
        page.get_by_role("button", name="登录").click()
        expect(page.get_by_role("heading", name="我的工单")).to_be_visible()
    for _ in range(100):
        if acts(running, case):
            break
        page.wait_for_timeout(100)
    assert acts(running, case) == [("case.accepted", "lin")]
    context.close()


def test_an_answer_that_is_lost_on_its_way_makes_no_second_act(chromium: Browser, running: Console) -> None:
    case, context = case_of(running), phone(chromium, running, worker=False)
    page = context.new_page()
    page.goto(f"{running.address}/w/cases/{case.id}")
    page.route("**/accept", lambda route: (route.fetch(), route.abort()), times=1)
    with page.expect_event("requestfailed"):
        press(page, "接单")
    expect(page.locator("#pending")).to_have_text("待上传 1")
    assert acts(running, case) == [("case.accepted", "lin")]
    page.locator("#pending").click()
    expect(page.locator("#pending")).to_be_hidden()
    assert acts(running, case) == [("case.accepted", "lin")]
    context.close()


def test_of_two_phones_the_second_sees_who_has_taken_it(chromium: Browser, running: Console) -> None:
    case = case_of(running)
    first, second = phone(chromium, running, "lin"), phone(chromium, running, "wu")
    address = f"{running.address}/w/cases/{case.id}"
    pages = [opened(first, address), opened(second, address)]
    second.set_offline(True)
    press(pages[1], "接单")
    expect(pages[1].locator("#pending")).to_have_text("待上传 1")
    press(pages[0], "接单")
    expect(pages[0].locator("[data-stage]")).to_have_attribute("data-stage", "accepted")
    second.set_offline(False)
    expect(pages[1].locator("#refusals")).to_contain_text("林小梅 已经接单了", timeout=15_000)
    expect(pages[1].locator("#pending")).to_be_hidden()
    assert acts(running, case) == [("case.accepted", "lin")]
    pages[1].get_by_role("button", name="知道了").click()
    expect(pages[1].locator("#refusals li")).to_have_count(0)
    first.close()
    second.close()


def test_the_list_opens_without_a_network_with_its_cases_and_says_how_old_it_is(
    chromium: Browser, running: Console
) -> None:
    case, context = case_of(running), phone(chromium, running)
    page = opened(context, f"{running.address}/w/")
    for kept in ("/w/", f"/w/cases/{case.id}"):
        page.wait_for_function(f"caches.open('gridcall-pages').then((c) => c.match('{kept}')).then(Boolean)")
    context.set_offline(True)
    page.reload()
    expect(page.locator("#offline")).to_contain_text("可能已经变了")
    page.get_by_role("link", name=case.place.text).click()
    press(page, "接单")
    expect(page.locator("#noted")).to_contain_text("等待上传")
    context.set_offline(False)
    expect(page.locator("[data-stage]")).to_have_attribute("data-stage", "accepted", timeout=15_000)
    assert acts(running, case) == [("case.accepted", "lin")]
    context.close()


def test_a_button_that_is_pressed_before_the_modules_are_there_waits_for_them(
    chromium: Browser, running: Console
) -> None:
    case, context = case_of(running), phone(chromium, running, worker=False)
    page, held = context.new_page(), list[Route]()
    page.route("**/phone/queue.mjs", lambda route: held.append(route))
    page.goto(f"{running.address}/w/cases/{case.id}", wait_until="commit")
    while not held:
        page.wait_for_timeout(20)
    press(page, "接单")
    context.set_offline(True)
    held[0].fulfill(body=(ROOT / "console/static/phone/queue.mjs").read_bytes(), content_type="text/javascript")
    expect(page.locator("#pending")).to_have_text("待上传 1")
    context.set_offline(False)
    expect(page.locator("[data-stage]")).to_have_attribute("data-stage", "accepted", timeout=PATIENCE_MS)
    assert acts(running, case) == [("case.accepted", "lin")]
    context.close()


def test_where_the_modules_never_come_the_browser_sends_what_was_pressed(chromium: Browser, running: Console) -> None:
    case, context = case_of(running), phone(chromium, running, worker=False)
    page = context.new_page()
    page.clock.install()
    page.route("**/phone/queue.mjs", lambda route: route.abort())
    page.goto(f"{running.address}/w/cases/{case.id}")
    context.set_offline(True)
    press(page, "接单")
    page.clock.fast_forward(15_000)
    assert acts(running, case) == []
    expect(page.get_by_text(case.place.text, exact=True)).to_be_visible()
    context.set_offline(False)
    with page.expect_navigation():
        page.clock.fast_forward(15_000)
    assert acts(running, case) == [("case.accepted", "lin")]
    context.close()


def test_what_one_person_did_is_never_sent_in_the_name_of_another(chromium: Browser, running: Console) -> None:
    case, context = case_of(running), phone(chromium, running, "lin")
    page = opened(context, f"{running.address}/w/cases/{case.id}")
    context.set_offline(True)
    press(page, "接单")
    expect(page.locator("#pending")).to_have_text("待上传 1")
    page.close()
    context.set_offline(False)
    context.clear_cookies()
    for name, stage in (("wu", "待接单"), ("lin", "已接单 · 我的")):
        page = log_in(context, running, name)
        expect(page.locator("body")).to_have_attribute("data-verdict", "live", timeout=PATIENCE_MS)
        expect(page.locator(f"[data-case='{case.id}'] .stage")).to_have_text(stage, timeout=PATIENCE_MS)
        page.close()
        context.clear_cookies()
    assert acts(running, case) == [("case.accepted", "lin")]
    context.close()


def test_a_browser_that_is_killed_and_has_lost_the_login_sends_what_was_done_once(
    chromium: Browser, running: Console, tmp_path: Path
) -> None:
    """The process is killed, not closed; the cookie is gone when it comes back, the queue is not, and the phone's clock is a day ahead."""
    case = case_of(running)
    address = f"{running.address}/w/cases/{case.id}"

    def start() -> BrowserContext:
        return chromium.browser_type.launch_persistent_context(
            tmp_path / "profile", executable_path=program("chromium"), args=ARGUMENTS, locale="zh-CN", viewport=PHONE
        )

    context = start()
    log_in(context, running, "lin").close()
    page = opened(context, address)
    page.clock.install(time=time.time() + DAY_S)
    page.reload()
    expect(page.locator("body")).to_have_attribute("data-verdict", "live")
    context.set_offline(True)
    press(page, "接单")
    press(page, "我到了")
    finish(page)
    expect(page.locator("#pending")).to_have_text("待上传 3")
    kill(tmp_path / "profile")
    assert acts(running, case) == []

    context = start()
    context.clear_cookies()
    page = context.new_page()
    page.goto(address)
    page.wait_for_url("**/login?to=**")
    log_in(context, running, "lin")
    page.goto(address)
    expect(page.locator("main")).to_contain_text("已提交，等待核查")
    expect(page.locator("#pending")).to_be_hidden()
    assert acts(running, case) == [("case.accepted", "lin"), ("case.on_site", "lin"), ("case.feedback", "lin")]
    for line in running.block.desk.log_of_case(case.id):
        if line.key:
            assert line.device_at_ms
            assert abs(line.device_at_ms - line.at_ms) < DAY_S * 1000 / 24
    context.close()


def kill(profile: Path) -> None:
    """The browser that has this profile open, as a phone does that needs its memory."""
    mine = [
        one for one in psutil.process_iter(["cmdline"]) if f"--user-data-dir={profile}" in (one.info["cmdline"] or ())
    ]
    assert mine
    for one in mine:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    psutil.wait_procs(mine, timeout=10)


def test_a_worker_of_the_browser_that_is_replaced_meanwhile_loses_nothing(chromium: Browser, running: Console) -> None:
    case, context = case_of(running), phone(chromium, running)
    address = f"{running.address}/w/cases/{case.id}"
    page = opened(context, address)
    context.set_offline(True)
    press(page, "接单")
    press(page, "我到了")
    expect(page.locator("#pending")).to_have_text("待上传 2")
    context.set_offline(False)  # the page begins to send, and so does the worker
    page.evaluate(
        """async () => {
            const changed = new Promise((resolve) => navigator.serviceWorker.addEventListener("controllerchange", resolve));
            await navigator.serviceWorker.register("/w/worker.mjs?another", { scope: "/w/", type: "module" });
            await changed;
        }"""
    )
    expect(page.locator("#pending")).to_be_hidden(timeout=15_000)
    assert acts(running, case) == [("case.accepted", "lin"), ("case.on_site", "lin")]
    context.set_offline(True)
    page.reload()
    expect(page.locator("#offline")).to_contain_text("没有网络")
    context.close()


def test_what_the_browsers_worker_keeps_has_a_mark_that_changes_with_it(running: Console) -> None:
    script = httpx.get(f"{running.address}/w/worker.mjs").text
    kept = re.findall(r'^  "/static/([^"]+)",$', script, re.MULTILINE)
    folder = ROOT / "console/static"
    assert "phone/scan.mjs" in kept
    loaded = {f"phone/{name}" for name in re.findall(r'"\./(\w+\.mjs)"', (folder / "phone/phone.mjs").read_text())}
    assert loaded <= set(kept)
    mark = hashlib.sha256(b"".join((folder / name).read_bytes() for name in kept)).hexdigest()
    assert script.endswith(f'const MARK = "{mark}";\n')


def test_a_browser_without_locks_is_brought_up_to_date_all_the_same(chromium: Browser, running: Console) -> None:
    """Safari before 15.4 keeps pages, and has none."""
    case, context = case_of(running), phone(chromium, running)
    context.add_init_script("Object.defineProperty(Navigator.prototype, 'locks', { get: () => undefined })")
    page = opened(context, f"{running.address}/w/cases/{case.id}")
    expect(page.locator("body")).to_have_attribute("data-verdict", "live")
    context.close()


def test_a_full_phone_shows_what_it_cannot_keep(chromium: Browser, running: Console) -> None:
    context = phone(chromium, running)
    page = opened(context, f"{running.address}/w/")
    quota = {"origin": running.address, "quotaSize": 1}
    context.new_cdp_session(page).send("Storage.overrideQuotaForOrigin", quota)
    case = case_of(running)  # one that the list has not kept
    page.goto(f"{running.address}/w/cases/{case.id}")
    expect(page.get_by_text(case.place.text, exact=True)).to_be_visible()
    expect(page.locator("body")).to_have_attribute("data-verdict", "live")
    kept = "caches.open('gridcall-pages').then((c) => c.match(location.pathname)).then(Boolean)"
    assert not page.evaluate(kept), "there was no room"
    context.close()
