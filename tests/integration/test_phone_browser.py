"""The worker's phone in Chromium: how its pages look to an older helper, how little they load, and what camera and place add to them."""

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from console.rights import Scope
from rules.records import CaseState
from tests.console.block import PASSWORD
from tests.integration.console_filling import Console
from tests.integration.judging import violations
from tests.integration.phones import PHONE, case_of, opened, phone, press, running

__all__ = ["running"]
pytestmark = pytest.mark.needs("chromium")

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

CUT = """() => [...document.querySelectorAll("main *, .bar *, header *")]
    .filter((one) => one.checkVisibility() && !one.matches("svg *, .unseen, summary > span"))
    .filter((one) => one.scrollWidth > one.clientWidth + 1 && one.clientWidth && getComputedStyle(one).display !== "inline")
    .map((one) => one.outerHTML.slice(0, 90))"""
"""What is wider than its place."""

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
