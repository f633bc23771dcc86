"""Photos from a phone: what is taken, what is shown of it, and how many."""

import time

import httpx

from console.phone.pictures import Uploads
from rules.cases.photos import MOST_BYTES
from tests.console.block import Block
from tests.console.phones import case_of, now, press, send_photo
from tests.pictures import JPEG, PLAIN_JPEG, chunk, jpeg_of, png_of, segment, webp_of


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
    assert shown.content == PLAIN_JPEG
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


async def test_a_picture_that_is_also_a_page_is_sent_back_as_a_picture_and_nothing_else(
    phone: httpx.AsyncClient, lin: Block
) -> None:
    """A polyglot: a script in a comment, in a segment of its own and behind the picture. What the camera wrote beside it never leaves either."""
    script = b"<script>alert(1)</script>"
    jpeg = JPEG[:2] + segment(0xFE, script) + segment(0xE5, script) + JPEG[2:] + script
    page = (
        png_of(64, 48, chunk(b"tEXt", b"Comment\0" + script), chunk(b"eXIf", b"GPS!"), chunk(b"prVt", script)) + script
    )
    for name, sort, content in (("one", "image/jpeg", jpeg), ("two", "image/png", page)):
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


async def test_a_bomb_is_refused_in_words_before_anybody_unpacks_it(phone: httpx.AsyncClient, lin: Block) -> None:
    base = f"/w/cases/{case_of(lin).id}"
    began_s = time.process_time()
    for sort, content in (
        ("image/png", png_of(50_000, 50_000)),
        ("image/jpeg", jpeg_of(50_000, 50_000)),
        ("image/webp", webp_of(50_000, 50_000)),
        ("image/jpeg", png_of(50_000, 50_000)),  # under another name
    ):
        answer = await send_photo(phone, base, content, content_type=sort)
        assert (answer.status_code, answer.json()["complaint"][:8]) == (400, "照片的像素太多（")
    for content, words in (
        (JPEG[:400], "照片文件不完整，请重新拍摄。"),
        (png_of(9, 9, chunk(b"acTL", bytes(8))), "不接收动图，请发一张静态照片。"),
        (b"<svg onload='alert(1)'/>", "这不是照片。"),
    ):
        answer = await send_photo(phone, base, content)
        assert (answer.status_code, answer.json()["complaint"]) == (400, words)
    assert time.process_time() - began_s < 3
    assert not list((lin.folder / "photos").rglob("*"))


async def test_nobody_sends_photos_without_end(phone: httpx.AsyncClient, lin: Block) -> None:
    base = f"/w/cases/{case_of(lin).id}"
    for _ in range(60):
        assert (await send_photo(phone, base)).status_code == 200
    assert (await send_photo(phone, base)).status_code == 429
    lin.now_ms += 3_600_000
    assert (await send_photo(phone, base)).status_code == 200


def test_one_phone_whose_pictures_drip_takes_no_more_than_half_of_the_room() -> None:
    uploads = Uploads()
    with (
        uploads.turn("lin") as first,
        uploads.turn("lin") as second,
        uploads.turn("lin") as third,
        uploads.turn("wu") as other,
    ):
        assert (first, second, third, other) == (True, True, False, True)
    with uploads.turn("lin") as again:
        assert again
    assert not uploads.under_way
