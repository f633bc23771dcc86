"""The way in and out: who gets past, with which cookies, and what a stranger sees."""

import sqlite3

import httpx
import pytest
from fastapi.routing import APIRoute

from console import doors, routes
from console.access.rim import SESSION_COOKIE
from tests.console.block import PASSWORD, Block
from tests.console.browsing import hidden, log_in, press

ROUTES = [
    (method, route.path)
    for route in (*doors.router.routes, *routes.router.routes)
    if isinstance(route, APIRoute)
    for method in sorted(route.methods or ())
]
FOR_ANYBODY = {("GET", "/login"), ("POST", "/login"), ("GET", "/healthz"), ("GET", "/look")}


@pytest.mark.parametrize(("method", "path"), [route for route in ROUTES if route not in FOR_ANYBODY])
async def test_a_stranger_gets_nothing_but_the_way_to_the_login(
    browser: httpx.AsyncClient, junmen: Block, method: str, path: str
) -> None:
    alarm = junmen.raise_alarm()
    answer = await browser.request(method, path.replace("{alarm_id}", alarm.id))
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/login")
    assert (await browser.request(method, path, headers={"accept": "*/*"})).status_code == 401
    assert alarm.place.text not in answer.text
    assert junmen.alarm(alarm.id) == alarm


def test_every_route_is_known_here() -> None:
    assert len(ROUTES) == 13


async def test_a_stranger_who_asks_for_the_feed_is_told_by_its_status(browser: httpx.AsyncClient) -> None:
    assert (await browser.get("/feed", headers={"accept": "text/event-stream"})).status_code == 401


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json", "/static/../config.py", "/console.db"])
async def test_there_is_nothing_else_to_find(browser: httpx.AsyncClient, path: str) -> None:
    assert (await browser.get(path)).status_code == 404


async def test_the_login_leads_back_to_where_one_wanted_to_go(browser: httpx.AsyncClient, junmen: Block) -> None:
    path = f"/alarms/{junmen.raise_alarm().id}"
    answer = await browser.get(path)
    assert answer.headers["location"] == f"/login?to={path}"
    page = await browser.get(answer.headers["location"])
    answer = await log_in(browser, to=hidden(page.text, "to"))
    assert (answer.status_code, answer.headers["location"]) == (303, path)
    assert (await browser.get(path)).status_code == 200


@pytest.mark.parametrize(
    "to", ["//evil.example/", "https://evil.example/", "/\\evil.example", "javascript:alert(1)", ""]
)
async def test_the_login_leads_nowhere_else(browser: httpx.AsyncClient, to: str) -> None:
    assert (await log_in(browser, to=to)).headers["location"] == "/"


async def test_the_session_is_a_cookie_that_scripts_and_other_sites_cannot_use(browser: httpx.AsyncClient) -> None:
    cookie = next(line for line in (await log_in(browser)).headers.get_list("set-cookie") if SESSION_COOKIE in line)
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Secure" not in cookie


async def test_behind_https_the_cookie_never_travels_in_the_clear(junmen: Block) -> None:
    transport = httpx.ASGITransport(junmen.console())
    async with httpx.AsyncClient(transport=transport, base_url="https://console") as browser:
        cookies = (await log_in(browser)).headers.get_list("set-cookie")
    assert all("Secure" in line for line in cookies if "Max-Age=0" not in line)


async def test_a_wrong_password_is_said_in_words_and_keeps_the_name(browser: httpx.AsyncClient) -> None:
    answer = await log_in(browser, password="not the password")
    assert answer.status_code == 401
    assert "姓名或密码不对" in answer.text
    assert 'value="chen"' in answer.text
    assert SESSION_COOKIE not in browser.cookies


async def test_whoever_guesses_has_to_wait_and_is_told_how_long(browser: httpx.AsyncClient) -> None:
    for _ in range(5):
        await log_in(browser, password="not the password")
    answer = await log_in(browser)
    assert answer.status_code == 429
    assert "请等 5 秒" in answer.text
    assert answer.headers["retry-after"] == "5"


async def test_logging_out_ends_the_session_and_not_only_the_cookie(browser: httpx.AsyncClient) -> None:
    await log_in(browser)
    stolen = browser.cookies[SESSION_COOKIE]
    page = await browser.get("/")
    answer = await browser.post("/logout", data={"token": hidden(page.text, "token")})
    assert answer.headers["location"] == "/login"
    browser.cookies.set(SESSION_COOKIE, stolen)
    assert (await browser.get("/")).status_code == 303


async def test_a_session_that_has_ended_leads_to_the_login(browser: httpx.AsyncClient, junmen: Block) -> None:
    await log_in(browser)
    junmen.now_ms += 13 * 3_600_000
    assert (await browser.get("/")).status_code == 303
    assert (await browser.get("/session", headers={"accept": "application/json"})).status_code == 401


async def test_a_login_form_from_elsewhere_is_not_believed(browser: httpx.AsyncClient) -> None:
    page = await browser.get("/login")
    fields = {"token": hidden(page.text, "token"), "name": "chen", "password": PASSWORD}
    answer = await browser.post("/login", data=fields, headers={"origin": "https://evil.example"})
    assert answer.status_code == 403
    assert SESSION_COOKIE not in browser.cookies


@pytest.mark.parametrize(
    ("token", "headers"),
    [
        ("", {}),
        ("0" * 64, {}),
        ("é", {}),
        (None, {"origin": "https://evil.example"}),
        (None, {"origin": "null"}),
        (None, {"sec-fetch-site": "cross-site"}),
        (None, {"sec-fetch-site": "same-site"}),
    ],
)
async def test_a_button_pressed_from_elsewhere_does_nothing(
    browser: httpx.AsyncClient, junmen: Block, token: str | None, headers: dict[str, str]
) -> None:
    alarm = junmen.raise_alarm()
    await log_in(browser)
    page = await browser.get("/")
    fields = {"token": hidden(page.text, "token") if token is None else token}
    answer = await browser.post(f"/alarms/{alarm.id}/accept", data=fields, headers=headers)
    assert answer.status_code == 403
    assert junmen.alarm(alarm.id) == alarm


async def test_a_form_of_another_session_is_not_believed(browser: httpx.AsyncClient, junmen: Block) -> None:
    alarm = junmen.raise_alarm()
    junmen.accounts.add("wang", PASSWORD, "worker")
    await log_in(browser)
    old = hidden((await browser.get("/")).text, "token")
    browser.cookies.clear()
    await log_in(browser, "wang")
    assert (await browser.post(f"/alarms/{alarm.id}/accept", data={"token": old})).status_code == 403
    assert (await press(browser, f"/alarms/{alarm.id}", "accept")).status_code == 303


async def test_a_request_larger_than_any_form_is_not_read(browser: httpx.AsyncClient) -> None:
    answer = await browser.post("/login", data={"name": "x" * 70_000})
    assert answer.status_code == 413


@pytest.mark.parametrize("path", ["/login", "/", "/static/console.css", "/nowhere", "/healthz", "/feed"])
async def test_every_answer_carries_the_policy(browser: httpx.AsyncClient, path: str) -> None:
    headers = (await browser.get(path)).headers
    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cache-control"] == ("no-cache" if path.startswith("/static/") else "no-store")


async def test_an_error_carries_the_policy_too_and_speaks_plainly(junmen: Block) -> None:
    junmen.raise_alarm(place="3号楼")
    app = junmen.console()
    with junmen.database.writing() as connection:
        connection.exec_driver_sql("UPDATE alarms SET level = 'purple'")
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://console") as browser:
        await log_in(browser)
        answer = await browser.get("/")
    assert answer.status_code == 500
    assert "服务器出错了" in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


@pytest.mark.parametrize("origin", ["http://[", "http://]", "//", "http://console:x:y", "console", "http://console/"])
async def test_an_origin_that_is_none_is_refused_and_not_stumbled_over(
    browser: httpx.AsyncClient, junmen: Block, origin: str
) -> None:
    alarm = junmen.raise_alarm()
    await log_in(browser)
    token = hidden((await browser.get("/")).text, "token")
    answer = await browser.post(f"/alarms/{alarm.id}/accept", data={"token": token}, headers={"origin": origin})
    assert answer.status_code == 403
    answer = await browser.post(
        f"/alarms/{alarm.id}/accept", data={"token": token}, headers={"origin": "http://console"}
    )
    assert answer.status_code == 303


async def test_a_form_with_files_in_it_is_not_read(browser: httpx.AsyncClient, junmen: Block) -> None:
    alarm = junmen.raise_alarm()
    await log_in(browser)
    token = hidden((await browser.get("/")).text, "token")
    path = f"/alarms/{alarm.id}/accept"
    assert (await browser.post(path, data={"token": token}, files={"x": b"y"})).status_code == 415
    assert (await browser.post(path, json={"token": token})).status_code == 415
    assert junmen.alarm(alarm.id) == alarm


async def test_the_page_of_an_error_asks_no_database(junmen: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    transport = httpx.ASGITransport(junmen.console(), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://console") as browser:
        await log_in(browser)
        monkeypatch.setattr(junmen.accounts, "session", fail)
        answer = await browser.get("/")
    assert answer.status_code == 500
    assert "服务器出错了" in answer.text
