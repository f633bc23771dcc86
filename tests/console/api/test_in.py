"""Cases in, acts by other systems, and what a resident learns: once each, by who may, and no more than is meant."""

from typing import Any

import pytest

from messages.announcement import Place
from messages.settings import Text
from rules.cases.case import Situation
from rules.records import CaseState
from tests.console.api.conftest import Calls
from tests.console.block import SITE, Block
from tests.pictures import JPEG, PLAIN_JPEG, png_of

PLACE = {"grid": "grid-1", "building": "3", "unit": "2", "text": "3号楼前"}


def ticket(reference: str = "12345-1", **more: Any) -> dict[str, Any]:
    return {"reference": reference, "site": SITE, "place": PLACE, "title": "井盖松动", "words": "晚上有响声"} | more


async def test_a_ticket_is_one_case_however_often_it_comes(junmen: Block, calls: Calls) -> None:
    async with calls("report", "read") as hotline:
        first = await hotline.post("/tickets", json=ticket())
        again = await hotline.post("/tickets", json=ticket(words="said twice"))
        assert (first.status_code, again.status_code) == (201, 200)
        assert first.json() == again.json()
        case = (await hotline.get(f"/cases/{first.json()['case']['id']}")).json()
        asked = (await hotline.get("/tickets/12345-1")).json()
    assert (case["origin"], case["state"], case["level"]) == ("ticket", "reported", "yellow")
    assert [line["detail"] for line in case["log"] if line["event"] == "case.reported"] == [
        "system-1 12345-1: 晚上有响声"
    ]
    assert [one["reference"] for one in case["tickets"]] == ["12345-1"]
    assert asked == first.json()
    assert len(junmen.desk.cases()) == 1


async def test_two_systems_may_count_alike(junmen: Block, calls: Calls) -> None:
    async with calls("report") as hotline, calls("report") as repairs:
        one = (await hotline.post("/tickets", json=ticket("1"))).json()
        other = (await repairs.post("/tickets", json=ticket("1", kind="waste_bin"))).json()
        assert one["code"] != other["code"]
        assert one["case"]["id"] != other["case"]["id"]
        assert (await repairs.get("/tickets/1")).json()["case"]["id"] == other["case"]["id"]


async def test_a_report_with_a_picture_joins_the_alarm_nearby(junmen: Block, calls: Calls) -> None:
    about = Situation(
        site=SITE,
        place=Place(**PLACE),
        kind="manhole_cover",
        subject="cover-1",
        title=Text(zh="井盖移位", en="Cover moved"),
        level="orange",
        origin="ticket",
        lat=26.085,
        lon=119.3,
    )
    known = junmen.desk.report(about, actor="chen", at_ms=junmen.now_ms)
    async with calls("report", "read") as app:
        photo = await app.post("/photos", content=JPEG, headers={"content-type": "image/jpeg"})
        assert photo.status_code == 201
        sha256 = photo.json()["sha256"]
        seen = {"kind": "manhole_cover", "lat": 26.0851, "lon": 119.3, "photo": sha256}
        found = (await app.post("/reports", json=ticket("r-1", **seen))).json()
        assert found["case"]["id"] == known.id
        kept = await app.get(f"/cases/{known.id}/photos/{sha256}")
        assert (kept.content, kept.headers["content-type"]) == (PLAIN_JPEG, "image/jpeg")
        assert (await app.get(f"/cases/{known.id}/photos/{'0' * 64}")).status_code == 404


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"place": PLACE | {"grid": "grid-9"}}, "body.place.grid"),
        ({"place": PLACE | {"building": "99"}}, "body.place.building"),
        ({"place": PLACE | {"text": "a\nb"}}, "body.place.text"),
        ({"kind": "dragon"}, "body.kind"),
        ({"lat": 26.0}, "body.lat"),
        ({"lat": 260.0, "lon": 119.0}, "body.lat"),
        ({"photo": "0" * 64}, "body.photo"),
        ({"title": ""}, "body.title"),
        ({"reference": "a\u0000b"}, "body.reference"),
        ({"phone": "13800000000"}, "body.phone"),
    ],
)
async def test_what_is_wrong_with_a_ticket_is_named(calls: Calls, wrong: dict[str, Any], field: str) -> None:
    async with calls("report") as hotline:
        answer = await hotline.post("/tickets", json=ticket(**wrong))
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["errors"][0]["field"] == field


async def test_what_is_no_picture_no_json_or_too_much_is_refused(junmen: Block, calls: Calls) -> None:
    async with calls("report") as app:
        assert (await app.post("/photos", content=b"<svg onload=alert(1)>")).status_code == 415
        bomb = await app.post("/photos", content=png_of(50_000, 50_000))
        assert (bomb.status_code, bomb.json()["errors"]) == (415, [{"field": "body", "detail": "too-many-pixels"}])
        assert (await app.post("/photos", content=JPEG + b"\0" * (8 * 2**20))).status_code == 413
        answer = await app.post("/tickets", content=b"{", headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()["detail"]) == (400, "the body is no JSON")
        assert (await app.post("/tickets", content=b" " * 70_000)).status_code == 413
        chunked = await app.post("/tickets", content=_pieces(), headers={"content-type": "application/json"})
        assert chunked.status_code == 411
    assert not list((junmen.folder / "photos").rglob("*")) if (junmen.folder / "photos").exists() else True


async def _pieces() -> Any:
    yield b"{}"


async def test_a_department_takes_checks_in_arrives_and_mends(junmen: Block, calls: Calls) -> None:
    alarm = junmen.raise_alarm()
    assert alarm.case
    case_id = alarm.case.id
    junmen.desk.escalate(case_id, actor="chen", at_ms=junmen.now_ms, reason="gas company")
    junmen.desk.escalate(case_id, actor="chen", at_ms=junmen.now_ms, reason="gas company")
    async with calls("act", person="gas-desk") as gas:
        early = await gas.post(f"/cases/{case_id}/finish", json={"outcome": "mended"})
        assert (early.status_code, early.json()["reason"]) == (409, "not-accepted")
        checked = await gas.post(f"/cases/{case_id}/check-in", json={})
        assert (checked.json()["checked_in_by"], checked.json()["accepted_by"]) == ("gas-desk", "gas-desk")
        arrived = await gas.post(
            f"/cases/{case_id}/arrive", json={"code": junmen.label(alarm.device), "at_ms": junmen.now_ms - 5}
        )
        assert arrived.json()["on_site_how"] == "code"
        assert (await gas.post(f"/cases/{case_id}/handle", json={})).json()["state"] == "handling"
        photo = (await gas.post("/photos", content=JPEG)).json()["sha256"]
        done = await gas.post(f"/cases/{case_id}/finish", json={"outcome": "mended", "photo": photo})
        assert (done.json()["state"], done.json()["feedback_by"]) == ("feedback", "gas-desk")
    arrivals = [line for line in junmen.desk.log_of_case(case_id) if line.event == "case.on_site"]
    assert [(line.actor, line.device_at_ms) for line in arrivals] == [("gas-desk", junmen.now_ms - 5)]


async def test_the_same_key_is_the_same_act_and_nobody_elses(junmen: Block, calls: Calls) -> None:
    one, two = junmen.raise_alarm("gas-1").case, junmen.raise_alarm("gas-2").case
    assert one
    assert two
    async with calls("act") as gas, calls("act") as water:
        for _ in range(3):
            said = await gas.post(
                f"/cases/{one.id}/note", json={"words": "on our way"}, headers={"idempotency-key": "k"}
            )
            assert said.status_code == 200
        await water.post(f"/cases/{two.id}/accept", json={}, headers={"idempotency-key": "k"})
        taken = await gas.post(f"/cases/{two.id}/accept", json={})
        assert (taken.status_code, taken.json()["reason"]) == (409, "taken")
    notes = [line for line in junmen.desk.log_of_case(one.id) if line.event == "case.note"]
    assert [line.actor for line in notes] == ["api:system-1"]
    assert junmen.desk.case(two.id).accepted_by == "api:system-2"  # type: ignore[union-attr]


async def test_a_system_with_one_key_for_all_it_does_is_not_told_of_acts_that_nobody_did(
    junmen: Block, calls: Calls
) -> None:
    one, two = junmen.raise_alarm("gas-1").case, junmen.raise_alarm("gas-2").case
    assert one
    assert two
    key = {"idempotency-key": "2026-1"}
    async with calls("act") as gas:
        for act, body in (("accept", {}), ("arrive", {}), ("finish", {"outcome": "mended"})):
            for _ in range(2):
                done = await gas.post(f"/cases/{one.id}/{act}", json=body, headers=key)
                assert done.status_code == 200
        assert done.json()["outcome"] == "mended"
        assert (await gas.post(f"/cases/{one.id}/note", json={"words": "first"}, headers=key)).status_code == 200
        for case, words in ((one, "second"), (two, "first")):
            said = await gas.post(f"/cases/{case.id}/note", json={"words": words}, headers=key)
            assert (said.status_code, said.json()["reason"]) == (409, "key-used"), "lost, and told it was kept"
    lines = [line for line in junmen.desk.log_of_case(one.id) if line.actor == "api:system-1"]
    events = [line.event for line in lines if line.event.startswith("case.")]
    assert events == ["case.accepted", "case.on_site", "case.feedback", "case.note"]


async def test_a_case_has_one_number_upstream(junmen: Block, calls: Calls) -> None:
    one, two = junmen.raise_alarm("gas-1").case, junmen.raise_alarm("gas-2").case
    assert one
    assert two
    number = {"system": "12319", "reference": "2026-1"}
    async with calls("act", "read") as city:
        for _ in range(2):
            assert (await city.put(f"/cases/{one.id}/upstream", json=number)).json() == number
        again = await city.put(f"/cases/{one.id}/upstream", json=number | {"reference": "2026-2"})
        assert (again.status_code, again.json()["reason"]) == (409, "case-has-upstream")
        other = await city.put(f"/cases/{two.id}/upstream", json=number)
        assert (other.status_code, other.json()["reason"]) == (409, "upstream-taken")
        assert (await city.get(f"/cases/{one.id}")).json()["upstream"] == number
    assert [line.event for line in junmen.desk.log_of_case(one.id)].count("case.upstream") == 1


@pytest.mark.parametrize("act", ["accept", "check-in", "arrive", "handle", "finish", "reject", "note", "upstream"])
async def test_a_token_of_another_site_moves_nothing_and_is_written_down(junmen: Block, calls: Calls, act: str) -> None:
    case = junmen.raise_alarm().case
    assert case
    bodies = {
        "finish": {"outcome": "mended"},
        "reject": {"reason": "no"},
        "note": {"words": "x"},
        "upstream": {"system": "a", "reference": "b"},
    }
    before = junmen.desk.log_of_case(case.id)
    async with calls("act", "report", sites=("xicheng",), name="thief") as other:
        method = other.put if act == "upstream" else other.post
        answer = await method(f"/cases/{case.id}/{act}", json=bodies.get(act, {}))
        assert answer.status_code == 404
        assert (await other.post("/tickets", json=ticket())).status_code == 403
    async with calls("read", "report") as reader:
        method = reader.put if act == "upstream" else reader.post
        assert (await method(f"/cases/{case.id}/{act}", json=bodies.get(act, {}))).status_code == 403
    assert junmen.desk.log_of_case(case.id) == before
    told = [line.detail for line in junmen.accounts.journal(events=["refused"]) if line.actor == "api:thief"]
    assert sorted(told) == sorted([f"case {case.id}", "site junmen"])


async def test_a_resident_learns_a_word_and_times_and_nothing_else(junmen: Block, calls: Calls) -> None:
    async with calls("report") as hotline, calls() as resident:
        made = (await hotline.post("/reports", json=ticket())).json()
        code, case_id = made["code"], made["case"]["id"]
        junmen.desk.accept(case_id, actor="lin", at_ms=junmen.now_ms + 60_000)
        answer = await resident.get(f"/status/{code.lower()}")
        assert answer.json() == {
            "state": "in_work",
            "words": {"zh": "处置中", "en": "Being dealt with"},
            "received_at_ms": junmen.now_ms,
            "accepted_at_ms": junmen.now_ms + 60_000,
            "on_site_at_ms": None,
            "done_at_ms": None,
            "closed_at_ms": None,
        }
        junmen.desk.cancel(case_id, actor="chen", at_ms=junmen.now_ms, reason="duplicate")
        assert (await resident.get(f"/status/{code}")).json()["state"] == "not_taken_up"
        assert (await resident.get("/status/0000-0000-0000-0000")).status_code == 404


async def test_a_merged_report_is_as_far_as_the_case_that_goes_on(junmen: Block, calls: Calls) -> None:
    case = junmen.raise_alarm().case
    assert case
    async with calls("report") as hotline, calls() as resident:
        made = (await hotline.post("/reports", json=ticket())).json()
        junmen.desk.merge(made["case"]["id"], actor="chen", at_ms=junmen.now_ms, into=case.id)
        assert (await resident.get(f"/status/{made['code']}")).json()["state"] == "received"
        assert junmen.desk.case(made["case"]["id"]).state is CaseState.MERGED  # type: ignore[union-attr]


async def test_codes_can_only_be_tried_slowly(junmen: Block, calls: Calls) -> None:
    async with calls() as stranger:
        answers = [await stranger.get(f"/status/{n:016}") for n in range(21)]
        assert [one.status_code for one in answers] == [404] * 20 + [429]
        assert int(answers[-1].headers["retry-after"]) == 60
        junmen.now_ms += 61_000
        assert (await stranger.get(f"/status/{0:016}")).status_code == 404
