"""A command centre with a program of its own does by the interface what an operator does on the page of a case, and nobody else does."""

from typing import Any, get_args

import pytest

from console.phone import acts as phone
from console.rights import CaseAct
from messages.announcement import Place
from messages.settings import Text
from rules.cases.case import Situation
from rules.records import OVER, Case, CaseState
from tests.console.api.conftest import Calls
from tests.console.block import SITE, Block
from tests.console.test_phone_asked import SHE, SON, asked_of

HOUR_MS = 3_600_000


def now(junmen: Block, case: Case) -> Case:
    found = junmen.desk.case(case.id)
    assert found
    return found


async def test_whatever_a_page_does_to_a_case_the_interface_does_too(calls: Calls) -> None:
    steps = {route.path.rpartition("/")[2] for route in phone.router.routes}  # type: ignore[attr-defined]
    pages = {act.replace("_", "-") for act in get_args(CaseAct)} | steps
    async with calls("read") as client:
        paths = (await client.get("/openapi.json")).json()["paths"]
    assert "finish" in steps
    assert pages <= {path.rpartition("/")[2] for path in paths if path.startswith("/cases/{case_id}/")}


async def test_a_desk_sends_somebody_gives_him_time_checks_what_he_did_and_opens_it_again(
    junmen: Block, calls: Calls
) -> None:
    alarm = junmen.raise_alarm()
    case = alarm.case
    assert case
    base, later = f"/cases/{case.id}", junmen.now_ms + 8 * HOUR_MS
    async with calls("dispatch", name="centre") as centre, calls("act", person="lin") as lin:
        sent = (await centre.post(f"{base}/dispatch", json={"person": "lin"})).json()
        assert (sent["state"], sent["dispatched_to"]) == ("dispatched", "lin")
        taken = (await centre.post(f"{base}/accept-for", json={"person": "lin"})).json()
        assert (taken["state"], taken["accepted_by"]) == ("accepted", "lin")
        await lin.post(f"{base}/extend", json={"until_ms": later, "reason": "a spare part"})
        granted = await centre.post(f"{base}/grant", json={"granted": True})
        assert (granted.status_code, now(junmen, case).handle_by_ms) == (200, later)
        await lin.post(f"{base}/arrive", json={})
        await lin.post(f"{base}/finish", json={"outcome": "mended"})
        back = (await centre.post(f"{base}/verify", json={"passed": False, "reason": "it still smells"})).json()
        assert back["state"] not in ("feedback", "closed")
        early = await centre.post(f"{base}/verify", json={"passed": True})
        assert (early.status_code, early.json()["reason"]) == (409, "not-done")
        junmen.return_to_normal(alarm)
        for act, body in (("accept", {}), ("arrive", {}), ("finish", {"outcome": "mended"})):
            await lin.post(f"{base}/{act}", json=body)
        done = await centre.post(f"{base}/verify", json={"passed": True})
        assert (done.status_code, done.json().get("state")) == (200, "closed"), done.text
        opened = await centre.post(f"{base}/reopen", json={"reason": "it smells again"})
        assert (opened.status_code, now(junmen, case).state in OVER) == (200, False)
    log = [(line.event, line.actor) for line in junmen.desk.log_of_case(case.id) if line.actor != "rules"]
    assert ("case.dispatched", "api:centre") in log
    assert ("case.accepted", "api:centre") in log


@pytest.mark.parametrize("act", ["dispatch", "accept-for"])
async def test_who_is_not_on_the_roster_gets_no_case(junmen: Block, calls: Calls, act: str) -> None:
    """Nobody could call him, and the case would have an owner who isn't there."""
    case = junmen.raise_alarm().case
    assert case
    async with calls("dispatch") as centre:
        answer = await centre.post(f"/cases/{case.id}/{act}", json={"person": "linn"})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "body.person")
    assert "did you mean `lin`" in answer.json()["detail"]
    assert now(junmen, case) == case


async def test_a_desk_puts_a_case_aside_takes_it_up_and_strikes_it_out(junmen: Block, calls: Calls) -> None:
    about = Situation(
        site=SITE,
        place=Place(grid="grid-1", text="东街口"),
        kind="citizen_report",
        subject="",
        title=Text(zh="井盖松动", en="A loose cover"),
        level="yellow",
        origin="report",
    )
    case = junmen.desk.report(about, actor="api:hotline", at_ms=junmen.now_ms)
    base = f"/cases/{case.id}"
    async with calls("dispatch") as centre:
        states = []
        for act, body in (
            ("register", {"level": "orange"}),
            ("suspend", {"until_ms": junmen.now_ms + 24 * HOUR_MS, "reason": "waits for a lorry"}),
            ("resume", {}),
            ("cancel", {"reason": "duplicate"}),
        ):
            answer = await centre.post(f"{base}/{act}", json=body)
            assert answer.status_code == 200, answer.text
            states.append(answer.json()["state"])
    assert (states[0], states[1], states[3]) == ("registered", "suspended", "cancelled")
    assert states[2] not in ("suspended", "cancelled")
    assert now(junmen, case).level == "orange"


@pytest.mark.parametrize(("said", "whose"), [("safe", SHE), ("help", SON), ("none", SHE)])
async def test_what_was_said_on_the_telephone_counts_once_however_often_it_is_sent(
    junmen: Block, calls: Calls, said: str, whose: str
) -> None:
    case = asked_of(junmen)
    async with calls("dispatch", name="centre") as centre:
        for _ in range(2):
            answer = await centre.post(
                f"/cases/{case.id}/answer", json={"whose": whose, "answer": said}, headers={"idempotency-key": "k"}
            )
            assert answer.status_code == 200, answer.text
        stranger = await centre.post(f"/cases/{case.id}/answer", json={"whose": "lin", "answer": said})
        assert (stranger.status_code, stranger.json()["errors"][0]["field"]) == (422, "body.whose")
    lines = [one for one in junmen.desk.log_of_case(case.id) if one.event in ("case.answered", "case.no_answer")]
    assert [(line.event, line.actor) for line in lines] == [
        ("case.no_answer" if said == "none" else "case.answered", "api:centre")
    ]
    found = now(junmen, case)
    assert {
        "safe": found.state is CaseState.FEEDBACK,
        "help": found.level == "red",
        "none": found == case,
    }[said]


DESK: dict[str, dict[str, Any]] = {
    "register": {},
    "dispatch": {"person": "lin"},
    "accept-for": {"person": "lin"},
    "answer": {"whose": SHE, "answer": "safe"},
    "verify": {"passed": True},
    "escalate": {"reason": "x"},
    "grant": {"granted": True},
    "suspend": {"until_ms": 2_000_000_000_000, "reason": "x"},
    "resume": {},
    "cancel": {"reason": "test"},
    "reopen": {"reason": "x"},
}


@pytest.mark.parametrize("act", DESK)
async def test_who_may_only_work_on_cases_or_at_another_site_does_nothing_of_a_desk(
    junmen: Block, calls: Calls, act: str
) -> None:
    case = asked_of(junmen)
    before = junmen.desk.log_of_case(case.id)
    async with calls("read", "report", "act") as gas, calls("dispatch", sites=("xicheng",)) as elsewhere:
        assert (await gas.post(f"/cases/{case.id}/{act}", json=DESK[act])).status_code == 403
        assert (await elsewhere.post(f"/cases/{case.id}/{act}", json=DESK[act])).status_code == 404
    assert junmen.desk.log_of_case(case.id) == before
    assert now(junmen, case) == case
