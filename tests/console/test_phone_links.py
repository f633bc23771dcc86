"""The link of a message: it opens one case for its person and nothing else, and ends."""

from typing import Any

import httpx
import pytest
from sqlalchemy import update

from rules.escalation import call, queue
from rules.notices import links
from rules.records import CaseState
from rules.store import tables
from tests.console.block import Block
from tests.console.browsing import hidden
from tests.console.phones import JSON, case_of, link_to, notices, now, press, send_photo


async def test_a_link_opens_its_case_without_a_login_and_acts_as_its_person(
    stranger: httpx.AsyncClient, lin: Block
) -> None:
    case = case_of(lin)
    link = link_to(lin, case)
    page = await stranger.get(link)
    assert "燃气泄漏" in page.text
    assert (await press(stranger, link, "accept")).status_code == 200
    assert (await press(stranger, link, "arrive")).status_code == 200
    photo = (await send_photo(stranger, link)).json()["photo"]
    assert (await press(stranger, link, "finish", outcome="mended", photo=photo)).status_code == 200
    done = now(lin, case)
    assert (done.accepted_by, done.feedback_by, done.photo and done.photo.sha256) == ("lin", "lin", photo)


async def test_a_link_gives_nothing_but_its_case(stranger: httpx.AsyncClient, lin: Block) -> None:
    case, other = case_of(lin), case_of(lin, name="other", place="not for him")
    link = link_to(lin, case)
    page = await stranger.get(link)
    assert "not for him" not in page.text
    assert 'href="/w/"' not in page.text
    for path in ("/w/", "/", f"/w/cases/{case.id}", f"/w/cases/{other.id}", f"/alarms/{other.id}"):
        assert (await stranger.get(path)).status_code == 303
    token = hidden(page.text, "token")
    assert (await stranger.post(f"/w/cases/{other.id}/accept", data={"token": token}, headers=JSON)).status_code == 401
    assert now(lin, other).state is CaseState.REGISTERED


@pytest.mark.parametrize("end", ["expired", "revoked", "forged"])
async def test_a_link_that_is_over_says_so_with_the_way_to_log_in(
    stranger: httpx.AsyncClient, lin: Block, end: str
) -> None:
    case = case_of(lin)
    link = link_to(lin, case)
    token = hidden((await stranger.get(link)).text, "token")
    if end == "expired":
        lin.now_ms += links.LINK_MS
    elif end == "revoked":
        with lin.database.writing() as connection:
            links.revoke(connection, lin.now_ms, case=case.id)
    else:
        link += "x"
    page = await stranger.get(link)
    assert page.status_code == 410
    assert "这个链接已失效" in page.text
    assert 'href="/login' in page.text
    answer = await stranger.post(f"{link}/accept", data={"token": token}, headers=JSON)
    assert (answer.status_code, answer.json()["complaint"]) == (410, "这个链接已失效。")
    assert now(lin, case).state is CaseState.REGISTERED
    noted = lin.accounts.journal(events=["refused"])
    assert [(line.actor, line.detail) for line in noted] == [("/c/", "link: POST"), ("/c/", "link: GET")]


async def test_who_is_logged_in_goes_on_under_his_own_name(phone: httpx.AsyncClient, lin: Block) -> None:
    case = case_of(lin)
    answer = await phone.get(link_to(lin, case, "wu"))
    assert answer.headers["location"] == f"/w/cases/{case.id}"


async def test_who_has_opened_or_acted_has_been_told(stranger: httpx.AsyncClient, lin: Block) -> None:
    case = case_of(lin)
    with lin.database.writing() as connection:
        queue.put(connection, [(call.directly(now(lin, case), "lin", lin.now_ms), lin.now_ms)], lin.now_ms)
        connection.execute(update(tables.notices).values(state="handed_over"))
    link = link_to(lin, case)
    await stranger.get(link)
    assert notices(lin) == [("lin", "read")]
    await press(stranger, link, "accept")
    assert notices(lin) == [("lin", "acted")]


KEY = "0198c0de-0000-7000-8000-000000000001"


async def late(stranger: httpx.AsyncClient, link: str, step: str = "accept", **fields: object) -> httpx.Response:
    """As the queue of a phone sends it."""
    known = await stranger.get(f"{link}/session", headers=JSON)
    token = known.json().get("token", "")
    return await stranger.post(f"{link}/{step}", data={"token": token, **fields}, headers=JSON)


async def test_what_was_done_while_a_link_held_is_taken_after_its_end_with_the_time_at_which_it_was_done(
    stranger: httpx.AsyncClient, lin: Block
) -> None:
    case = case_of(lin)
    link = link_to(lin, case)
    await stranger.get(link)
    done_at_ms = lin.now_ms + links.LINK_MS - 1
    lin.now_ms += links.LINK_MS + links.LATE_MS - 1
    answers = [await late(stranger, link, key=KEY, device_at_ms=done_at_ms) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    lines = [line for line in lin.desk.log_of_case(case.id) if line.event == "case.accepted"]
    assert [(line.actor, line.device_at_ms, line.at_ms) for line in lines] == [("lin", done_at_ms, lin.now_ms)]
    assert (await stranger.get(link)).status_code == 410
    assert (await stranger.get(f"{link}/photo")).status_code == 410


@pytest.mark.parametrize(
    ("past_ms", "done_ms", "key", "how"),
    [
        (links.LATE_MS, -1, KEY, "opened"),  # too late, whatever the phone says
        (10 * links.LATE_MS, -1, KEY, "opened"),
        (1, 0, KEY, "opened"),  # done after its end
        (1, 86_400_000, KEY, "opened"),  # a clock that runs ahead
        (1, -links.LINK_MS - 1, KEY, "opened"),  # done before anybody had it
        (1, None, KEY, "opened"),
        (1, -1, None, "opened"),  # a plain form, which waits nowhere
        (1, -1, KEY, "never opened"),
        (1, -1, KEY, "revoked"),
        (1, -1, KEY, "revoked after its end"),
    ],
)
async def test_no_time_that_a_phone_may_say_makes_a_link_hold_for_longer(
    stranger: httpx.AsyncClient, lin: Block, past_ms: int, done_ms: int | None, key: str | None, how: str
) -> None:
    case = case_of(lin)
    link, ends_ms = link_to(lin, case), lin.now_ms + links.LINK_MS
    if how != "never opened":
        await stranger.get(link)
    lin.now_ms = ends_ms + past_ms - (past_ms if how == "revoked" else 0)
    if how.startswith("revoked"):
        with lin.database.writing() as connection:
            assert links.revoke(connection, lin.now_ms, case=case.id) == 1
    fields: dict[str, Any] = {"key": key, "device_at_ms": None if done_ms is None else ends_ms + done_ms}
    answer = await late(stranger, link, **{name: value for name, value in fields.items() if value is not None})
    assert answer.status_code in (403, 410)
    assert now(lin, case).state is CaseState.REGISTERED
