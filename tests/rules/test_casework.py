"""Acts on cases through the desk, in a real database: what joins what, what follows from what, and what the log tells afterwards."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from messages.ids import DeviceId
from rules.assets.label import Label
from rules.cases import measures
from rules.cases.acts import CANCELLATIONS, OUTCOMES
from rules.cases.case import opened
from rules.cases.photos import MOST_BYTES, PhotoFolder, PhotoRefused
from rules.cases.practice import PLAIN
from rules.cases.presence import Proof, Spot, presence
from rules.desk import Desk
from rules.escalation.heartbeat import Heartbeat
from rules.escalation.loop import Escalation
from rules.records import ActionRefused, AlarmState, Case, CaseState
from rules.store import tables as db
from tests.pictures import JPEG
from tests.rules.course import at, reading
from tests.rules.room import SITE, Room, mend
from tests.rules.situation import about


@pytest.fixture
def room(tmp_path: Path) -> Room:
    room = Room(tmp_path)
    room.announce("cover-1", "manhole_cover", lat=26.0, lon=119.3)
    room.announce("door-1", "door_access")
    return room


def tilt(room: Room, at_s: float, degrees: float) -> None:
    room.hear(reading(at_s, "tilt", degrees, device="cover-1"))


def hold_door(room: Room, at_s: float) -> Case:
    room.hear(reading(at_s, "door_open", True, device="door-1"))
    room.wake(at_s + 60)
    case = next(alarm.case for alarm in room.desk.alarms() if alarm.device == "door-1")
    assert case
    return case


def let_go(room: Room, at_s: float) -> None:
    room.hear(reading(at_s, "door_open", False, device="door-1"))
    room.wake(at_s + 30)


def events(room: Room, case: Case) -> list[str]:
    return [line.event for line in room.desk.log_of_case(case.id) if line.event.startswith("case.")]


def seen_by_a_citizen(metres: float = 10.0, kind: str = "manhole_cover") -> Any:
    return replace(
        about("yellow", kind=kind, subject="", origin="report"), site=SITE, lat=26.0 + metres / 111_195, lon=119.3
    )


def test_a_cover_that_moves_and_then_opens_is_one_case_that_has_become_graver(room: Room) -> None:
    tilt(room, 0, 30.0)
    room.pass_time(30)
    moved = room.the_alarm().case
    assert moved
    assert moved.level == "orange"
    tilt(room, 60, 80.0)
    cases = {alarm.case.id for alarm in room.desk.alarms(open_only=False) if alarm.case}
    assert cases == {moved.id}
    case = room.desk.case(moved.id)
    assert case
    assert (case.level, case.clock_from_ms, case.accept_by_ms) == ("red", at(60), at(120))
    assert case.title.zh == "井盖打开"
    assert {"case.joined", "case.tightened"} <= set(events(room, case))


def test_a_report_joins_the_alarms_case_nearby_and_an_alarm_joins_the_reports(room: Room) -> None:
    tilt(room, 0, 80.0)
    alarm = room.the_alarm()
    assert alarm.case
    joined = room.desk.report(seen_by_a_citizen(), actor="citizen", at_ms=at(60), words="井盖开了", key="k1")
    assert joined.id == alarm.case.id
    assert room.desk.report(seen_by_a_citizen(), actor="citizen", at_ms=at(61), key="k1").id == joined.id
    assert [event for event in events(room, joined) if event == "case.reported"] == ["case.reported"]
    far = room.desk.report(seen_by_a_citizen(500.0), actor="citizen", at_ms=at(70), words="另一个井盖")
    assert far.id != joined.id
    assert (far.state, far.level) == (CaseState.REPORTED, "yellow")
    assert room.desk.register(far.id, actor="desk", at_ms=at(80), level="orange").level == "orange"


def test_an_alarm_joins_the_case_of_a_report_that_came_first(room: Room) -> None:
    reported = room.desk.report(seen_by_a_citizen(), actor="citizen", at_ms=at(0))
    tilt(room, 60, 80.0)
    case = room.the_alarm().case
    assert case
    assert (case.id, case.level, case.origin) == (reported.id, "red", "report")


def test_a_blue_case_is_done_with_one_word_and_closes_when_the_sensor_is_normal(room: Room) -> None:
    case = hold_door(room, 0)
    done = room.desk.finish(case.id, actor="wang", at_ms=at(70), outcome="mended")
    assert (done.state, done.accepted_by) == (CaseState.FEEDBACK, "wang")
    let_go(room, 80)
    closed = room.desk.case(case.id)
    assert closed
    assert (closed.state, closed.verified_by) == (CaseState.CLOSED, "rules")
    assert room.desk.alarms() == []
    assert events(room, case)[-4:] == ["case.accepted", "case.feedback", "case.verified", "case.closed"]


def test_what_comes_again_within_a_day_is_the_same_case_and_after_it_another_one(room: Room) -> None:
    case = hold_door(room, 0)
    let_go(room, 70)
    mend(room.desk, case.id, at_ms=at(100))
    again = hold_door(room, 3600)
    assert (again.id, again.state, again.reopened) == (case.id, CaseState.REOPENED, 1)
    assert (again.accepted_by, again.closed_at_ms) == (None, None)
    assert len(room.desk.alarms()) == 1, "the alarm of before stays over"
    let_go(room, 3700)
    mend(room.desk, case.id, at_ms=at(3800))
    assert room.desk.alarms() == []
    other = hold_door(room, 3800 + 90_000)
    assert other.id != case.id


def test_what_comes_again_before_it_was_checked_goes_back_to_work(room: Room) -> None:
    tilt(room, 0, 80.0)
    case = room.the_alarm().case
    assert case
    room.desk.accept(case.id, actor="wang", at_ms=at(1))
    room.desk.arrive(case.id, actor="wang", at_ms=at(2))
    tilt(room, 10, 0.0)
    room.pass_time(71)
    room.desk.finish(case.id, actor="wang", at_ms=at(80), outcome="mended")
    tilt(room, 90, 80.0)
    known = room.desk.case(case.id)
    assert known
    assert (known.state, known.reopened) == (CaseState.REOPENED, 1)


def test_cases_that_turn_out_to_be_one_are_merged_with_what_they_hold(room: Room) -> None:
    tilt(room, 0, 80.0)
    door = hold_door(room, 1)
    cover = next(alarm.case for alarm in room.desk.alarms() if alarm.device == "cover-1")
    assert cover
    merged = room.desk.merge(door.id, actor="chief", at_ms=at(70), into=cover.id)
    assert (merged.state, merged.parent) == (CaseState.MERGED, cover.id)
    assert {alarm.device for alarm in room.desk.alarms_of(cover.id)} == {"cover-1", "door-1"}
    with pytest.raises(ActionRefused, match="merged"):
        room.desk.accept(door.id, actor="wang", at_ms=at(71))
    with pytest.raises(ActionRefused, match="unknown"):
        room.desk.merge(cover.id, actor="chief", at_ms=at(72), into="nothing")
    assert room.desk.case(cover.id) != merged


def test_children_of_a_storm_join_its_case_also_those_that_were_there_before(tmp_path: Path) -> None:
    room = Room(tmp_path)
    for number in range(5):
        room.announce(f"sewer-{number}", "sewer_level", depth=2.0, lat=26.0, lon=119.3)
    for number in range(5):
        for second in (0, 10):
            room.hear(reading(number * 20 + second, "water_level", 1.7, device=f"sewer-{number}"))
    storm = next(alarm for alarm in room.desk.alarms() if alarm.rule == "storm")
    room.look(120)
    assert storm.case
    held = {alarm.device for alarm in room.desk.alarms_of(storm.case.id)}
    assert held >= {f"sewer-{number}" for number in range(5)}
    assert [case.id for case in room.desk.cases()] == [storm.case.id]


def test_the_same_key_twice_is_once_and_keeps_the_phones_own_time(room: Room) -> None:
    case = hold_door(room, 0)
    for at_s in (70, 90):
        room.desk.accept(case.id, actor="wang", at_ms=at(at_s), device_at_ms=at(65), key="phone-1")
    lines = [line for line in room.desk.log_of_case(case.id) if line.event == "case.accepted"]
    assert [(line.at_ms, line.device_at_ms, line.key) for line in lines] == [(at(70), at(65), "phone-1")]
    room.desk.reject(case.id, actor="wang", at_ms=at(95), reason="no time")
    again = room.desk.accept(case.id, actor="wang", at_ms=at(99), key="phone-1")
    assert again.state is CaseState.REJECTED, "an old act that comes late does nothing twice"
    tilt(room, 100, 80.0)
    cover = next(alarm.case for alarm in room.desk.alarms() if alarm.device == "cover-1")
    assert cover
    with pytest.raises(ActionRefused, match="key-used"):
        room.desk.accept(cover.id, actor="wang", at_ms=at(101), key="phone-1")


def test_a_note_is_a_line_of_the_case(room: Room) -> None:
    case = hold_door(room, 0)
    for _ in range(2):
        room.desk.note(case.id, actor="wang", at_ms=at(70), words="钥匙在门卫", key="n1")
    assert [line.detail for line in room.desk.log_of_case(case.id) if line.event == "case.note"] == ["钥匙在门卫"]
    with pytest.raises(ActionRefused, match="reason-missing"):
        room.desk.note(case.id, actor="wang", at_ms=at(71), words=" ")


def test_a_photo_is_a_file_and_its_name_is_in_the_log(room: Room, tmp_path: Path) -> None:
    desk = Desk(room.database, photos=PhotoFolder(tmp_path / "photos"))
    photo = desk.keep_photo(JPEG)
    assert desk.keep_photo(JPEG) == photo
    assert (photo.media, photo.size) == ("image/jpeg", len(JPEG))
    assert len([path for path in (tmp_path / "photos").rglob("*") if path.is_file()]) == 1
    case = hold_door(room, 0)
    done = desk.finish(case.id, actor="wang", at_ms=at(70), outcome="mended", photo=photo)
    assert done.photo == photo
    assert desk.photo(photo) == JPEG
    assert any(photo.sha256 in line.detail for line in desk.log_of_case(case.id))
    (tmp_path / "photos" / photo.sha256[:2] / photo.sha256).write_bytes(b"forged")
    assert desk.photo(photo) is None


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"", "no-picture"), (b"<svg onload=alert(1)>", "no-picture"), (JPEG + bytes(MOST_BYTES), "too-large")],
)
def test_what_is_no_photo_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    with pytest.raises(PhotoRefused, match=why):
        PhotoFolder(tmp_path).keep(content)
    assert list(tmp_path.iterdir()) == []


def test_a_name_of_a_photo_leads_nowhere_else(tmp_path: Path) -> None:
    photo = replace(PhotoFolder(tmp_path).keep(JPEG), sha256="../" * 21 + "x")
    with pytest.raises(PhotoRefused):
        PhotoFolder(tmp_path).content(photo)


MINE = Label(code="K7Q2M9XD4TRB", site=SITE, device=DeviceId("gas-1"), made_at_ms=0, made_by="wei")
STOLEN = replace(MINE, ended_at_ms=1, ended_by="wei", why="stolen")
OTHERS = replace(MINE, device=DeviceId("gas-2"))
THERE, AWAY = Spot(26.0 + 70 / 111_195, 119.3), Spot(26.0 + 100 / 111_195, 119.3)


@pytest.mark.parametrize(
    ("spot", "code", "label", "proof"),
    [
        (None, "", None, Proof("manual")),
        (None, MINE.code, MINE, Proof("code")),
        (THERE, MINE.code, MINE, Proof("code")),
        (Spot(27.0, 119.3, 5000.0), MINE.code, MINE, Proof("code")),
        (AWAY, MINE.code, MINE, Proof("manual", "code-from-afar")),
        (None, MINE.code, STOLEN, Proof("manual", "code-replaced")),
        (None, MINE.code, OTHERS, Proof("manual", "code-of-another")),
        (None, "gas-1", None, Proof("manual", "code-unknown")),
        (THERE, "gas-1", None, Proof("geofence", "code-unknown")),
        (THERE, "", None, Proof("geofence")),
        (AWAY, "", None, Proof("manual")),
        (replace(AWAY, error_m=30.0), "", None, Proof("geofence")),
        (Spot(26.0, 119.3, 5000.0), "", None, Proof("manual")),
        (Spot(26.0, 119.3, float("nan")), "", None, Proof("manual")),
        (Spot(float("nan"), 119.3), MINE.code, MINE, Proof("code")),
    ],
)
def test_who_is_on_the_spot_is_known_by_the_phone_or_the_label_or_only_by_his_word(
    spot: Spot | None, code: str, label: Label | None, proof: Proof
) -> None:
    case = opened("c-1", replace(about(), lat=26.0, lon=119.3), 0)
    assert presence(case, spot, code, label) == proof


def test_a_label_says_nothing_of_a_case_that_is_about_no_device() -> None:
    case = opened("c-1", replace(about(), subject=""), 0)
    assert presence(case, None, MINE.code, MINE) == Proof("manual", "code-of-another")


STEPS = [
    "accept",
    "arrive",
    "handle",
    "finish",
    "inspect",
    "verify",
    "reject",
    "escalate",
    "dispatch",
    "suspend",
    "resume",
    "cancel",
    "reopen",
    "check_in",
    "wait",
    "wait a day",
    "open",
    "shut",
]
ACTS = st.lists(
    st.tuples(
        st.sampled_from(STEPS),
        st.sampled_from(["wang", "zhao"]),
        st.integers(0, 400),
    ),
    max_size=25,
)


@given(acts=ACTS)
@settings(max_examples=12, deadline=None)
def test_the_log_of_a_case_has_no_gap_and_says_all_that_the_table_does(
    tmp_path_factory: pytest.TempPathFactory, acts: list[tuple[str, str, int]]
) -> None:
    """F10."""
    room = Room(tmp_path_factory.mktemp("room"))
    room.announce("door-1", "door_access")
    case = hold_door(room, 0)
    now_s = 100
    more: dict[str, dict[str, Any]] = {
        "finish": {"outcome": OUTCOMES[0]},
        "verify": {"passed": True},
        "reject": {"reason": "r"},
        "escalate": {"reason": "r"},
        "dispatch": {"to": "li"},
        "cancel": {"reason": CANCELLATIONS[0]},
        "reopen": {"reason": "r"},
    }
    for act, actor, later_s in acts:
        now_s += later_s
        if act in ("open", "shut"):
            room.hear(reading(now_s, "door_open", act == "open", device="door-1"))
            now_s += 61
            room.wake(now_s)
        elif act in ("wait", "wait a day"):
            now_s += 86_400 if act == "wait a day" else 0
            room.fire_cases(now_s)
        else:
            words = more.get(act, {}) | ({"review_ms": at(now_s + 1000), "reason": "r"} if act == "suspend" else {})
            try:
                getattr(room.desk, act)(case.id, actor=actor, at_ms=at(now_s), **words)
            except ActionRefused:
                continue
    lines = [line for line in room.desk.log_of_case(case.id) if line.case == case.id]
    assert [line.number for line in lines] == list(range(1, len(lines) + 1))
    known = room.desk.case(case.id)
    assert known
    told = measures.course(lines)
    assert told == measures.of_row(known, told.breaches)
    with room.database.reading() as connection:
        legs = list(connection.scalars(select(db.timers.c.leg).where(db.timers.c.case == case.id)))
    if known.state in (CaseState.ARCHIVED, CaseState.CANCELLED):
        assert legs == []
    else:
        assert legs, "something will call"
    room.database.close()


class _Outside(BaseHTTPRequestHandler):
    heard: threading.Event
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.end_headers()
        self.heard.set()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def outside() -> Iterator[tuple[str, threading.Event]]:
    heard = threading.Event()
    server = HTTPServer(("127.0.0.1", 0), type("Outside", (_Outside,), {"heard": heard}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/ping/secret", heard
    server.shutdown()
    thread.join()
    server.server_close()


async def test_the_heartbeat_is_heard_outside_only_while_timers_are_looked_at(
    outside: tuple[str, threading.Event],
) -> None:
    url, heard = outside
    looked_at_ms = 0
    beat = asyncio.create_task(Heartbeat(url, lambda: looked_at_ms, lambda: 20_000, every_s=0.05).run())
    assert not await asyncio.to_thread(heard.wait, 0.3)
    looked_at_ms = 19_000
    assert await asyncio.to_thread(heard.wait, 60)
    beat.cancel()
    await asyncio.gather(beat, return_exceptions=True)


async def test_the_loop_fires_what_is_due_and_what_somebody_else_has_made_due(room: Room) -> None:
    now_ms, fired = at(1000), asyncio.Event()
    escalation = Escalation(room.database, PLAIN, lambda: now_ms, fired.set)
    running = asyncio.create_task(escalation.run())
    try:
        case = await asyncio.to_thread(lambda: room.desk.report(seen_by_a_citizen(), actor="citizen", at_ms=at(1000)))
        await asyncio.wait_for(fired.wait(), 60)
        with room.database.reading() as connection:
            assert connection.scalars(select(db.notices.c.case)).all() == [case.id]
        assert escalation.looked_at_ms == now_ms
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def test_an_alarm_of_a_reopened_case_is_open_again(room: Room) -> None:
    case = hold_door(room, 0)
    let_go(room, 70)
    mend(room.desk, case.id, at_ms=at(100))
    assert room.desk.alarms() == []
    room.desk.reopen(case.id, actor="chief", at_ms=at(200), reason="it hangs again")
    (alarm,) = room.desk.alarms()
    assert (alarm.device, alarm.state) == ("door-1", AlarmState.NORM)
