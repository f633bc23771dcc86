"""Webhooks: who is told what, in which order, how often it is tried, and what becomes of one that fails for a day."""

import asyncio
import base64
import hashlib
import hmac
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import xmlschema

from messages.announcement import Place
from messages.ids import SiteId
from messages.settings import ConfigError, Text
from rules.cases.case import Situation
from rules.desk import Desk
from rules.notices.channels.http import Http
from rules.outside import deliveries
from rules.outside.courier import Courier
from rules.outside.hook import Hook, HookText, again_ms, hooks
from rules.records import Case
from rules.store import refusals, rows
from rules.store.database import Database
from tests.backups import back_up, restore
from tests.fakes import Answer, Asked, Provider, provider
from tests.rules.refusing import accept, refuse

SCHEMA = Path(__file__).parent.parent / "golden/cap/cap12.xsd"
NOON_MS = 1_795_233_600_000
DAY_MS = 86_400_000
KEY = b"k" * 32
HOOK = Hook(name="city", url="", key=KEY, events=("case.*",), sites=None, format="json", http=Http(2))


class Town:
    """A database, a receiver, and a clock of the test's."""

    def __init__(self, url: str, city: Provider) -> None:
        self.database, self.city, self.now_ms = Database(url), city, NOON_MS
        self.desk = Desk(self.database)
        self.looks = 0
        """How often the courier has asked for the time."""

    def clock_ms(self) -> int:
        self.looks += 1
        return self.now_ms

    def report(self, kind: str = "citizen_report", site: str = "junmen", situation: str = "") -> Case:
        about = Situation(
            site=SiteId(site),
            place=Place(grid="g1", text="东街口"),
            kind=kind,
            subject="",
            title=Text(zh="井盖松动", en="A loose cover"),
            level="yellow",
            origin="ticket",
            situation=situation,
        )
        return self.desk.report(about, actor="api:hotline", at_ms=self.now_ms)

    @asynccontextmanager
    async def courier(self, **more: Any) -> AsyncIterator[Hook]:
        """At work until the block ends."""
        hook = replace(HOOK, url=f"{self.city.url}/hook", **more)
        ours = Courier(self.database, [hook], lambda _: None, self.clock_ms, look_s=0.02)
        working = asyncio.create_task(ours.run())
        try:
            await self.until(lambda: hook.name in self.standings(), "it is served")
            yield hook
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)

    def standings(self) -> dict[str, deliveries.Standing]:
        with self.database.reading() as connection:
            return dict(deliveries.standings(connection))

    async def told(self, count: int) -> list[Asked]:
        await self.until(lambda: len(self.city.asked) >= count, f"{count} are told")
        return self.city.asked

    async def settled(self, sent: int, *, passing: bool = False) -> None:
        """So many were taken, and nothing waits. `passing`: meanwhile five seconds go by at each look."""

        def taken() -> bool:
            self.now_ms += 5_000 if passing else 0
            one = self.standings()["city"]
            return one.sent == sent and one.waiting == 0

        await self.until(taken, f"{sent} were taken")

    async def until(self, true: Callable[[], bool], what: str) -> None:
        try:
            async with asyncio.timeout(60):
                while not true():
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(f"{what}: {self.standings()}, {len(self.city.asked)} asked") from None


@pytest.fixture
def town(database_url: str) -> Iterator[Town]:
    with provider() as city:
        made = Town(database_url, city)
        yield made
        made.database.close()


async def test_a_case_is_told_in_order_signed_and_under_names_that_stay(town: Town) -> None:
    before = town.report("waste_bin")
    async with town.courier():
        case = town.report()
        town.desk.accept(case.id, actor="lin", at_ms=town.now_ms)
        town.desk.note(case.id, actor="lin", at_ms=town.now_ms, words="on my way")
        await town.settled(3)
    asked = town.city.asked
    assert [one.json["type"] for one in asked] == ["case.reported", "case.accepted", "case.note"]
    assert [one.json["data"]["number"] for one in asked] == [1, 2, 3]
    assert {one.json["data"]["case"]["id"] for one in asked} == {case.id}
    assert before.id not in "".join(one.body.decode() for one in asked), "a new webhook begins with what comes next"
    for one in asked:
        name, at_s = one.headers["webhook-id"], one.headers["webhook-timestamp"]
        signed = hmac.new(KEY, f"{name}.{at_s}.".encode() + one.body, hashlib.sha256).digest()
        assert one.headers["webhook-signature"] == f"v1,{base64.b64encode(signed).decode()}"
    assert len({one.headers["webhook-id"] for one in asked}) == 3


async def test_only_what_was_asked_for_at_the_sites_that_were_named_is_told(town: Town) -> None:
    async with town.courier(events=("case.accepted",), sites=("junmen",)):
        ours, other = town.report(), town.report(site="xicheng")
        for case in (other, ours):
            town.desk.accept(case.id, actor="lin", at_ms=town.now_ms)
        await town.settled(1)
    assert [(one.json["type"], one.json["data"]["site"]) for one in town.city.asked] == [("case.accepted", "junmen")]


async def test_what_fails_is_told_again_later_and_nothing_of_the_case_overtakes_it(town: Town) -> None:
    town.city.answers += [Answer(status=500), Answer(status=503)]
    async with town.courier():
        case = town.report()
        town.desk.accept(case.id, actor="lin", at_ms=town.now_ms)
        other = town.report("waste_bin")
        await town.told(2)
        await town.until(lambda: town.standings()["city"].why.startswith("50"), "both have failed")
        assert {one.json["data"]["number"] for one in town.city.asked} == {1}
        await town.settled(3, passing=True)
    told = [(one.json["data"]["case"]["id"], one.json["data"]["number"]) for one in town.city.asked]
    assert [number for name, number in told if name == case.id] == [1, 1, 2]
    assert [number for name, number in told if name == other.id] == [1, 1]
    names = [one.headers["webhook-id"] for one in town.city.asked if one.json["data"]["number"] == 1]
    assert len(set(names)) == 2, "the same news has the same name"
    bodies = {(one.headers["webhook-id"], one.body) for one in town.city.asked}
    assert len(bodies) == 3, "and the same words"


def test_the_pauses_double_up_to_an_hour_and_heed_the_receiver() -> None:
    assert [again_ms(n, 0) // 1000 for n in (1, 2, 3, 4, 10, 11, 5000)] == [5, 10, 20, 40, 2560, 3600, 3600]
    assert again_ms(1, 0, 120.0) == 120_000
    assert again_ms(1, 0, 1e9) == 3_600_000


async def test_one_that_fails_for_a_day_is_disabled_with_a_line_and_enabled_it_tells_what_waited(town: Town) -> None:
    town.city.always = Answer(status=500)
    async with town.courier():
        case = town.report()
        await town.told(1)
        await town.until(lambda: town.standings()["city"].why != "", "it has failed")
        town.now_ms += DAY_MS
        await town.until(lambda: town.standings()["city"].disabled_at_ms is not None, "it is disabled")
        town.desk.accept(case.id, actor="lin", at_ms=town.now_ms)
        assert "webhook.disabled" in [line.event for line in town.desk.log_after(0)]
        tried = len(town.city.asked)
        town.now_ms += DAY_MS
        town.city.always = Answer()
        assert town.desk.enable_webhook("city", actor="chen", at_ms=town.now_ms)
        await town.settled(2)
    assert [one.json["type"] for one in town.city.asked[tried:]] == ["case.reported", "case.accepted"]
    assert not town.desk.enable_webhook("nobody", actor="chen", at_ms=town.now_ms)


async def test_a_receiver_that_is_gone_is_asked_no_more(town: Town) -> None:
    town.city.always = Answer(status=410)
    async with town.courier():
        town.report()
        await town.until(lambda: town.standings()["city"].disabled_at_ms is not None, "it is disabled")
    assert len(town.city.asked) == 1


async def test_a_replay_tells_the_same_again_under_the_same_names(town: Town) -> None:
    async with town.courier():
        case = town.report()
        town.now_ms += 60_000
        since_ms = town.now_ms
        town.desk.accept(case.id, actor="lin", at_ms=town.now_ms)
        town.desk.note(case.id, actor="lin", at_ms=town.now_ms, words="x")
        await town.settled(3)
        assert town.desk.replay_webhook("city", since_ms, actor="chen", at_ms=town.now_ms) == 2
        await town.settled(5)
    names = [one.headers["webhook-id"] for one in town.city.asked]
    assert names[3:] == names[1:3]
    assert "webhook.replayed" in [line.event for line in town.desk.log_after(0)]
    assert town.desk.replay_webhook("nobody", 0, actor="chen", at_ms=town.now_ms) is None


async def test_cap_goes_out_valid_as_alert_update_and_cancel(town: Town) -> None:
    schema = xmlschema.XMLSchema(SCHEMA)
    async with town.courier(format="cap"):
        case = town.report()
        town.desk.accept(case.id, actor="lin", at_ms=town.now_ms)
        town.desk.note(case.id, actor="lin", at_ms=town.now_ms, words="no news to CAP")
        town.desk.cancel(case.id, actor="chen", at_ms=town.now_ms, reason="duplicate")
        await town.settled(3)
    kinds = []
    for one in town.city.asked:
        assert one.headers["content-type"] == "application/cap+xml"
        content: Any = schema.to_dict(one.body.decode())
        kinds.append(content.get("msgType") or content["cap:msgType"])
    assert kinds == ["Alert", "Update", "Cancel"]


async def test_a_drill_is_told_as_an_exercise_by_cap_and_not_at_all_by_json(town: Town) -> None:
    async with town.courier(format="cap"):
        town.report(situation="drill-1")
        await town.settled(1)
    assert b"<status>Exercise</status>" in town.city.asked[0].body
    async with town.courier():
        town.report("siren", situation="drill-1")
        town.report("waste_bin")
        await town.settled(2)
    assert town.city.asked[1].json["data"]["case"]["kind"] == "waste_bin"


def test_news_after_a_database_was_set_back_bears_no_name_that_a_receiver_knows_already(tmp_path: Path) -> None:
    file, both = tmp_path / "rules.db", [HOOK, replace(HOOK, name="cap", format="cap")]
    database = Database(f"sqlite:///{file}", follow=True)

    def told(situation: Situation | None) -> tuple[list[int], set[str]]:
        """The numbers of the lines of which news waits; and by which names the receivers know it."""
        if situation:
            Desk(database).report(situation, actor="api:hotline", at_ms=NOON_MS)
        with database.writing() as connection:
            for hook in both:
                deliveries.fill(connection, hook, lambda _: None, NOON_MS)
            due = deliveries.due(connection, both, NOON_MS)
        identifiers = {name for one in due for name in re.findall(rb"<identifier>([^<]+)", one.body)}
        assert len(identifiers) == len(due) / 2
        return [one.seq for one in due], {one.id for one in due} | {str(one) for one in identifiers}

    told(None)  # from now on
    back_up(file, tmp_path / "copy.db")
    about = Situation(
        site=SiteId("junmen"),
        place=Place(grid="g1", text="东街口"),
        kind="citizen_report",
        subject="",
        title=Text(zh="井盖松动", en="A loose cover"),
        level="yellow",
        origin="ticket",
    )
    numbers, before = told(about)
    restore(tmp_path / "copy.db", file)
    again, after = told(replace(about, kind="waste_bin"))
    assert numbers == again
    assert len(numbers) == 2
    assert before.isdisjoint(after)
    database.close()


async def test_what_waits_is_bounded_and_the_rest_stays_in_the_log(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "MOST_WAITING", 5)
    monkeypatch.setattr(deliveries, "LINES_AT_ONCE", 3)
    town.city.always = Answer(status=500)
    async with town.courier():
        case = town.report()
        for n in range(20):
            town.desk.note(case.id, actor="lin", at_ms=town.now_ms, words=str(n))
        await town.told(1)
        await town.until(lambda: town.standings()["city"].waiting >= 5, "as much as may")
        assert town.standings()["city"].waiting <= 8
        town.city.always = Answer()
        await town.settled(21, passing=True)  # also where the first failure is written down only now
    told = [one.json["data"]["number"] for one in town.city.asked]
    assert [n for n, before in zip(told[1:], told, strict=False) if n < before] == []
    assert set(told) == set(range(1, 22))


def test_a_webhook_is_read_with_its_secret_or_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"whsec_{base64.b64encode(KEY).decode()}\n")
    (hook,) = hooks({"city": HookText(url="https://city.example", secret_file=Path("key"))}, tmp_path)
    assert (hook.name, hook.key, hook.events, hook.sites) == ("city", KEY, ("case.*", "alarm.*"), None)
    (tmp_path / "short").write_text("whsec_YWJj\n")
    for file, said in (("none", "No such file"), ("short", "at least 24")):
        with pytest.raises(ConfigError, match=rf"webhooks\.city: secret_file: .*{said}"):
            hooks({"city": HookText(url="https://city.example", secret_file=Path(file))}, tmp_path)
    wrongs: list[dict[str, Any]] = [
        {"url": "ftp://x"},
        {"events": ["case"]},
        {"events": []},
        {"format": "xml"},
        {"sites": []},
    ]
    for wrong in wrongs:
        with pytest.raises(ValueError, match="validation error"):
            HookText.model_validate({"url": "https://city.example", "secret_file": "key"} | wrong)


def test_lines_of_no_site_are_told_to_nobody(town: Town) -> None:
    with town.database.writing() as connection:
        deliveries.fill(connection, HOOK, lambda _: None, NOON_MS)
        rows.append(connection, [rows.Line("rule.changed", None, None, "rules", "x")], NOON_MS)
        assert deliveries.fill(connection, replace(HOOK, events=("*",)), lambda _: None, NOON_MS) == 0
        assert deliveries.standings(connection)["city"].seq == 1


def refused(town: Town) -> list[tuple[str, str, str]]:
    with town.database.reading() as connection:
        return [(str(one.site), one.what, one.name) for one in refusals.waiting(connection)]


async def test_a_delivery_that_the_database_refuses_is_left_out_and_said_and_all_others_are_told(town: Town) -> None:
    refuse(town.database, "deliveries", "{body} LIKE '%case.accepted%'")
    async with town.courier():
        case = town.report()
        town.desk.accept(case.id, actor="lin", at_ms=town.now_ms)
        town.desk.note(case.id, actor="lin", at_ms=town.now_ms, words="on my way")
        town.report("waste_bin")
        await town.settled(3)
        assert [(site, what) for site, what, _ in refused(town)] == [("junmen", "delivery")]
        assert refused(town)[0][2].endswith("case.accepted")
        accept(town.database, "deliveries")
        town.desk.finish(case.id, actor="lin", at_ms=town.now_ms, outcome="mended")
        await town.told(4)
    assert "case.accepted" not in [one.json["type"] for one in town.city.asked]


async def test_a_webhook_of_which_the_database_takes_nothing_holds_up_no_other_and_goes_on_later(town: Town) -> None:
    refuse(town.database, "hooks", "{name} = 'bad'")
    url = f"{town.city.url}/hook"
    some = [replace(HOOK, name=name, url=url) for name in ("bad", "city")]
    working = asyncio.create_task(Courier(town.database, some, lambda _: None, lambda: town.now_ms, look_s=0.02).run())
    await town.until(lambda: "city" in town.standings(), "it is served")
    town.report()
    await town.settled(1)
    assert [(what, name) for _, what, name in refused(town)] == [("webhook", "bad")]
    accept(town.database, "hooks")
    town.now_ms += 60_000
    await town.until(lambda: "bad" in town.standings(), "it is served as well")
    assert not working.done()
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)


async def test_an_answer_that_the_database_refuses_is_asked_for_again_a_minute_later_not_at_once(town: Town) -> None:
    refuse(town.database, "hooks", "{sent} = 1")
    async with town.courier():
        town.report()
        await town.told(1)
        await town.until(lambda: refused(town) != [], "it is said")
        looks = town.looks
        await town.until(lambda: town.looks >= looks + 20, "it has looked again and again")
        assert len(town.city.asked) == 1
        accept(town.database, "hooks")
        town.now_ms += 60_000
        await town.settled(1)
    assert len({one.headers["webhook-id"] for one in town.city.asked}) == 1


async def test_a_receiver_that_our_own_code_fails_at_costs_that_attempt_alone(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask, wrong = Http.ask, ["once"]

    def failing(http: Http, *some: Any) -> Any:
        if wrong and wrong.pop():
            raise RuntimeError("a defect of ours")
        return ask(http, *some)

    monkeypatch.setattr(Http, "ask", failing)
    async with town.courier():
        town.report()
        await town.until(lambda: town.standings()["city"].why == "RuntimeError", "it has failed")
        await town.settled(1, passing=True)
