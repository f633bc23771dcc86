"""The code on an asset: it opens a case, stands for the place, and can be replaced."""

import httpx

from messages.ids import DeviceId
from tests.console.block import SITE, Block
from tests.console.phones import case_of, now, press, seen


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
