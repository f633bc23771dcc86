"""Two console processes behind one address, each request to the other one in turn: whoever works there notices nothing of it."""

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from console.rights import Scope
from tests.console.block import PASSWORD
from tests.integration.between import Between
from tests.integration.browsing import Window
from tests.integration.console_filling import Console, console, second_console
from tests.integration.phones import PHONE, acts, case_of, finish, press
from tests.services import Service

pytestmark = pytest.mark.needs("chromium")


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    with console(tmp_path_factory.mktemp("console")) as started:
        started.block.accounts.add("lin", PASSWORD, "worker", Scope(("junmen",), ("grid-1",)))
        yield started


@pytest.fixture(scope="module")
def second(first: Console) -> Iterator[Service]:
    with second_console(first) as started:
        yield started


@pytest.fixture
def between(first: Console, second: Service) -> Iterator[Between]:
    made = Between(first.service.port, second.port)
    yield made
    made.close()
    for one in (first.service, second):
        if one.process and one.process.poll() is not None:
            one.start()


def served_by(between: Between, path: str) -> int:
    """The port that answered this path last."""
    return next(port for port, asked in reversed(between.served) if asked.partition("?")[0] == path)


def test_a_worker_accepts_arrives_sends_a_photo_and_is_done_while_one_of_them_is_killed(
    chromium: Browser, first: Console, second: Service, between: Between
) -> None:
    case = case_of(first)
    context = chromium.new_context(locale="zh-CN", viewport=PHONE, is_mobile=True, has_touch=True)
    page = context.new_page()
    log_in(page, between, "lin")
    page.goto(f"{between.address}/w/cases/{case.id}")
    press(page, "接单")
    expect(page.locator(".bar:visible").get_by_role("button", name="到场")).to_be_visible()
    second.kill()
    press(page, "到场")
    expect(page.locator(".bar:visible").get_by_role("link", name="处置完成")).to_be_visible()
    second.start()
    finish(page)
    expect(page.locator("#pending")).to_be_hidden()
    expect(page.locator("b", has_text="已修复")).to_be_visible()
    assert [event for event, actor in acts(first, case) if actor == "lin"] == [
        "case.accepted",
        "case.on_site",
        "case.feedback",
    ]
    done = first.block.desk.case(case.id)
    assert done
    assert done.photo
    assert {port for port, _ in between.served} == {first.service.port, second.port}
    context.close()


def log_in(page: Page, between: Between, name: str) -> None:
    page.goto(f"{between.address}/login")
    page.get_by_label("姓名").fill(name)
    page.get_by_label("密码").fill(PASSWORD)
    page.get_by_role("button", name="登录").click()
    expect(page.get_by_role("heading", name="我的工单")).to_be_visible()


def test_the_live_feed_goes_on_with_the_other_one_and_misses_nothing(
    chromium: Browser, first: Console, second: Service, between: Between
) -> None:
    context = chromium.new_context(locale="en-GB", reduced_motion="reduce")
    window = Window(context.new_page(), between.address)
    window.log_in()
    page, raised = window.page, list[str]()
    page.evaluate("window.sameDocument = true")
    for number in range(3):
        port = served_by(between, "/feed")
        raised.append(first.block.raise_alarm(f"two-{number}").id)
        expect(page.locator(f"#rows > li[data-id='{raised[-1]}']")).to_be_visible()
        one = first.service if port == first.service.port else second
        one.kill()
        raised.append(first.block.raise_alarm(f"gap-{number}").id)
        expect(page.locator(f"#rows > li[data-id='{raised[-1]}']")).to_be_visible()
        expect(page.locator("body")).to_have_attribute("data-verdict", "live")
        assert served_by(between, "/feed") != port
        one.start()
    for alarm_id in raised:
        expect(page.locator(f"#rows > li[data-id='{alarm_id}']")).to_have_count(1)
    assert page.evaluate("window.sameDocument") is True
    context.close()


def test_whoever_logs_out_by_one_of_them_is_out_of_both_and_hears_no_alarm_any_more(
    chromium: Browser, first: Console, second: Service, between: Between
) -> None:
    context = chromium.new_context(locale="en-GB", reduced_motion="reduce")
    window = Window(context.new_page(), between.address)
    window.log_in()
    listens_to = served_by(between, "/feed")
    (other,) = {first.service.port, second.port} - {listens_to}
    cookies = {cookie["name"]: cookie["value"] for cookie in context.cookies() if "name" in cookie}
    with httpx.Client(base_url=f"http://127.0.0.1:{other}", cookies=cookies) as asking:
        token = token_in(asking.get("/").text)
        out = asking.post("/logout", data={"token": token}, headers={"origin": str(asking.base_url)})
        assert out.headers["location"] == "/login"
    expect(window.page.get_by_label("Password")).to_be_visible(timeout=15_000)
    context.close()


def token_in(page: str) -> str:
    return page.split('name="token" value="')[1].split('"')[0]


def test_a_guesser_gains_nothing_by_the_second_process(first: Console, second: Service) -> None:
    answers = []
    for number in range(12):
        port = (first.service.port, second.port)[number % 2]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
            token = token_in(client.get("/login").text)
            said = client.post(
                "/login",
                data={"token": token, "name": "lin", "password": f"guess {number}"},
                headers={"origin": f"http://127.0.0.1:{port}"},
            )
            answers.append(said.status_code)
    assert answers[:5] == [401] * 5
    assert set(answers[5:]) == {429}
