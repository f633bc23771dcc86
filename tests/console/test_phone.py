"""The worker's pages without scripts: who sees which case, what the buttons do, what a link opens, and what a photo may be."""

import re
import struct
import time
import uuid
import zlib
from collections.abc import AsyncIterator

import httpx
import pytest
from sqlalchemy import select, update

from console.rights import Scope
from messages.ids import DeviceId
from messages.settings import Text
from rules.cases.photos import MOST_BYTES
from rules.escalation import call, timers
from rules.notices import links
from rules.records import Case, CaseState
from rules.store import tables
from tests.console.block import NOON_MS, PASSWORD, SITE, Block
from tests.console.browsing import hidden, log_in

JSON = {"accept": "application/json"}
JPEG = b"\xff\xd8\xff\xe1\x00\x0cExif\0\0GPS!\xff\xdb\x00\x04\x01\x02\xff\xda\x00\x03\x01picture\xff\xd9after"


@pytest.fixture
def lin(junmen: Block) -> Block:
    """A worker of the first grid, whom the roster calls lin; and one of the second."""
    junmen.accounts.add("linxm", PASSWORD, "worker", Scope(("junmen",), ("grid-1",)), "lin")
    junmen.accounts.add("wu", PASSWORD, "worker", Scope(("junmen",), ("grid-1",)))
    junmen.accounts.add("zheng", PASSWORD, "worker", Scope(("junmen",), ("grid-2",)))
    return junmen


@pytest.fixture
async def phone(browser: httpx.AsyncClient, lin: Block) -> httpx.AsyncClient:
    await log_in(browser, "linxm")
    return browser


@pytest.fixture
async def stranger(lin: Block) -> AsyncIterator[httpx.AsyncClient]:
    """A browser that nobody is logged in with."""
    transport = httpx.ASGITransport(lin.console())
    headers = {"accept": "text/html", "accept-language": "zh-CN"}
    async with httpx.AsyncClient(transport=transport, base_url="http://console", headers=headers) as client:
        yield client


def case_of(block: Block, **about: object) -> Case:
    found = block.raise_alarm(**about).case  # type: ignore[arg-type]
    assert found
    return found


def link_to(block: Block, case: Case, person: str = "lin") -> str:
    with block.database.writing() as connection:
        return "/c/" + links.make(connection, case.id, person, block.now_ms)


def now(block: Block, case: Case) -> Case:
    found = block.desk.case(case.id)
    assert found
    return found


def seen(page: httpx.Response) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page.text))


def events(block: Block, case: Case) -> list[tuple[str, str]]:
    return [(line.event, line.actor) for line in block.desk.log_of_case(case.id) if line.event.startswith("case.")]


async def press(phone: httpx.AsyncClient, base: str, step: str, **fields: object) -> httpx.Response:
    session = (await phone.get(f"{base}/session", headers=JSON)).json()
    return await phone.post(f"{base}/{step}", data={"token": session["token"], **fields}, headers=JSON)


async def send_photo(phone: httpx.AsyncClient, base: str, content: bytes = JPEG, **named: str) -> httpx.Response:
    session = (await phone.get(f"{base}/session", headers=JSON)).json()
    headers = {name.replace("_", "-"): value for name, value in named.items()}
    more = {"content-type": "image/jpeg", "x-form-token": session["token"], **JSON, **headers}
    return await phone.post(f"{base}/photos", content=content, headers=more)


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


async def test_a_photo_is_kept_once_and_shown_without_what_the_phone_wrote_beside_it(
    phone: httpx.AsyncClient, lin: Block
) -> None:
    case = case_of(lin)
    base = f"/w/cases/{case.id}"
    lin.desk.accept(case.id, actor="lin", at_ms=lin.now_ms)
    lin.desk.arrive(case.id, actor="lin", at_ms=lin.now_ms)
    names = {(await send_photo(phone, base)).json()["photo"] for _ in range(2)}
    assert len(names) == 1
    await press(phone, base, "finish", outcome="mended", photo=names.pop())
    shown = await phone.get(f"{base}/photo")
    assert shown.headers["content-type"] == "image/jpeg"
    assert shown.content == b"\xff\xd8\xff\xdb\x00\x04\x01\x02\xff\xda\x00\x03\x01picture\xff\xd9"
    kept = now(lin, case).photo
    assert kept
    assert lin.desk.photo(kept) == JPEG


async def test_what_is_no_photo_or_too_large_or_of_another_sort_is_refused(
    phone: httpx.AsyncClient, lin: Block
) -> None:
    base = f"/w/cases/{case_of(lin).id}"
    assert (await send_photo(phone, base, b"<script>alert(1)</script>")).status_code == 400
    assert (await send_photo(phone, base, b"\xff\xd8\xff" + b"x" * MOST_BYTES)).status_code == 413
    for sort in ("text/html", "image/svg+xml", "multipart/form-data; boundary=x"):
        assert (await send_photo(phone, base, content_type=sort)).status_code == 415
    lost = await press(phone, base, "finish", outcome="mended", photo="0" * 64)
    assert (lost.status_code, lost.json()["complaint"]) == (409, "照片没有传到服务器，请重新提交。")
    assert (await press(phone, base, "finish", outcome="mended", photo="../" * 21 + "x")).status_code == 400
    assert not list((lin.folder / "photos").rglob("*"))


async def test_a_picture_that_is_also_a_page_or_a_bomb_is_sent_back_as_a_picture_and_nothing_else(
    phone: httpx.AsyncClient, lin: Block
) -> None:
    """A polyglot (a JPEG whose comment is a script), and a PNG that says it is 65,535 pixels wide: nobody here unpacks it, and what the
    camera wrote beside the picture never leaves."""
    jpeg = b"\xff\xd8\xff\xfe\x00\x1d<script>alert(1)</script>!!\xff\xe1\x00\x0cExif\0\0GPS!" + JPEG[16:]
    wide = struct.pack(">IIBBBBB", 65_535, 65_535, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in (
            (b"IHDR", wide),
            (b"tEXt", b"Comment\0<script>"),
            (b"eXIf", b"GPS!"),
            (b"IDAT", zlib.compress(bytes(10_000_000))),
            (b"IEND", b""),
        )
    )
    for name, sort, content in (("one", "image/jpeg", jpeg), ("two", "image/png", bomb)):
        case = case_of(lin, name=name)
        base = f"/w/cases/{case.id}"
        lin.desk.accept(case.id, actor="lin", at_ms=lin.now_ms)
        lin.desk.arrive(case.id, actor="lin", at_ms=lin.now_ms)
        photo = (await send_photo(phone, base, content, content_type=sort)).json()["photo"]
        began_s = time.process_time()
        await press(phone, base, "finish", outcome="mended", photo=photo)
        shown = await phone.get(f"{base}/photo")
        assert time.process_time() - began_s < 2
        assert shown.headers["content-type"] == sort
        assert shown.headers["x-content-type-options"] == "nosniff"
        assert shown.headers["content-security-policy"].startswith("default-src 'none'")
        assert b"script" not in shown.content
        assert b"GPS" not in shown.content


async def test_nobody_sends_photos_without_end(phone: httpx.AsyncClient, lin: Block) -> None:
    base = f"/w/cases/{case_of(lin).id}"
    for _ in range(60):
        assert (await send_photo(phone, base)).status_code == 200
    assert (await send_photo(phone, base)).status_code == 429
    lin.now_ms += 3_600_000
    assert (await send_photo(phone, base)).status_code == 200


async def test_the_label_on_an_asset_opens_its_case_and_stands_for_the_place(
    phone: httpx.AsyncClient, lin: Block
) -> None:
    case, code = case_of(lin, name="cover-1"), lin.label("cover-1")
    typed = f"{code[:4]}-{code[4:8]} {code[8:]}".lower().replace("1", "l").replace("0", "o")
    for path in (f"/a/{code}", f"/w/asset?code={typed}", f"/w/asset?code=https://elsewhere.example/a/{code}"):
        answer = await phone.get(path)
        if answer.headers["location"].startswith("/a/"):
            answer = await phone.get(answer.headers["location"])
        assert answer.headers["location"] == f"/w/cases/{case.id}?code={code}"
    lin.desk.accept(case.id, actor="lin", at_ms=lin.now_ms)
    scanned = await phone.get(answer.headers["location"], headers={"sec-fetch-site": "none"})
    assert f'name="code" value="{code}"' in scanned.text
    assert "data-at-once" in scanned.text
    led = await phone.get(answer.headers["location"], headers={"sec-fetch-site": "cross-site"})
    assert "data-at-once" not in led.text
    for other in (lin.label("cover-2"), "K7Q2M9XD4TRB", "cover-1", "junmen/cover-1"):
        assert 'name="code" value' not in (await phone.get(f"/w/cases/{case.id}?code={other}")).text


async def test_the_name_of_a_device_opens_its_case_and_shows_nothing(phone: httpx.AsyncClient, lin: Block) -> None:
    case = case_of(lin, name="cover-1")
    for name in ("cover-1", "junmen/cover-1"):
        assert (await phone.get(f"/w/asset?code={name}")).headers["location"] == f"/w/cases/{case.id}"
    await press(phone, f"/w/cases/{case.id}", "accept")
    await press(phone, f"/w/cases/{case.id}", "arrive", code="junmen/cover-1")
    assert now(lin, case).on_site_how == "manual"


async def test_a_label_without_a_case_says_what_it_is_on(phone: httpx.AsyncClient, lin: Block) -> None:
    page = await phone.get(f"/a/{lin.label('bin-1', kind='waste_bin')}")
    assert page.status_code == 200
    assert "bin-1 of grid-1" in page.text
    assert "这里没有未办结的工单" in page.text
    for path in ("/w/asset?code=nothing", "/w/asset?code="):
        answer = await phone.get(path)
        assert answer.status_code == 404
        assert "找不到未办结的工单" in answer.text


async def test_another_grids_label_opens_nothing(phone: httpx.AsyncClient, lin: Block) -> None:
    case_of(lin, name="cover-2", grid="grid-2")
    answer = await phone.get(f"/a/{lin.label('cover-2', grid='grid-2')}")
    assert answer.status_code == 403
    assert "cover-2" not in answer.text
    assert lin.accounts.journal(events=["refused"])[0].actor == "linxm"


async def test_a_forged_code_opens_nothing_proves_nothing_and_is_written_down(
    phone: httpx.AsyncClient, lin: Block
) -> None:
    case = case_of(lin, name="cover-1")
    code = lin.label("cover-1")
    forged = code[:-1] + ("2" if code[-1] != "2" else "3")
    answer = await phone.get(f"/a/{forged}")
    assert answer.status_code == 404
    assert "没有这个编码的标签" in answer.text
    assert lin.accounts.journal(events=["refused"])[0].detail == "code: unknown"
    await press(phone, f"/w/cases/{case.id}", "accept")
    await press(phone, f"/w/cases/{case.id}", "arrive", code=forged)
    assert now(lin, case).on_site_how == "manual"
    (line,) = [one for one in lin.desk.log_of_case(case.id) if one.event == "case.on_site"]
    assert (line.actor, line.detail) == ("lin", "code-unknown")
    assert "编码不算数：没有这个标签" in seen(await phone.get(f"/w/cases/{case.id}"))


async def test_a_label_that_was_replaced_counts_for_nothing_from_then_on(phone: httpx.AsyncClient, lin: Block) -> None:
    first, second = case_of(lin, name="cover-1"), case_of(lin, name="cover-2")
    old = [lin.label("cover-1"), lin.label("cover-2")]
    new = lin.desk.replace_label(SITE, DeviceId("cover-1"), why="stolen", actor="wei", at_ms=lin.now_ms)
    answer = await phone.get(f"/a/{old[0]}")
    assert answer.status_code == 410
    assert "这个标签已更换" in answer.text
    assert lin.accounts.journal(events=["refused"])[0].detail == "code: replaced"
    for case in (first, second):
        await press(phone, f"/w/cases/{case.id}", "accept")
    await press(phone, f"/w/cases/{first.id}", "arrive", code=old[0])
    await press(phone, f"/w/cases/{second.id}", "arrive", code=old[1])
    assert (now(lin, first).on_site_how, now(lin, second).on_site_how) == ("manual", "code")
    assert (await phone.get(f"/a/{new.code}")).headers["location"].startswith(f"/w/cases/{first.id}?code=")


async def test_a_code_that_is_used_far_from_its_asset_is_only_a_word(phone: httpx.AsyncClient, lin: Block) -> None:
    case = case_of(lin, name="cover-1", spot=(26.085, 119.3))
    await press(phone, f"/w/cases/{case.id}", "accept")
    await press(phone, f"/w/cases/{case.id}", "arrive", code=lin.label("cover-1"), lat=26.2, lon=119.3, error_m=20)
    assert now(lin, case).on_site_how == "manual"
    assert "手机不在资产旁" in seen(await phone.get(f"/w/cases/{case.id}"))


async def test_the_large_type_and_the_theme_are_kept(phone: httpx.AsyncClient) -> None:
    answer = await phone.get("/look?letters=large&theme=dark&back=//evil.example")
    assert answer.headers["location"] == "/"
    page = await phone.get("/w/")
    assert 'data-letters="large" data-theme="dark"' in page.text
    phone.cookies.set("gridcall_theme", '"><script>')
    assert 'data-theme="auto"' in (await phone.get("/w/")).text


async def test_the_first_load_of_the_list_is_under_a_hundred_kilobytes(phone: httpx.AsyncClient, lin: Block) -> None:
    for number in range(12):
        case_of(lin, name=f"gas-{number}")
    wanted, loaded = ["/w/", "/w/worker.mjs", "/w/icon-192.png", "/w/icon-512.png"], dict[str, int]()
    while wanted:
        path = wanted.pop()
        if path in loaded:
            continue
        answer = await phone.get(path)
        assert answer.status_code == 200, path
        loaded[path] = len(answer.content)
        for found in re.findall(r'(?:src|href|from) ?=? ?"((?:\./|\.\./|/static/|/w/manifest)[^"#]+)', answer.text):
            wanted.append(str(httpx.URL(path).join(found)))
    assert "/static/phone/queue.mjs" in loaded
    assert sum(loaded.values()) < 100_000, loaded


async def test_what_the_browser_keeps_for_later_is_what_the_pages_load(phone: httpx.AsyncClient) -> None:
    kept = set(re.findall(r'^  "(/static/[^"]+)"', (await phone.get("/w/worker.mjs")).text, re.MULTILINE))
    pages = [(await phone.get("/w/")).text]
    wanted = {path for page in pages for path in re.findall(r'"(/static/[^"#]+)', page)}
    for path in [*wanted]:
        if path.endswith(".mjs"):
            for found in re.findall(r'from "(\.[^"]+)"', (await phone.get(path)).text):
                wanted.add(str(httpx.URL(path).join(found)))
    assert kept >= wanted
    for path in kept:
        assert (await phone.get(path)).status_code == 200


async def test_it_can_be_installed(phone: httpx.AsyncClient) -> None:
    manifest = (await phone.get("/w/manifest.webmanifest")).json()
    assert (manifest["start_url"], manifest["display"]) == ("/w/", "standalone")
    for icon in manifest["icons"]:
        assert (await phone.get(icon["src"])).headers["content-type"].startswith(icon["type"])
    worker = await phone.get("/w/worker.mjs")
    assert worker.headers["service-worker-allowed"] == "/"
    policy = worker.headers["content-security-policy"]
    assert "worker-src 'self'" in policy
    assert "manifest-src 'self'" in policy


async def test_a_worker_comes_to_his_cases_by_his_login(browser: httpx.AsyncClient, lin: Block) -> None:
    assert (await log_in(browser, "linxm")).headers["location"] == "/w/"
    assert (await browser.get("/w")).headers["location"] == "/w/"


async def test_who_has_opened_or_acted_has_been_told(stranger: httpx.AsyncClient, lin: Block) -> None:
    case = case_of(lin)
    with lin.database.writing() as connection:
        timers.queue(connection, call.directly(now(lin, case), "lin", lin.now_ms), lin.now_ms)
        connection.execute(update(tables.notices).values(state="handed_over"))
    link = link_to(lin, case)
    await stranger.get(link)
    assert notices(lin) == [("lin", "read")]
    await press(stranger, link, "accept")
    assert notices(lin) == [("lin", "acted")]


def notices(block: Block) -> list[tuple[str, str]]:
    with block.database.reading() as connection:
        return [(row.person, row.state) for row in connection.execute(select(tables.notices))]


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


async def test_what_devices_and_people_write_is_text_and_nothing_else(phone: httpx.AsyncClient, lin: Block) -> None:
    evil = "\"'><img src=x onerror=alert(1)><script>alert(2)</script>"
    alarm = lin.raise_alarm(place=evil, title=Text(zh=evil, en=evil), advice=Text(zh=evil, en=evil))
    assert alarm.case
    lin.rename_device(alarm, evil[:60])
    base = f"/w/cases/{alarm.case.id}"
    await press(phone, base, "accept")
    await press(phone, base, "note", words=evil)
    for path in ("/w/", base, f"{base}?refused={evil}", f"{base}?code={evil}", f"/w/asset?code={evil}", f"/a/{evil}"):
        page = (await phone.get(path)).text
        assert "<img src=x" not in page
        assert "<script>" not in page


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


async def test_the_english_pages_are_english_and_the_chinese_ones_hold_no_english(
    phone: httpx.AsyncClient, lin: Block
) -> None:
    case = case_of(
        lin, place="Block 9", title=Text(zh="井盖", en="Cover moved"), advice=Text(zh="围起来", en="Fence it")
    )
    for path in ("/w/", f"/w/cases/{case.id}", "/a/nothing"):
        english = seen(await phone.get(path, headers={"accept-language": "en"})).replace("中文", "")
        assert re.findall(r"[\u4e00-\u9fff]+", "".join(re.split("Contacts|Live alarms", english)[0])) in (
            [],
            ["何楼长"],
        )
        chinese = seen(await phone.get(path))
        words = set(re.findall(r"[A-Za-z]{3,}", chinese)) - {"English", "linxm", "Block", "gas", "LEL", "lin"}
        assert words == set()
