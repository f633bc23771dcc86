"""The console attacked: forged forms, crossed places, poisoned headers, slow and large bodies, what is loaded from elsewhere."""

import asyncio
import re
import socket
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from html import unescape
from importlib.resources import files
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from fastapi._compat import ModelField
from fastapi.dependencies.models import Dependant

from console.access.rim import SESSION_COOKIE, Rim
from console.access.settings import Access
from console.phone.holder import holder
from console.server import bound, serve
from console.visit import BROWSER_COOKIE, VISIT_COOKIE, logged_in, our_form
from messages.settings import ConfigError, Text
from tests.console.block import PASSWORD, Block
from tests.console.browsing import hidden, log_in
from tests.services import free_port

CHANGES = {"POST", "PUT", "PATCH", "DELETE"}
BY_HAND = {"/login", "/w/cases/{case_id}/photos", "/c/{link}/photos"}
"""The first says kindly that the page is too old; the others have a picture for a body, and the form's token in a head. Attacked below."""
FOR_ANYBODY = {
    "/login",
    "/healthz",
    "/w",
    "/look",
    "/w/icon-192.png",
    "/w/icon-512.png",
    "/w/worker.mjs",
    "/w/manifest.webmanifest",
}
"""Ways in, and what a phone fetches before it: none of them tells anything of alarms, cases or people."""
HEADERS = {
    "content-security-policy": "default-src 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
OF_PAGES = {"permissions-policy": "camera=(self), microphone=()"}
"""Which browsers heed of pages alone: a file that a page loads has none."""


@dataclass(frozen=True)
class Open:
    """One route as it is served, with all that its routers ask before it."""

    path: str
    methods: frozenset[str]
    asks: frozenset[object]


def routes(app: FastAPI) -> list[Open]:
    """Those of the pages; the interface for other systems has its own tokens and tests."""
    found = [
        Open(context.path, frozenset(context.methods), frozenset(asked_by(context.dependant)))
        for router in app.routes
        for context in getattr(router, "effective_route_contexts", tuple)()
    ]
    assert len(found) > 40
    return found


def asked_by(dependant: Dependant) -> Iterator[object]:
    """Everything that a route asks before it does anything."""
    for inner in dependant.dependencies:
        yield inner.call
        yield from asked_by(inner)


def with_access(junmen: Block, **settings: object) -> httpx.AsyncClient:
    """A browser before a console with other settings of access."""
    access = Access.model_validate(settings)
    junmen.config = junmen.config.model_copy(update={"access": access})
    transport = httpx.ASGITransport(junmen.console(), client=("127.0.0.1", 1))
    return httpx.AsyncClient(transport=transport, base_url="http://console", headers={"accept": "text/html"})


def test_every_route_that_changes_something_believes_our_own_forms_alone(junmen: Block) -> None:
    changing = [route for route in routes(junmen.console()) if route.methods & CHANGES]
    assert len(changing) > 15
    assert {route.path for route in changing if our_form not in route.asks} == BY_HAND


def test_every_route_asks_who_comes_but_those_that_are_for_anybody(junmen: Block) -> None:
    unasked = {route.path for route in routes(junmen.console()) if not route.asks & {logged_in, holder}}
    assert unasked == FOR_ANYBODY


def test_no_route_changes_anything_when_it_is_only_looked_at(junmen: Block) -> None:
    for route in routes(junmen.console()):
        assert not ("GET" in route.methods and route.methods & CHANGES)


async def test_a_forged_form_changes_nothing_wherever_it_is_sent(browser: httpx.AsyncClient, junmen: Block) -> None:
    alarm = junmen.raise_alarm()
    await log_in(browser)
    token = hidden((await browser.get("/")).text, "token")
    paths = {
        route.path.replace("{alarm_id}", alarm.id)
        for route in routes(junmen.console())
        if "POST" in route.methods and "{" not in route.path.replace("{alarm_id}", "")
    } - BY_HAND
    before = junmen.alarm(alarm.id), junmen.accounts.list()
    for path in sorted(paths):
        for fields, headers in (
            ({}, {}),
            ({"token": "x" * 64}, {}),
            ({"token": token}, {"origin": "http://evil.example"}),
            ({"token": token}, {"origin": "null"}),
            ({"token": token}, {"sec-fetch-site": "cross-site"}),
        ):
            answer = await browser.post(path, data=fields, headers=headers)
            assert answer.status_code in (403, 415), (path, fields, headers)
    assert (junmen.alarm(alarm.id), junmen.accounts.list()) == before


async def test_the_form_of_one_login_is_of_no_use_in_another(browser: httpx.AsyncClient, junmen: Block) -> None:
    junmen.accounts.add("li", PASSWORD)
    await log_in(browser, "li")
    token = hidden((await browser.get("/")).text, "token")
    browser.cookies.clear()
    await log_in(browser)
    assert (await browser.post("/logout", data={"token": token})).status_code == 403


async def test_a_session_that_somebody_else_chose_is_not_taken_over(browser: httpx.AsyncClient) -> None:
    for cookie in (SESSION_COOKIE, VISIT_COOKIE, BROWSER_COOKIE):
        browser.cookies.set(cookie, "chosen-by-another", domain="console.local")
    await log_in(browser)
    values = [cookie.value for cookie in browser.cookies.jar if cookie.name == SESSION_COOKIE and cookie.value]
    assert "chosen-by-another" not in values[-1:]
    assert len(values[-1]) > 40


async def test_the_login_is_no_way_round_the_forms(browser: httpx.AsyncClient, junmen: Block) -> None:
    page = (await browser.get("/login")).text
    fields = {"token": hidden(page, "token"), "name": "chen", "password": PASSWORD}
    for headers in ({"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}):
        assert (await browser.post("/login", data=fields, headers=headers)).status_code == 403
    assert (await browser.post("/login", data=fields | {"token": ""})).status_code == 403
    assert junmen.accounts.sessions("chen", junmen.now_ms) == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("GET", "/account", 200),
        ("GET", "/accounts", 403),
        ("GET", "/nowhere", 404),
        ("DELETE", "/", 405),
        ("GET", "/session", 204),
        ("GET", "/static/console.css", 200),
        ("GET", "/static/nowhere.css", 404),
        ("GET", "/healthz", 503),
        ("POST", "/logout", 403),
    ],
)
async def test_every_answer_carries_the_headers(
    browser: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    await log_in(browser)
    answer = await browser.request(method, path)
    assert answer.status_code == status
    file = path.startswith("/static/")
    for name, value in (HEADERS if file else HEADERS | OF_PAGES).items():
        assert answer.headers[name].startswith(value)
    assert answer.headers["cache-control"] == ("no-cache" if file else "no-store")
    assert "server" not in answer.headers


async def test_a_question_of_a_page_whose_login_is_over_spoils_no_login_page_that_comes_at_the_same_time(
    junmen: Block, browser: httpx.AsyncClient
) -> None:
    """Both were asked for before either had come; and the answer to the question came last."""
    page = await browser.get("/login")
    async with with_access(junmen) as beside:
        answer = await beside.get("/devices", headers={"x-asked": "1"}, follow_redirects=True)
        assert answer.url.path == "/login"
        browser.cookies.update(beside.cookies)
    fields = {"token": hidden(page.text, "token"), "name": "chen", "password": PASSWORD}
    assert (await browser.post("/login", data=fields)).status_code == 303


async def test_answers_to_what_is_no_request_of_ours_carry_them_too(browser: httpx.AsyncClient) -> None:
    for answer in (
        await browser.post("/login", content=b"x", headers={"content-type": "application/json"}),
        await browser.post("/login", content=b"x" * 70_000),
    ):
        assert answer.status_code in (413, 415)
        assert answer.headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize(
    "path",
    [
        "/static/../accounts.py",
        "/static/..%2faccounts.py",
        "/static/%2e%2e/accounts.py",
        "/static/....//accounts.py",
        "/static/..%5caccounts.py",
        "/static/%00",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/alarms/..%2f..%2faccounts",
    ],
)
async def test_no_path_leads_out_of_where_it_begins(browser: httpx.AsyncClient, path: str) -> None:
    await log_in(browser)
    answer = await browser.get(path)
    assert answer.status_code in (307, 400, 403, 404)
    assert "argon2" not in answer.text
    assert "root:" not in answer.text


@pytest.mark.parametrize(
    "to",
    [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "/\t/evil.example",
        "/%0d%0aSet-Cookie:x=1\r\nx",
        "\\\\evil",
    ],
)
async def test_no_redirect_leads_elsewhere_or_splits_the_answer(browser: httpx.AsyncClient, to: str) -> None:
    answer = await log_in(browser, to=to)
    location = answer.headers["location"]
    assert location.startswith("/")
    assert not location.startswith(("//", "/\\"))
    assert "\r" not in location
    assert "\n" not in location
    again = await browser.get("/login", params={"to": to})
    assert again.headers["location"].startswith("/")
    assert not again.headers["location"].startswith(("//", "/\\"))


async def test_what_a_language_or_a_name_says_does_not_reach_a_header(
    browser: httpx.AsyncClient, junmen: Block
) -> None:
    answer = await browser.get("/login", params={"language": "zh\r\nset-cookie: a=b"})
    assert all("a=b" not in value for value in answer.headers.get_list("set-cookie"))
    answer = await log_in(browser, name="x\r\nset-cookie: a=b")
    assert answer.status_code == 401
    assert all("a=b" not in value for value in answer.headers.get_list("set-cookie"))


async def test_other_names_than_ours_are_refused_where_ours_are_set(junmen: Block) -> None:
    async with with_access(junmen, hosts=["console.example.org"]) as browser:
        for host, status in (
            ("console.example.org", 200),
            ("console.example.org:443", 200),
            ("127.0.0.1:8080", 200),
            ("evil.example", 400),
            ("console.example.org.evil.example", 400),
            ("evil.example#console.example.org", 400),
            ("", 400),
        ):
            answer = await browser.get("/login", headers={"host": host})
            assert answer.status_code == status, host
            assert answer.headers["x-frame-options"] == "DENY"


async def test_no_page_says_the_host_that_the_request_said(browser: httpx.AsyncClient) -> None:
    answer = await browser.get("/", headers={"host": "evil.example"})
    assert "evil" not in answer.headers["location"]
    assert "evil" not in (await browser.get("/login", headers={"host": "evil.example"})).text


async def test_only_a_proxy_that_is_trusted_says_from_where_one_comes(junmen: Block) -> None:
    forwarded = {"x-forwarded-for": "6.6.6.6, 203.0.113.9", "x-forwarded-proto": "https"}
    for proxies, address, is_secure in (([], "127.0.0.1", False), (["127.0.0.1"], "203.0.113.9", True)):
        async with with_access(junmen, trusted_proxies=proxies) as browser:
            page = await browser.get("/login", headers=forwarded)
            cookie = page.headers["set-cookie"].partition(";")[0]  # by hand: to the test it isn't https
            fields = {"token": hidden(page.text, "token"), "name": "chen", "password": PASSWORD}
            answer = await browser.post("/login", data=fields, headers=forwarded | {"cookie": cookie})
        assert junmen.accounts.journal(events=["login.opened"])[0].address == address
        cookies = [line for line in answer.headers.get_list("set-cookie") if "Max-Age=0" not in line]
        assert cookies
        assert all(("Secure" in line) is is_secure for line in cookies)


async def test_https_for_good_is_said_by_setting_and_over_https_alone(junmen: Block) -> None:
    for settings, proto, is_said in (
        ({}, "https", False),
        ({"hsts": True}, "http", False),
        ({"hsts": True}, "https", True),
    ):
        async with with_access(junmen, trusted_proxies=["127.0.0.0/8"], **settings) as browser:
            answer = await browser.get("/login", headers={"x-forwarded-proto": proto})
            assert ("strict-transport-security" in answer.headers) is is_said


@pytest.mark.parametrize(
    ("field", "value"),
    [("trusted_proxies", ["proxy"]), ("trusted_proxies", ["*"]), ("hosts", ["https://x"]), ("password_days", 0)],
)
def test_a_setting_that_would_open_a_door_by_mistake_is_refused(field: str, value: object) -> None:
    with pytest.raises((ConfigError, ValueError)):
        Access.model_validate({field: value})


async def test_a_body_that_drips_is_given_up(junmen: Block) -> None:
    app = Rim(junmen.console(), patience_s=0.2)

    async def drip() -> AsyncIterator[bytes]:
        yield b"name=chen"
        await asyncio.Event().wait()  # and nothing more ever
        yield b"&password=x"

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://console") as browser:
        sending = browser.post(
            "/login",
            content=drip(),
            headers={"content-length": "100", "content-type": "application/x-www-form-urlencoded"},
        )
        answer = await asyncio.wait_for(sending, 60)
    assert answer.status_code == 408
    assert answer.headers["x-frame-options"] == "DENY"


async def test_a_real_server_gives_up_and_goes_on_serving(junmen: Block, tmp_path: Path) -> None:
    """Heads that are no heads, a head that is too long, and a body larger than it says."""
    listening = bound(junmen.config.listen.model_copy(update={"port": free_port()}))
    address = listening.getsockname()
    serving = asyncio.create_task(serve(junmen.console(), listening))
    try:
        for attack in (
            b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nX: " + b"x" * 200_000 + b"\r\n\r\n",
            b"GET /\r\n /x HTTP/1.1\r\n\r\n",
            b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
            b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
            b"POST /login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        ):
            answer = await asyncio.to_thread(spoken, address, attack)
            assert not answer or re.match(rb"HTTP/1\.1 (4\d\d|303)", answer), (attack[:60], answer[:60])
        answer = await asyncio.to_thread(
            spoken, address, b"GET /login HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        assert answer.startswith(b"HTTP/1.1 200")
        assert b"\r\nserver:" not in answer.lower()
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


def spoken(address: tuple[str, int], words: bytes) -> bytes:
    with socket.create_connection(address[:2], timeout=3) as line:
        try:
            line.sendall(words)
            return b"".join(iter(lambda: line.recv(65536), b""))
        except (ConnectionError, TimeoutError):
            return b""


async def test_nothing_is_loaded_from_elsewhere(browser: httpx.AsyncClient, junmen: Block) -> None:
    """Every page that a link leads to, for who may see most of them; what they load is ours, and is there. A page that leads
    to itself with other questions (a calendar does, without end) is asked a few of them."""
    junmen.accounts.add("li", PASSWORD, "engineer")
    junmen.raise_alarm(place="http://evil.example/")
    junmen.raise_alarm("door-301", kind="elderly_door", rule="unopened", level="orange")
    there: set[str] = set()
    for name in ("chen", "li"):
        visited: set[str] = set()
        asked: Counter[str] = Counter()
        browser.cookies.clear()
        await log_in(browser, name)
        todo = [
            "/",
            "/account",
            "/account/password",
            "/accounts",
            "/accounts/journal",
            "/map",
            "/cases",
            "/w/",
            "/plant",
        ]
        while todo and len(visited) < 150:
            path = todo.pop()
            page = path.partition("?")[0]
            if path in visited or asked[page] == 4:
                continue
            visited.add(path)
            asked[page] += 1
            answer = await browser.get(path)
            assert answer.status_code in (200, 303, 403, 404), path
            if "text/html" not in answer.headers.get("content-type", ""):
                continue
            for attribute, address in re.findall(
                r'\b(src|href|action|formaction|srcset|poster|data)="([^"]*)"', answer.text
            ):
                target = unescape(address)
                assert re.match(r"(/(?!/)|\?|#|tel:|geo:|$)", target), (path, attribute, target)
                if attribute == "src" or ".css" in target:
                    assert target in there or (await browser.get(target)).status_code == 200, target
                    there.add(target)
                elif attribute == "href" and target.startswith("/") and not target.startswith("/static"):
                    todo.append(target.partition("#")[0])
            assert not re.search(
                r"<script(?![^>]*src=)(?![^>]*application/json)|\son\w+=|<iframe|<object|<embed|style=\"[^\"]*url",
                answer.text,
            ), path
        assert len(asked) > 30, name


def test_no_file_of_ours_names_an_address_elsewhere() -> None:
    folder = Path(str(files("console")))
    for path in [*(folder / "static").rglob("*"), *(folder / "pages").rglob("*")]:
        if path.suffix in (".css", ".mjs", ".js", ".html", ".svg", ".json", ".webmanifest"):
            text = path.read_text(encoding="utf-8").replace("http://www.w3.org/", "")
            assert not re.search(r"(https?:)?//[a-z0-9-]+\.[a-z]{2,}", text), path
            assert not re.search(r"url\((?!['\"]?(/|data:|#))", text), path


async def test_no_address_of_a_page_is_an_error_of_ours_whatever_stands_in_it(junmen: Block) -> None:
    """Every field of every page that is read."""
    junmen.accounts.add("wei", PASSWORD, "engineer")
    web = junmen.console()
    its = {path: names for path, names in queries(web).items() if "{" not in path and path != "/feed" and names}
    assert {"/audit", "/quarantine", "/accounts/journal", "/devices", "/cases", "/roster", "/look"} <= its.keys()
    wrong = list[tuple[str, str, str]]()
    transport = httpx.ASGITransport(web, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://console") as browser:
        await log_in(browser, "wei")
        for path, names in its.items():
            for value in ("-1", "9" * 30, "9999-12-31T23:59:59\u202e{0.__class__}"):
                answer = await browser.get(path, params=dict.fromkeys(names, value))
                tries = names if answer.status_code == 400 else ()  # refused for one of them: the others by themselves
                for name in tries:
                    answer = await browser.get(path, params={name: value})
                    wrong += [(path, name, value)] * (answer.status_code >= 500)
                wrong += [(path, "", value)] * (answer.status_code >= 500)
    assert wrong == []


async def test_an_address_with_a_character_that_no_database_takes_is_refused(
    browser: httpx.AsyncClient, junmen: Block
) -> None:
    """PostgreSQL has no room for it in a text: looking for it was an error of ours."""
    await log_in(browser)
    token = hidden((await browser.get("/")).text, "token")
    for path in (
        "/audit?words=a%00b",
        "/cases?site=%00",
        "/cases/%00",
        "/devices/junmen/pi-1/%00",
        "/api/v1/cases/%00",
    ):
        answer = await browser.get(path)
        assert answer.status_code == 400, path
        assert answer.headers["x-frame-options"] == "DENY"
    assert (await browser.post("/w/cases/%00/accept", data={"token": token})).status_code == 400


def queries(web: FastAPI) -> dict[str, set[str]]:
    """The fields of each address that is read."""
    found = dict[str, set[str]]()
    for router in web.routes:
        for context in getattr(router, "effective_route_contexts", tuple)():
            if "GET" in context.methods:
                found[context.path] = {one.alias for one in asked_in_query(context.dependant)}
    return found


def asked_in_query(dependant: Dependant) -> Iterator[ModelField]:
    yield from dependant.query_params
    for inner in dependant.dependencies:
        yield from asked_in_query(inner)


async def test_what_others_have_written_turns_nothing_about_that_stands_beside_it(
    browser: httpx.AsyncClient, junmen: Block
) -> None:
    turned = "\u202e3号楼\u2066"
    alarm = junmen.raise_alarm(title=Text(zh=turned, en=turned), place=turned, evidence={"gas_concentration": turned})
    assert alarm.case
    junmen.desk.note(alarm.case.id, actor="chen", at_ms=junmen.now_ms, words=f"已到\u202e{turned}")
    await log_in(browser)
    for path in (
        "/",
        f"/alarms/{alarm.id}",
        f"/cases/{alarm.case.id}",
        "/cases",
        f"/w/cases/{alarm.case.id}",
        "/audit",
    ):
        page = (await browser.get(path)).text
        assert "3号楼" in page or path == "/audit"
        assert not {"\u202e", "\u2066"} & set(page), path


async def test_a_visit_asks_no_more_than_the_database_of_accounts(browser: httpx.AsyncClient) -> None:
    """A cookie of any sort opens nothing and breaks nothing."""
    for value in ("", "x", "%00", "'; DROP TABLE users; --", "a" * 4000, "林"):
        answer = await browser.get("/", headers={b"cookie": f"{SESSION_COOKIE}={value}".encode()})
        assert answer.status_code == 303
