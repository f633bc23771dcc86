"""No key is longer than its column: every String(n) of every table against the rim by which it is filled, so that PostgreSQL refuses none.

What people read is cut to its length (`rules.store.words`); what is compared is refused where it comes in, or made by us and short.
"""

import ast
import re
from collections.abc import Callable, Collection, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Column, String, select

from console.api.shapes import Id, Reference, Upstream
from console.phone.acts import KEY
from messages import announcement, topics
from messages.alarm import Level
from messages.ids import LONGEST, DeviceId, EdgeId, Identifier, SiteId, is_identifier
from messages.kind import load_kinds
from messages.settings import ConfigError
from rules.alarms.condition import AlarmEvent, alarm_id
from rules.alarms.overlays.hold import What
from rules.assets.label import LENGTH
from rules.cases.acts import CANCELLATIONS, OUTCOMES
from rules.cases.case import opened
from rules.cases.practice import PLAIN
from rules.drills.drill import PREFIX
from rules.duty.site import ReachWord
from rules.engine import own
from rules.engine.share import LEAD
from rules.escalation.call import directly, fire, told
from rules.escalation.program import Leg, Step
from rules.language.rule_text import RuleFile
from rules.notices.config import ChannelName
from rules.notices.notice import NoticeState
from rules.outside.hook import HookText
from rules.outside.tickets import CODE_LENGTH
from rules.outside.tickets import _key as key_of_a_ticket
from rules.records import ActionRefused, AlarmState, CaseState, Origin, Presence
from rules.store import tables as db
from rules.store.words import Words
from tests.rules.course import ALL_RULES, RULES, at
from tests.rules.room import SITE, Room
from tests.rules.situation import about

FAR = 10_000
FAR_MS = 2**53
"""No clock of ours shows more."""


def longest(some: Collection[object]) -> int:
    return max(len(str(one)) for one in some)


def admitted(shape: Any) -> int:
    """How long a text a rim lets in."""
    adapter = TypeAdapter[str](shape)

    def admits(length: int) -> bool:
        try:
            adapter.validate_python("a" * length)
        except ValidationError:
            return False
        return True

    lengths = [length for length in range(1, 400) if admits(length)]
    assert lengths
    assert not admits(FAR)
    return lengths[-1]


def calls() -> Iterator[str]:
    """The keys of the longest calls that there can be."""
    case = opened("c" * 22, about(), at(0), PLAIN)
    for name in ("n" * FAR, "\x00" * FAR, "长" * FAR):
        yield directly(case, name, FAR_MS).key
        yield told(case, name, "graver", FAR_MS).key
        ladder = PLAIN.ladder(SITE, "gas_alarm", "red", case.place, "", at(0))
        owned = opened("c" * 22, about(), at(0), PLAIN)
        object.__setattr__(owned, "accepted_by", name)
        for leg in Leg:
            step = Step(FAR_MS, (1,), reason="late-handle", owner=True)
            yield from (call.key for call in fire(owned, leg, FAR_MS, "above-3", step, ladder, FAR_MS).calls)


NAMES = admitted(Identifier)
ID = len(alarm_id(SITE, own.site_device(SITE), "leak", FAR_MS))
MADE = len("r-") + 20
"""Of ids that are made by `secrets`: none has more than ten bytes."""
EVENT = 40
"""Those of the log are written in our code alone: `test_every_event_of_the_log_is_short`."""

RIMS: dict[str, Callable[[], int]] = {
    **{
        name: lambda: NAMES
        for name in ("site", "edge", "device", "subject", "grid", "instead", "post", "name", "worker")
    },
    "roster.person": lambda: NAMES,  # of a site's file: no change is written for another
    "kind": lambda: NAMES,
    "stream": lambda: NAMES,
    "rule": lambda: max(NAMES, longest([rule.id for some in ALL_RULES.values() for rule in some])),
    "situation": lambda: max(NAMES, len(PREFIX) + 12),
    "version": lambda: longest([rule.version for some in ALL_RULES.values() for rule in some]),
    "id": lambda: max(ID, MADE),
    **{name: lambda: max(ID, MADE) for name in ("alarm", "case", "parent", "about")},
    "level": lambda: longest(get_args(Level)),
    "alarms.state": lambda: longest(list(AlarmState)),
    "cases.state": lambda: longest(list(CaseState)),
    "notices.state": lambda: longest(list(NoticeState)),
    "origin": lambda: longest(get_args(Origin)),
    "on_site_how": lambda: longest(get_args(Presence)),
    "cases.outcome": lambda: longest([*OUTCOMES, *CANCELLATIONS]),
    "sendings.outcome": lambda: longest(["sending", "taken", "failed", "throttled", "lost"]),
    "what": lambda: longest(list(What)),
    "leg": lambda: longest(list(Leg)),
    "notices.key": lambda: longest(list(calls())),
    "held_calls.key": lambda: longest(list(calls())),
    "notice": lambda: longest(list(calls())),
    "channel": lambda: max(admitted(ChannelName), NAMES),
    "hook": lambda: admitted(ChannelName),
    "token": lambda: 64,  # SHA-256 in hexadecimal
    "system": lambda: max(40, admitted(Upstream.model_fields["system"].rebuild_annotation())),
    "reference": lambda: admitted(Reference),
    "tickets.code": lambda: CODE_LENGTH,
    "labels.code": lambda: LENGTH,
    "content_type": lambda: longest(["application/json", "application/cap+xml"]),
    "event": lambda: EVENT,
    "log.key": lambda: max(36, len(key_of_a_ticket("s" * FAR, "r" * FAR)), len("api-") + 40),
    "counters.name": lambda: longest(["life", "log", "published"]),
}
"""By table and column, or by the column's name: how long what is written there can be."""

KEYS = [column for table in db.metadata.sorted_tables for column in table.c if type(column.type) is String]


@pytest.mark.parametrize("column", KEYS, ids=str)
def test_what_is_written_there_has_room(column: Column[str]) -> None:
    rim = RIMS.get(str(column)) or RIMS.get(column.name)
    assert rim is not None, f"say here by which rim {column} is filled"
    assert isinstance(column.type, String)
    assert column.type.length is not None, "PostgreSQL has no bound for it, and neither have we"
    assert 0 < rim() <= column.type.length
    if column.foreign_keys:
        assert all(key.column.type.length == column.type.length for key in column.foreign_keys)  # type: ignore[attr-defined]


def test_every_event_of_the_log_is_short() -> None:
    found = {f"case.{state}" for state in CaseState} | {f"alarm.{event}" for event in AlarmEvent}
    for path in Path(str(files("rules"))).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found |= {node.value} if re.fullmatch(r"[a-z]+\.[a-z_]+", node.value) else set()
    assert {"case.reported", "alarm.raised", "webhook.disabled", "edge.forgotten"} <= found
    assert longest(found) <= EVENT


def test_every_text_has_a_bound_or_is_prose() -> None:
    assert len(KEYS) > 100
    for table in db.metadata.sorted_tables:
        for column in table.c:
            if isinstance(column.type, Words):
                assert column.type.impl_instance.length


LONG = "a" * (LONGEST + 1)


@pytest.mark.parametrize(
    "topic",
    [
        f"gridcall/1/{LONG}/pi-1/readings",
        f"gridcall/1/junmen/{LONG}/status",
        f"gridcall/1/junmen/pi-1/devices/{LONG}",
        "gridcall/1/junmen/pi-1/devices/a\x00b",
    ],
)
def test_a_name_that_is_too_long_is_nobodys(topic: str) -> None:
    assert topics.origin(topic) is None


def test_a_kind_whose_name_is_too_long_is_refused_where_it_is_said_and_where_it_is_written(tmp_path: Path) -> None:
    said = f'{{"kind": "{LONG}", "model": "m", "place": {{"grid": "g1", "text": "x"}}}}'
    with pytest.raises(announcement.AnnouncementError, match="kind"):
        announcement.decode(said.encode())
    (tmp_path / f"{LONG}.toml").write_text('[name]\nzh = "x"\nen = "x"\n')
    with pytest.raises(ConfigError, match=r"a kind is named by its file: .* 63 at most"):
        load_kinds(tmp_path)


def test_a_rule_a_channel_a_site_and_a_way_to_reach_people_have_names_that_fit() -> None:
    some = next(iter(RULES["gas_alarm"])).written["text"]
    with pytest.raises(ValidationError, match=r"rules"):
        RuleFile.model_validate({"rules": {LONG: some}})
    with pytest.raises(ValidationError):
        TypeAdapter(ReachWord).validate_python(f"{LONG}:1")
    assert TypeAdapter(ReachWord).validate_python(f"{LONG[1:]}:1")
    with pytest.raises(ValidationError, match="sites"):
        HookText.model_validate({"url": "https://x", "secret_file": "key", "sites": [LONG]})


def test_links_of_edges_with_very_long_names_have_room_and_are_not_one() -> None:
    two = [EdgeId("e" * 62 + last) for last in "ab"]
    links = {own.link_of(edge) for edge in two}
    assert len(links) == 2
    assert not links & set(map(str, two))
    assert all(is_identifier(link) and link.endswith("-link") for link in links)
    assert own.link_of(EdgeId("pi-1")) == "pi-1-link"
    assert not is_identifier(LEAD)
    assert len(LEAD) <= LONGEST


def test_other_systems_and_phones_bring_keys_that_fit() -> None:
    assert KEY.startswith("^")
    assert KEY.endswith("{12}$")
    assert admitted(Id) == 40


@pytest.mark.parametrize("name", ["n" * FAR, "a\x00b", "Wang\ud83d"])
def test_a_case_may_be_given_to_anybody_whatever_is_typed(database_url: str, tmp_path: Path, name: str) -> None:
    room = Room(tmp_path, database_url)
    case = room.desk.report(about("red", origin="ticket", subject=""), actor=name, at_ms=at(0))
    room.desk.dispatch(case.id, actor="li", at_ms=at(1), to=name)
    room.desk.accept(case.id, actor="li", at_ms=at(2), whose=name)
    room.fire_cases(100_000)
    with room.database.reading() as connection:
        assert connection.scalars(select(db.notices.c.key)).all()
    room.database.close()


def test_what_can_be_no_place_is_put_to_no_rest(database_url: str, tmp_path: Path) -> None:
    room = Room(tmp_path, database_url)
    room.announce("bin-1", "waste_bin")
    until = {"until_ms": at(3600), "reason": "x", "actor": "li", "at_ms": at(0)}
    for where in ({"grid": LONG}, {"grid": "a\x00b"}):
        with pytest.raises(ActionRefused, match="no-place"):
            room.desk.open_permit(SITE, holder="h", **where, **until)  # type: ignore[arg-type]
    with pytest.raises(ActionRefused, match="no-place"):
        room.desk.open_permit(SiteId(LONG), holder="h", grid="g1", **until)  # type: ignore[arg-type]
    with pytest.raises(ActionRefused, match="unknown"):
        room.desk.out_of_service(SITE, DeviceId("bin-1"), rule=LONG, **until)  # type: ignore[arg-type]
    with pytest.raises(ActionRefused, match="unknown"):
        room.desk.hand_over(SiteId(LONG), words="x", facts={}, actor="li", at_ms=at(0))
    room.database.close()
