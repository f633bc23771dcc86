"""The worker's phone in Chromium: without a network, with two phones at once, and how it looks to an older helper (F9 of the field notes)."""

import base64
import contextlib
import hashlib
import re
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect, sync_playwright
from sqlalchemy import update

from console.rights import Scope
from rules.notices import links
from rules.records import Case, CaseState
from rules.store import tables
from tests.console.block import PASSWORD
from tests.integration.console_filling import Console, console
from tests.integration.judging import violations
from tests.integration.test_console_browser import ARGUMENTS
from tests.services import ROOT, program

pytestmark = pytest.mark.needs("chromium")

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYPj/HwADAgH/p9sTLwAAAABJRU5ErkJggg=="
)
PHONE: ViewportSize = {"width": 390, "height": 844}
DAY_S = 86_400

TOO_SMALL = """(least) =>
    [...document.querySelectorAll('main a, main button, main summary, main input, .bar .button')]
    .filter((one) => one.checkVisibility() && !one.matches('.choice input, .unseen'))
    .filter((one) => one.getBoundingClientRect().height < least)
    .map((one) => one.outerHTML.slice(0, 90))"""
"""Targets that are lower than so many pixels."""

TOO_FAINT = """() => {
    const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
    const light = (colour) => {
        const [r, g, b] = parts(colour).map((part) => part / 255)
            .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = (one) => {
        const colour = getComputedStyle(one).backgroundColor;
        return (parts(colour)[3] ?? 1) > 0.99 || !one.parentElement ? colour : ground(one.parentElement);
    };
    return [...document.body.querySelectorAll('*')]
        .filter((one) => one.checkVisibility() && !one.closest('svg, .unseen, .skip'))
        .filter((one) => [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
        .map((one) => [light(getComputedStyle(one).color), light(ground(one)), one])
        .filter(([ink, paper]) => (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05) < 4.5)
        .map(([, , one]) => one.outerHTML.slice(0, 90));
}"""
"""Texts with a contrast below 4.5:1 (WCAG 2.2, 1.4.3)."""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program("chromium"), args=ARGUMENTS)
        yield browser
        browser.close()


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


def finish(page: Page) -> None:
    page.locator(".bar:visible").get_by_role("link", name="处置完成").click()
    page.get_by_label("已修复").check()
    page.locator("[data-photo]").set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": PNG})
    expect(page.locator(".photo img")).to_be_attached()
    page.get_by_role("button", name="提交 · 处置完成").click()


def acts(running: Console, case: Case) -> list[tuple[str, str]]:
    """Of people, in order."""
    lines = running.block.desk.log_of_case(case.id)
    return [(line.event, line.actor) for line in lines if line.event.startswith("case.") and line.actor != "rules"]


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
        connection.execute(update(tables.links).where(tables.links.c.case == case.id).values(expires_at_ms=over_at_ms))
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
        expect(page.locator("body")).to_have_attribute("data-verdict", "live")
        expect(page.locator(f"[data-case='{case.id}'] .stage")).to_have_text(stage, timeout=15_000)
        page.close()
        context.clear_cookies()
    assert acts(running, case) == [("case.accepted", "lin")]
    context.close()


def test_the_phones_place_and_time_come_along(chromium: Browser, running: Console) -> None:
    case = running.block.raise_alarm("cover-1", kind="manhole_cover", rule="open", spot=(26.085, 119.3)).case
    assert case
    context = phone(chromium, running)
    context.grant_permissions(["geolocation"], origin=running.address)
    context.set_geolocation({"latitude": 26.0851, "longitude": 119.3, "accuracy": 15})
    page = opened(context, f"{running.address}/w/cases/{case.id}")
    press(page, "接单")
    press(page, "我到了")
    expect(page.locator("[data-stage]")).to_have_attribute("data-stage", "on_site")
    there = running.block.desk.case(case.id)
    assert there
    assert (there.state, there.on_site_how) == (CaseState.ON_SITE, "geofence")
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
    assert script.endswith(f"// {mark}\n")


CAMERA = """(code) => {
    globalThis.BarcodeDetector = class {
        static async getSupportedFormats() { return ["qr_code"]; }
        async detect() { return seen.splice(0, 1).map((rawValue) => ({ rawValue })); }
    };
    const seen = ["https://a.poster.example/", code];
    navigator.mediaDevices.getUserMedia = async () => {
        const canvas = document.createElement("canvas");
        canvas.getContext("2d").fillRect(0, 0, 9, 9);
        return canvas.captureStream(5);
    };
}"""
"""A camera, and a browser that reads codes, which Chromium on Linux is not: first a poster comes before it, then a label."""


def test_the_label_is_scanned_in_the_page_also_without_a_network(chromium: Browser, running: Console) -> None:
    case, context = case_of(running), phone(chromium, running)
    code = running.block.label(case.subject)
    context.add_init_script(f"({CAMERA})('http://elsewhere/a/{code}')")
    page = opened(context, f"{running.address}/w/cases/{case.id}")
    press(page, "接单")
    expect(page.locator("[data-stage]")).to_have_attribute("data-stage", "accepted")
    context.set_offline(True)
    press(page, "扫码")
    expect(page.locator("#scan")).to_be_hidden()
    expect(page.locator("#pending")).to_have_text("待上传 1")
    context.set_offline(False)
    expect(page.locator("#pending")).to_be_hidden(timeout=15_000)
    there = running.block.desk.case(case.id)
    assert there
    assert (there.state, there.on_site_how) == (CaseState.ON_SITE, "code")
    page.goto(f"{running.address}/w/")
    page.get_by_role("button", name="扫码").click()
    page.wait_for_url(f"**/w/cases/{case.id}?code={code}")
    context.close()


def test_a_camera_that_may_not_be_used_is_said_in_words(chromium: Browser, running: Console) -> None:
    context = phone(chromium, running)
    context.add_init_script(
        f"({CAMERA})('x'); navigator.mediaDevices.getUserMedia = () => Promise.reject(new Error());"
    )
    page = context.new_page()
    page.goto(f"{running.address}/w/")
    page.get_by_role("button", name="扫码").click()
    expect(page.locator("#scan")).to_contain_text("这里用不了相机")
    page.get_by_role("button", name="停止").click()
    expect(page.locator("#scan")).to_be_hidden()
    context.close()


CUT = """() => [...document.querySelectorAll("main *, .bar *, header *")]
    .filter((one) => one.checkVisibility() && !one.matches("svg *, .unseen, summary > span"))
    .filter((one) => one.scrollWidth > one.clientWidth + 1 && one.clientWidth && getComputedStyle(one).display !== "inline")
    .map((one) => one.outerHTML.slice(0, 90))"""
"""What is wider than its place."""


@pytest.mark.parametrize("language", ["zh", "en"])
def test_in_the_largest_type_nothing_is_cut_and_every_act_is_in_the_thumbs_reach(
    chromium: Browser, running: Console, language: str
) -> None:
    case, context = case_of(running), phone(chromium, running)
    context.add_init_script(f"({CAMERA})('x')")
    page = context.new_page()
    page.goto(f"{running.address}/look?letters=large&back=/w/")
    page.goto(f"{running.address}/w/?language={language}")
    assert page.evaluate(CUT) == []
    expect(page.locator(".asset .scan-button")).to_be_visible()
    for step in (None, "accept", "arrive"):
        if step:
            getattr(running.block.desk, step)(case.id, actor="lin", at_ms=running.block.now_ms)
        page.goto(f"{running.address}/w/cases/{case.id}")
        expect(page.locator(".bar:visible")).to_have_count(1)
        assert page.evaluate(CUT) == []
        for button in page.locator(".bar:visible .button:visible").all():
            box = button.bounding_box()
            assert box
            assert box["y"] > PHONE["height"] / 2
            assert box["y"] + box["height"] <= PHONE["height"]
            assert min(box["height"], box["width"]) >= 60
    context.close()


@contextlib.contextmanager
def line_to(port: int) -> Iterator[tuple[int, list[int]]]:
    """A line to a server: its own port, and how many bytes have come back over it."""
    came, ends = list[int](), list[socket.socket]()

    def carry(source: socket.socket, target: socket.socket, count: bool) -> None:
        with contextlib.suppress(OSError):
            while content := source.recv(65_536):
                came.extend([len(content)] if count else [])
                target.sendall(content)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def taken() -> None:
        with contextlib.suppress(OSError):
            while True:
                caller, _ = listening.accept()
                server = socket.create_connection(("127.0.0.1", port))
                ends.extend((caller, server))
                for way in ((caller, server, False), (server, caller, True)):
                    threading.Thread(target=carry, args=way, daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=taken, daemon=True).start()
        try:
            yield listening.getsockname()[1], came
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            for end in ends:
                end.close()


def test_the_first_load_is_under_a_hundred_kilobytes_on_the_line_and_the_page_can_be_installed(
    chromium: Browser, running: Console
) -> None:
    """All bytes that a phone which has nothing yet receives: heads, page, modules, icons, the set that its browser puts away for later, and
    the page of the one case of its person, which is put away too."""
    running.block.raise_alarm("gas-of-grid-9", grid="grid-9")
    running.block.accounts.add("kong", PASSWORD, "worker", Scope(("junmen",), ("grid-9",)))
    context = phone(chromium, running, "kong")
    with line_to(running.service.port) as (port, came):
        page = opened(context, f"http://127.0.0.1:{port}/w/")
        loaded = sum(came)
        assert 20_000 < loaded < 100_000
        session = context.new_cdp_session(page)
        manifest = session.send("Page.getAppManifest")
        assert manifest["errors"] == []
        assert manifest["url"].endswith("/w/manifest.webmanifest")
        # a window of a test is a private one, into which nothing can be installed; that is all that Chromium has to say
        found = session.send("Page.getInstallabilityErrors")["installabilityErrors"]
        assert {one["errorId"] for one in found} <= {"in-incognito"}
        page.goto(f"{running.address}/account")
        found = session.send("Page.getInstallabilityErrors")["installabilityErrors"]
        assert "no-manifest" in {one["errorId"] for one in found}, "it does say what is missing"
        context.close()


@pytest.mark.parametrize("where", ["list", "case", "gone", "asset"])
def test_axe_finds_nothing_on_a_page_of_the_phone(chromium: Browser, running: Console, where: str) -> None:
    case, context = case_of(running), phone(chromium, running)
    code = running.block.label("quiet-1")
    paths = {"list": "/w/", "case": f"/w/cases/{case.id}", "gone": "/w/asset?code=nothing", "asset": f"/a/{code}"}
    running.block.desk.accept(case.id, actor="lin", at_ms=running.block.now_ms)
    page = context.new_page()
    assert violations(page, running.address + paths[where]) == []
    context.close()


def test_nothing_runs_over_the_edge_and_every_target_is_large_enough(chromium: Browser, running: Console) -> None:
    case, context = case_of(running), phone(chromium, running)
    page = context.new_page()
    for width, large in ((320, False), (320, True), (390, True)):
        page.set_viewport_size({"width": width, "height": 640})
        page.goto(f"{running.address}/look?letters={'large' if large else 'plain'}")
        for path in ("/w/", f"/w/cases/{case.id}"):
            page.goto(running.address + path)
            assert page.evaluate("document.documentElement.scrollWidth") == width
            assert page.evaluate(TOO_SMALL, 60 if large else 44) == []
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(chromium: Browser, running: Console, scheme: str) -> None:
    case, context = case_of(running), phone(chromium, running)
    page = context.new_page()
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
    for path in ("/w/", f"/w/cases/{case.id}"):
        page.goto(running.address + path)
        page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
        assert page.evaluate(TOO_FAINT) == []
    context.close()


def test_the_keyboard_reaches_the_button_and_nothing_complains(chromium: Browser, running: Console) -> None:
    case, context = case_of(running), phone(chromium, running)
    page, complaints = context.new_page(), list[str]()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.goto(f"{running.address}/w/cases/{case.id}")
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('.bar .first')"):
            break
    page.keyboard.press("Enter")
    expect(page.locator("[data-stage]")).to_have_attribute("data-stage", "accepted")
    assert complaints == []
    context.close()
