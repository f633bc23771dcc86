"""The figures of alarm quality, by hand-made days whose figures can be counted on fingers; and the audit."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import delete, update
from typer.testing import CliRunner

from messages.alarm import Level
from messages.ids import DeviceId
from rules import chronicle
from rules.commands import app
from rules.quality import gathering, report
from rules.quality.figures import Quality, Subject, Times, Work, quality, rate, times
from rules.records import AlarmState, LogEntry
from rules.store import tables as db
from tests.rules.course import at, reading
from tests.rules.room import SITE, Room, mend

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


def subject(
    name: str, *, level: Level = "blue", grid: str = "g1", state: AlarmState = AlarmState.NORM, **more: int
) -> Subject:
    return Subject(
        id=name,
        site="s",
        grid=grid,
        device=f"d-{name}",
        kind="door_access",
        model="m",
        rule="held_open",
        level=level,
        state=state,
        late=False,
        since_ms=more.get("since_ms", 0),
        occurrences=more.get("occurrences", 1),
    )


def log(*lines: tuple[int, str, str, str]) -> list[LogEntry]:
    """(time, event without its "alarm.", alarm, detail)."""
    return [
        LogEntry(
            seq=seq, at_ms=at_ms, event=f"alarm.{event}", alarm=alarm or None, case=None, actor="li", detail=detail
        )
        for seq, (at_ms, event, alarm, detail) in enumerate(lines, 1)
    ]


def figures(
    subjects: Sequence[Subject],
    lines: Sequence[LogEntry],
    works: Sequence[Work] = (),
    *,
    to_ms: int = DAY,
    operators: int = 1,
) -> Quality:
    return quality("s", subjects, lines, works, 0, to_ms, operators=operators)


def test_a_day_with_a_flood_is_counted_by_slots_and_by_grids() -> None:
    names = [f"a{number}" for number in range(12)]
    subjects = [subject(name, grid="g1" if number else "g2") for number, name in enumerate(names)]
    lines = log(*((number * 1000, "raised", name, "") for number, name in enumerate(names)))
    found = figures(subjects, lines)
    assert (found.alarms, found.rate.rings, found.rate.per_day, found.rate.most_in_slot) == (12, 12, 12, 12)
    assert (found.rate.per_slot, found.rate.flooded) == (12 / 144, 1 / 144)
    assert {grid: one.rings for grid, one in found.grids.items()} == {"g1": 11, "g2": 1}
    shared = figures(subjects, lines, operators=2)
    assert (shared.rate.per_day, shared.rate.most_in_slot, shared.rate.flooded) == (6, 6, 0)


def test_what_was_quiet_from_its_first_moment_rang_nobody() -> None:
    lines = log(
        (1000, "raised", "a", ""),
        (1000, "suppressed", "a", "permit p"),
        (2000, "raised", "b", ""),
        (5000, "shelved", "b", "until 1970-01-02T00:00:00.000Z: dust"),
        (9000, "unsuppressed", "a", "permit p"),
        (9000, "realarmed", "a", "still active"),
    )
    found = figures([subject("a"), subject("b")], lines)
    assert (found.alarms, found.quiet, found.rate.rings) == (2, 1, 2)


def test_late_alarms_and_what_was_before_the_span_are_not_counted() -> None:
    lines = log((-5, "raised", "a", ""), (10, "acknowledged", "a", ""), (20, "raised", "b", "late"))
    found = figures([subject("a"), subject("b")], lines)
    assert (found.alarms, found.rate.rings) == (0, 0)
    assert found.acknowledge == Times(1, 0.015, 0.015)


def test_the_time_to_acknowledge_runs_from_the_first_ring_to_the_first_look() -> None:
    lines = log(
        (0, "raised", "a", ""),
        (60_000, "realarmed", "a", ""),
        (90_000, "acknowledged", "a", ""),
        (100_000, "realarmed", "a", ""),
        (110_000, "acknowledged", "a", ""),
    )
    assert figures([subject("a")], lines).acknowledge == Times(2, 10.0, 90.0)


def test_median_and_p95_are_values_that_occurred() -> None:
    assert times([]) == Times(0, None, None)
    assert times([number * 1000 for number in range(100, 0, -1)]) == Times(100, 50.0, 95.0)


def test_false_alarms_are_shared_out_by_model_among_closed_cases() -> None:
    def work(outcome: str | None, *models: str) -> Work:
        closed = None if outcome is None else 9 * HOUR
        return Work(opened_at_ms=0, accepted_at_ms=MINUTE, closed_at_ms=closed, outcome=outcome, models=models)

    works = [work("false_alarm", "m1"), work("mended", "m1"), work("mended", "m2", "m2"), work(None, "m3")]
    found = figures([], [], works)
    assert [(one.model, one.false, one.closed, one.share) for one in found.false] == [
        ("m1", 1, 2, 0.5),
        ("m2", 0, 1, 0),
    ]
    assert (found.accept, found.close) == (Times(4, 60.0, 60.0), Times(3, 32_400.0, 32_400.0))


def test_the_worst_come_first_and_what_stands_is_listed_from_the_oldest() -> None:
    subjects = [
        subject("often", occurrences=9, since_ms=DAY),
        subject("chatter", occurrences=4, since_ms=DAY),
        subject("once", since_ms=DAY),
        subject("old", state=AlarmState.ACKED, since_ms=0),
        subject("older", state=AlarmState.UNACK, since_ms=-DAY),
        subject("young", state=AlarmState.UNACK, since_ms=DAY),
    ]
    lines = log(
        (DAY, "raised", "often", ""),
        (DAY, "raised", "chatter", ""),
        (DAY, "chattering", "chatter", "3 times in 20 s"),
        (DAY, "raised", "once", ""),
    )
    found = figures(subjects, lines, to_ms=DAY + HOUR)
    assert [(one.device, one.occurrences, one.chattered) for one in found.repeaters] == [
        ("d-chatter", 4, 1),
        ("d-often", 9, 0),
    ]
    assert [(one.alarm, one.hours) for one in found.standing] == [("older", 49), ("old", 25)]


def test_what_stood_at_the_end_of_a_month_that_is_long_over_is_told_of_that_month() -> None:
    """It has gone since, or come again: how it stands today is no matter."""
    subjects = [
        subject("gone", state=AlarmState.NORM, since_ms=0),
        subject("again", since_ms=9 * DAY, state=AlarmState.UNACK),
    ]
    lines = log((0, "raised", "gone", ""), (HOUR, "raised", "again", ""), (2 * HOUR, "acknowledged", "again", ""))
    found = figures(subjects, lines, to_ms=2 * DAY)
    assert [(one.alarm, one.hours) for one in found.standing] == [("gone", 48), ("again", 47)]


def test_an_alarm_that_was_raised_before_repeats_itself_in_the_span_as_often_as_the_log_says() -> None:
    lines = log(
        (-DAY, "raised", "old", ""),
        (-HOUR, "cleared", "old", ""),
        (HOUR, "raised", "old", "again"),
        (2 * HOUR, "cleared", "old", ""),
        (3 * HOUR, "raised", "old", "again"),
    )
    (found,) = figures([subject("old", occurrences=30)], lines).repeaters
    assert (found.device, found.occurrences) == ("d-old", 2)


def test_the_mix_of_priorities_is_that_of_what_was_raised() -> None:
    levels: list[Level] = ["red", "orange", "yellow", "blue"]
    found = figures([subject(one, level=one) for one in levels], log(*((1, "raised", one, "") for one in levels)))
    assert found.priorities == {"high": 0.25, "medium": 0.25, "low": 0.5}


def test_an_empty_span_divides_nothing_by_nothing() -> None:
    assert figures([], []).priorities == {}
    assert rate([], 0, 0, 1).per_day == 0


def live(room: Room) -> Room:
    """Something of everything happens."""
    room.status(0, online=True)
    for device, kind in (("gas-1", "gas_alarm"), ("door-1", "door_access")):
        room.announce(device, kind)
    room.hear(reading(0, "door_open", True, device="door-1"))
    room.pass_time(60)
    door = room.the_alarm()
    room.desk.shelve(door.id, until_ms=at(900), reason="moving: house", actor="li", at_ms=at(70))
    room.hear(reading(100, "gas_concentration", 30.0, device="gas-1"))
    gas = next(alarm for alarm in room.desk.alarms() if alarm.device == "gas-1")
    assert gas.case
    room.desk.accept(gas.case.id, actor="wang", at_ms=at(130))
    room.desk.out_of_service(SITE, DeviceId("door-1"), until_ms=at(9999), reason="r", actor="li", at_ms=at(140))
    room.desk.open_permit(SITE, grid="g1", holder="h", reason="r", until_ms=at(145), actor="li", at_ms=at(141))
    room.status(150, online=False)
    room.look(151)
    room.start()
    return room


@pytest.fixture
def lived(tmp_path: Path) -> Room:
    return live(Room(tmp_path))


def test_either_database_holds_what_lies_over_alarms_and_agrees_with_its_log(database_url: str, tmp_path: Path) -> None:
    room = live(Room(tmp_path, database_url))
    over = {alarm.device: alarm.overlays for alarm in room.desk.alarms()}
    assert over[DeviceId("door-1")].shelved
    assert over[DeviceId("door-1")].out_of_service
    assert over[DeviceId("door-1")].uncertain == over[DeviceId("gas-1")].uncertain == ("edge",)
    assert {"permit.opened", "permit.closed", "alarm.suppressed", "alarm.unsuppressed"} <= set(room.events())
    assert [hold.what for hold in room.desk.holds()] == ["shelf", "service"]
    assert gathering.audited(room.database)[2] == []
    (found,) = gathering.qualities(room.database, at(0), at(3600), operators={})
    assert found.alarms == 2
    room.database.close()


def test_the_figures_of_a_database_are_those_of_its_log(lived: Room) -> None:
    """F10: the figures can be computed again from the log."""
    (found,) = gathering.qualities(lived.database, at(0), at(3600), operators={})
    assert (found.site, found.alarms, found.rate.rings, found.quiet) == (SITE, 2, 2, 0)
    assert (found.accept, found.acknowledge) == (Times(1, 30.0, 30.0), Times(1, 30.0, 30.0))
    assert found.priorities == {"high": 0.5, "medium": 0.0, "low": 0.5}
    text = "\n".join(line.said("en") for line in report.page(found, at(0), ""))
    assert "接单用时：中位数 30 s，95% 在 30 s 内，共 1 次" in "\n".join(
        line.said("zh") for line in report.page(found, at(0), "")
    )
    assert "junmen: 2 alarms in" in text
    assert "less than a day of the log: too short for rates" in text
    assert "a day," not in text, "an hour is no day: what it had is said, and nothing is reckoned up from it"
    assert "to accept: median 30 s, p95 30 s, 1 times" in text
    assert gathering.qualities(lived.database, at(0), at(3600), operators={}, only=[]) != []


def test_a_rate_is_of_the_time_for_which_there_is_a_log(lived: Room) -> None:
    (began_ms,) = {chronicle.began_ms(lived.database)}
    assert began_ms is not None
    month_ms, two_days_ms = began_ms - 28 * DAY, began_ms + 2 * DAY
    (found,) = gathering.qualities(lived.database, month_ms, two_days_ms, operators={})
    assert (found.from_ms, found.to_ms) == (began_ms, two_days_ms)
    assert found.rate.per_day == found.rate.rings / 2
    assert gathering.qualities(lived.database, month_ms, began_ms, operators={}) == []
    text = [line.said("en") for line in report.page(found, month_ms, "2026-11-19 12:00")]
    assert "alarms in 2 days" in text[0]
    assert "  the log begins on 2026-11-19 12:00 only: rates are of the time since" in text
    assert any(line.startswith("  rings per operator: 1 a day") for line in text)


def test_a_rate_is_read_without_powers_of_ten() -> None:
    assert [report.few(number) for number in (0, 0.004, 0.12345, 12.34, 104.6, 4240.1)] == [
        "0",
        "< 0.01",
        "0.123",
        "12.3",
        "105",
        "4,240",
    ]


def test_log_and_tables_agree_until_somebody_tampers_with_either(lived: Room) -> None:
    lines, alarms, found = gathering.audited(lived.database)
    assert (alarms, found) == (2, [])
    assert lines == lived.desk.position().seq
    with lived.database.writing() as connection:
        connection.execute(update(db.alarms).where(db.alarms.c.device == "gas-1").values(state="norm"))
        connection.execute(delete(db.log).where(db.log.c.seq == 1))
    *_, differences = gathering.audited(lived.database)
    said = [one.said("en") for one in differences]
    assert "第 2 行：出现在第 1 行的位置" in [one.said("zh") for one in differences]
    assert "line 2: comes where line 1 should be" in said
    assert any("is norm, by the log acked" in words for words in said)


def test_a_month_that_is_over_tells_of_what_has_gone_since(tmp_path: Path) -> None:
    """Nothing was said of the alarm in its second month, and it is closed by now."""
    room, day_s = Room(tmp_path), DAY / 1000
    room.announce("gas-1", "gas_alarm")
    room.hear(
        reading(0, "gas_concentration", 1.0, device="gas-1"), reading(10, "gas_concentration", 30.0, device="gas-1")
    )
    case = room.the_alarm().case
    assert case
    room.desk.acknowledge(room.the_alarm().id, actor="li", at_ms=at(20))
    (second,) = gathering.qualities(room.database, at(30 * day_s), at(60 * day_s), operators={})
    room.hear(*(reading(70 * day_s + s, "gas_concentration", 1.0, device="gas-1") for s in range(0, 900, 10)))
    room.desk.accept(case.id, actor="wang", at_ms=at(71 * day_s))
    room.desk.arrive(case.id, actor="wang", at_ms=at(71 * day_s + 60))
    mend(room.desk, case.id, at_ms=at(72 * day_s))
    (later,) = gathering.qualities(room.database, at(30 * day_s), at(60 * day_s), operators={})
    room.database.close()
    assert [one.device for one in second.standing] == ["gas-1"]
    assert [one.device for one in later.standing] == ["gas-1"]


@pytest.fixture
def config(lived: Room) -> Path:
    path = lived.folder / "rules.toml"
    path.write_text(
        f"""
name = "rules"
database = "sqlite:///{lived.folder}/rules.db"
store = "sqlite:{lived.folder}/history.db"
operators = {{ junmen = 2 }}
[broker]
"""
    )
    return path


def test_the_commands_print_and_tell_by_their_exit_code(lived: Room, config: Path) -> None:
    run = CliRunner().invoke
    told = run(app, ["quality", str(config), "--since", "10000d"], catch_exceptions=False)
    assert (told.exit_code, "2 operators" in told.output) == (0, True)
    assert (
        "天内 2 次告警，值班台 2 人"
        in run(app, ["quality", str(config), "--since", "10000d", "--language", "zh"]).output
    )
    (site,) = json.loads(run(app, ["quality", str(config), "--since", "10000d", "--json"]).output)["sites"]
    assert (site["alarms"], site["guidance"]["per_day"]) == (2, 150)
    assert run(app, ["quality", str(config), "--site", "nowhere"]).exit_code != 0
    agreed = run(app, ["audit", str(config)], catch_exceptions=False)
    assert (agreed.exit_code, "log and tables agree" in agreed.output) == (0, True)
    chinese = run(app, ["audit", str(config), "--language", "zh"], catch_exceptions=False)
    assert "告警 2 个：日志与表一致" in chinese.output
    with lived.database.writing() as connection:
        connection.execute(update(db.alarms).where(db.alarms.c.device == "gas-1").values(state="norm"))
    differs = run(app, ["audit", str(config)])
    assert (differs.exit_code, "1 differences" in differs.output) == (1, True)
