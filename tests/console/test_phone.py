"""The worker's pages without scripts: who sees which case, what the buttons do, and what is refused."""

import re
import uuid

import httpx
import pytest

from messages.settings import Text
from rules.records import CaseState
from tests.console.block import NOON_MS, PASSWORD, Block
from tests.console.browsing import hidden, log_in
from tests.console.phones import JSON, case_of, events, now, press, seen, send_photo
from tests.pictures import JPEG


async def test_a_worker_is_led_to_the_cases_of_his_grid_red_first(phone: httpx.AsyncClient, lin: Block) -> None:
    case_of(lin, name="a", level="blue", place="blue one")
    case_of(lin, name="b", level="red", place="red one")
    case_of(lin, name="c", level="red", place="of another grid", grid="grid-2")
    page = seen(await phone.get("/w/"))
    assert page.index("red one") < page.index("blue one")
    assert "of another grid" not in page
    assert "接单还剩 1:00" in page


async def test_what_others_do_stands_apart_with_their_names(phone: httpx.AsyncClient, lin: Block) -> None:
    case = case_of(lin)
    lin.desk.accept(case.id, actor="wu", at_ms=lin.now_ms)
    page = seen(await phone.get("/w/"))
    assert "没有待办工单" in page
    assert page.index("他人处理中") < page.index("吴")


async def test_while_the_engine_is_dead_no_list_says_that_there_is_nothing_to_do(
    phone: httpx.AsyncClient, lin: Block
) -> None:
    lin.now_ms += 60_000
    page = seen(await phone.get("/w/"))
    assert "没有待办工单" not in page
    assert "新告警不会出现" in page


async def test_a_case_says_what_to_do_first_whom_to_call_and_the_way(phone: httpx.AsyncClient, lin: Block) -> None:
    case = case_of(lin, advice=Text(zh="开窗，别碰开关", en="Open the windows"))
    page = await phone.get(f"/w/cases/{case.id}")
    assert "开窗，别碰开关" in page.text
    assert 'href="tel:' in page.text
    assert "楼栋长" in page.text
    assert re.search(r'href="geo:26\.08\d+,119\.30\d+\?q=', page.text)


async def test_the_buttons_carry_a_case_through_under_the_rosters_name(phone: httpx.AsyncClient, lin: Block) -> None:
    case = case_of(lin)
    base = f"/w/cases/{case.id}"
    assert (await press(phone, base, "accept")).json() == {"complaint": ""}
    assert (await press(phone, base, "arrive", code=lin.label("gas-1"))).status_code == 200
    assert (await press(phone, base, "finish", outcome="mended")).status_code == 200
    done = now(lin, case)
    assert (done.state, done.accepted_by, done.on_site_how, done.outcome) == (
        CaseState.FEEDBACK,
        "lin",
        "code",
        "mended",
    )


async def test_a_plain_form_does_it_without_any_script(phone: httpx.AsyncClient, lin: Block) -> None:
    case = case_of(lin)
    page = await phone.get(f"/w/cases/{case.id}")
    answer = await phone.post(f"/w/cases/{case.id}/accept", data={"token": hidden(page.text, "token")})
    assert (answer.status_code, answer.headers["location"]) == (303, f"/w/cases/{case.id}")
    assert now(lin, case).accepted_by == "lin"


async def test_the_same_key_twice_is_one_act_with_the_phones_time(phone: httpx.AsyncClient, lin: Block) -> None:
    case, key = case_of(lin), str(uuid.uuid4())
    for _ in range(2):
        answer = await press(phone, f"/w/cases/{case.id}", "note", words="门锁着", key=key, device_at_ms=NOON_MS - 5)
        assert answer.status_code == 200
    notes = [line for line in lin.desk.log_of_case(case.id) if line.event == "case.note"]
    assert [(line.actor, line.device_at_ms, line.at_ms) for line in notes] == [("lin", NOON_MS - 5, NOON_MS)]


@pytest.mark.parametrize(
    "fields", [{"key": "1"}, {"key": "x" * 36}, {"device_at_ms": "-1"}, {"device_at_ms": "9" * 30}]
)
async def test_an_act_with_a_key_or_time_that_is_none_is_refused(
    phone: httpx.AsyncClient, lin: Block, fields: dict[str, str]
) -> None:
    case = case_of(lin)
    assert (await press(phone, f"/w/cases/{case.id}", "accept", **fields)).status_code == 400
    assert now(lin, case).state is CaseState.REGISTERED


async def test_who_comes_second_learns_who_was_first(phone: httpx.AsyncClient, lin: Block) -> None:
    case = case_of(lin)
    lin.desk.accept(case.id, actor="wu", at_ms=lin.now_ms)
    answer = await press(phone, f"/w/cases/{case.id}", "accept")
    assert answer.status_code == 409
    assert "吴" in answer.json()["complaint"]


async def test_the_place_of_the_phone_is_believed_within_the_fence_alone(phone: httpx.AsyncClient, lin: Block) -> None:
    for name, lat, how in (("near", 26.0851, "geofence"), ("far", 26.2, "manual")):
        case = case_of(lin, name=name, spot=(26.085, 119.3))
        await press(phone, f"/w/cases/{case.id}", "accept")
        await press(phone, f"/w/cases/{case.id}", "arrive", lat=lat, lon=119.3, error_m=10)
        assert now(lin, case).on_site_how == how


async def test_giving_back_asking_for_another_for_time_and_a_note(phone: httpx.AsyncClient, lin: Block) -> None:
    case = case_of(lin)
    base = f"/w/cases/{case.id}"
    await press(phone, base, "accept")
    assert (await press(phone, base, "reject")).json()["complaint"] == "请写明原因。"
    assert (await press(phone, base, "reassign", reason="要电工")).status_code == 200
    assert (await press(phone, base, "extend", hours=2, reason="等配件")).status_code == 200
    assert (await press(phone, base, "note", words="已关阀")).status_code == 200
    assert "已申请延期到" in seen(await phone.get(base))
    assert (await press(phone, base, "reject", reason="不归我管")).status_code == 200
    assert events(lin, case)[-5:] == [
        ("case.accepted", "lin"),
        ("case.reassignment_asked", "lin"),
        ("case.extension_asked", "lin"),
        ("case.note", "lin"),
        ("case.rejected", "lin"),
    ]


async def test_another_grids_worker_neither_sees_nor_does_anything(phone: httpx.AsyncClient, lin: Block) -> None:
    case = case_of(lin, grid="grid-2")
    for path in ("", "/session", "/photo"):
        assert (await phone.get(f"/w/cases/{case.id}{path}")).status_code == 404
    token = hidden((await phone.get("/w/cases/" + case_of(lin, name="own").id)).text, "token")
    for step in ("accept", "arrive", "finish", "note", "reject", "reassign", "extend", "check-in"):
        answer = await phone.post(f"/w/cases/{case.id}/{step}", data={"token": token}, headers=JSON)
        assert answer.status_code == 404
    noted = lin.accounts.journal(events=["refused"])
    assert {line.actor for line in noted} == {"linxm"}
    assert f"place: POST /w/cases/{case.id}/accept" in [line.detail for line in noted]
    lin.desk.dispatch(case.id, actor="chen", at_ms=lin.now_ms, to="lin")
    assert (await press(phone, f"/w/cases/{case.id}", "accept")).status_code == 200


async def test_a_reader_may_look_and_not_touch(browser: httpx.AsyncClient, lin: Block) -> None:
    lin.accounts.add("sun", PASSWORD, "auditor")
    await log_in(browser, "sun")
    case = case_of(lin)
    assert (await browser.get(f"/w/cases/{case.id}")).status_code == 200
    assert (await press(browser, f"/w/cases/{case.id}", "accept")).status_code == 403


async def test_an_act_from_elsewhere_is_refused(phone: httpx.AsyncClient, lin: Block) -> None:
    case = case_of(lin)
    for fields, headers in (({}, {}), ({"token": "0" * 64}, {}), (None, {"origin": "https://evil.example"})):
        token = (await phone.get(f"/w/cases/{case.id}/session")).json()["token"]
        data = {"token": token} if fields is None else fields
        answer = await phone.post(f"/w/cases/{case.id}/accept", data=data, headers=JSON | headers)
        assert answer.status_code == 403
    assert (await send_photo(phone, f"/w/cases/{case.id}", origin="https://evil.example")).status_code == 403
    assert (await send_photo(phone, f"/w/cases/{case.id}", x_form_token="0" * 64)).status_code == 403
    assert events(lin, case) == [("case.registered", "rules")]


async def test_without_a_login_nothing_of_it_is_shown(stranger: httpx.AsyncClient, lin: Block) -> None:
    case = case_of(lin)
    for path in ("/w/", f"/w/cases/{case.id}", "/a/K7Q2M9XD4TRB", "/w/asset?code=gas-1"):
        assert (await stranger.get(path)).headers["location"].startswith("/login")
        assert (await stranger.get(path, headers=JSON)).status_code == 401


async def test_what_was_done_a_day_ago_is_taken_once_with_the_time_at_which_it_was_done(
    phone: httpx.AsyncClient, lin: Block
) -> None:
    case, key = case_of(lin), str(uuid.uuid4())
    done_ms = lin.now_ms
    lin.now_ms += 25 * 3_600_000
    for _ in range(2):
        answer = await press(phone, f"/w/cases/{case.id}", "accept", key=key, device_at_ms=done_ms)
        assert answer.json() == {"complaint": ""}
    lines = [line for line in lin.desk.log_of_case(case.id) if line.event == "case.accepted"]
    assert [(line.device_at_ms, line.at_ms, line.key) for line in lines] == [(done_ms, lin.now_ms, key)]


async def test_a_login_that_has_ended_sends_nothing_any_more(phone: httpx.AsyncClient, lin: Block) -> None:
    case = case_of(lin)
    session = (await phone.get(f"/w/cases/{case.id}/session")).json()
    stolen = dict(phone.cookies)
    await phone.post("/logout", data={"token": session["token"]})
    phone.cookies.update(stolen)
    assert (await phone.get(f"/w/cases/{case.id}/session", headers=JSON)).status_code == 401
    answer = await phone.post(f"/w/cases/{case.id}/accept", data={"token": session["token"]}, headers=JSON)
    assert answer.status_code == 403
    photo = {"content-type": "image/jpeg", "x-form-token": session["token"], **JSON}
    assert (await phone.post(f"/w/cases/{case.id}/photos", content=JPEG, headers=photo)).status_code == 401
    assert now(lin, case).state is CaseState.REGISTERED
    assert lin.accounts.journal(events=["login.replayed"]) == []  # it may have been under way
    lin.now_ms += 61_000
    for _ in range(3):
        assert (await phone.get(f"/w/cases/{case.id}/session", headers=JSON)).status_code == 401
    assert [line.actor for line in lin.accounts.journal(events=["login.replayed"])] == ["linxm"]
