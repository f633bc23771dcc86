"""Rules over the past: the same judgement as live, a changed rule beside the old one, and what the command says of it."""

import random
import signal
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from collector.stores.base import Batch, Point
from collector.stores.choose import open_store
from messages.ids import DeviceId, EdgeId
from messages.reading import Reading
from rules.backtest import chart, past
from rules.backtest.columns import cells
from rules.backtest.courses import courses_of
from rules.backtest.progress import Progress
from rules.backtest.replay import Episode, Replay
from rules.backtest.report import Course, days, difference
from rules.commands import app
from rules.config import load
from rules.engine.memory.facts import Facts
from rules.engine.work import Work
from rules.language.answering import with_answers
from rules.language.calendar import CHINA
from rules.language.library import load_rules
from rules.store import facts
from tests.rules.course import ALL_RULES, KINDS, T0, at, course, write_rules
from tests.rules.room import EDGE, SITE, Room

CLI = CliRunner()


def episode(raised_s: float, cleared_s: float | None = None, *, device: str = "gas-1", **more: Any) -> Episode:
    known: dict[str, Any] = {"kind": "gas_alarm", "rule": "leak", "level": "red", "grid": "g1", "model": "m"} | more
    return Episode(
        site=SITE,
        device=DeviceId(device),
        raised_at_ms=at(raised_s),
        cleared_at_ms=None if cleared_s is None else at(cleared_s),
        **known,
    )


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def replayed(room: Room, readings: Iterable[Reading], until_s: float) -> list[Episode]:
    known = Facts(KINDS, ALL_RULES, devices=dict(room.facts.devices))
    past = [(SITE, EDGE, reading) for reading in sorted(readings, key=lambda one: one.at_ms)]
    replay, middle = Replay(known), len(past) // 2
    return [*replay.judge(past[:middle]), *replay.judge(past[middle:]), *replay.finish(at(until_s))]


def leaks(seed: int, hours: int) -> list[Reading]:
    """A gas value each ten seconds: noise about a mean that now and then climbs over the threshold and falls again."""
    chance, found, level = random.Random(seed), [], 1.0
    for second in range(0, hours * 3600, 10):
        if chance.random() < 0.003:
            level = chance.choice((1.0, 8.0, 12.0, 25.0))
        found.append((float(second), max(0.0, level + chance.gauss(0, 1.5))))
    return course("gas_concentration", *found, device="gas-1")


@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_past_is_judged_as_it_was_when_it_was_the_present(
    seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    room = Room(tmp_path_factory.mktemp("room"))
    room.announce("gas-1", "gas_alarm")
    readings = leaks(seed, 1)
    for reading in readings:
        room.pass_time((reading.at_ms - 1 - T0) / 1000)
        room.hear(reading)
    room.pass_time(3600 + 600)
    raised = [entry.at_ms for entry in room.desk.log_after(0) if entry.event == "alarm.raised"]
    assert [one.raised_at_ms for one in replayed(room, readings, 3600 + 600)] == raised


def test_an_episode_has_its_beginning_its_end_and_its_gravest_level(room: Room) -> None:
    room.announce("gas-1", "gas_alarm")
    readings = course(
        "gas_concentration", *((s, 30.0 if 60 <= s < 120 else 1.0) for s in range(0, 900, 10)), device="gas-1"
    )
    readings += course("alarm_contact", (0, False), device="gas-1")
    (found,) = replayed(room, readings, 900)
    assert (found.raised_at_ms, found.cleared_at_ms, found.level) == (at(60), at(120 + 300), "red")


def test_what_stands_at_the_end_has_no_end(room: Room) -> None:
    room.announce("gas-1", "gas_alarm")
    (found,) = replayed(room, course("gas_concentration", (0, 30.0), device="gas-1"), 60)
    assert found.cleared_at_ms is None


def test_a_delay_runs_out_though_no_more_readings_come(room: Room) -> None:
    room.announce("door-1", "door_access")
    (held, *_) = replayed(room, course("door_open", (0, False), (10, True), device="door-1"), 300)
    assert (held.rule, held.raised_at_ms) == ("held_open", at(70))


def test_readings_of_devices_that_nobody_announces_are_counted_and_not_judged(room: Room) -> None:
    replay = Replay(Facts(KINDS, ALL_RULES, devices={}))
    past = [(SITE, EDGE, reading) for reading in course("gas_concentration", (0, 99.0), (1, 99.0), device="gone")]
    assert [*replay.judge(past), *replay.finish(at(60))] == []
    assert (replay.readings, replay.unknown) == (0, 2)


def test_the_neighbourhood_is_asked_as_by_the_engine(room: Room) -> None:
    readings = []
    for index in range(5):
        room.announce(f"sewer-{index}", "sewer_level", lat=26.085, lon=119.3, depth=2.0)
        readings += course("water_level", (index * 10, 0.1), (index * 10 + 60, 1.9), device=f"sewer-{index}")
    assert "storm" in {one.rule for one in replayed(room, readings, 3600)}


def test_two_courses_differ_by_what_is_gone_new_or_at_another_time() -> None:
    was = [episode(0, 60), episode(500, 560), episode(5000, 5060), episode(20_000, 20_900)]
    now = [episode(10, 60), episode(5030, 5060), episode(9000, 9060), episode(19_000, 20_800)]
    found = difference(Course("was", was), Course("now", now))
    assert (found.gone, found.new, found.same) == ((was[1],), (now[2],), 2)
    assert found.moved == ((was[3], now[3]),)


def test_what_stood_at_the_beginning_is_neither_gone_nor_new() -> None:
    """It was raised before the span by the engine, and in the first moment of it by who knows nothing of the time before."""
    was, now = [episode(-9000, 100), episode(-500, -400)], [episode(0, 100)]
    found = difference(Course.within("was", was, at(0), at(900)), Course.within("now", now, at(0), at(900)))
    assert (found.gone, found.new, found.moved, found.same) == ((), (), ((was[0], now[0]),), 0)
    assert Course.within("was", was, at(0), at(900)).before == [was[0]]


def test_three_within_an_hour_flap_and_two_do_not() -> None:
    three = [episode(s, s + 60) for s in (0, 1000, 3599)]
    assert list(Course("x", three).flapping().values()) == [3]
    assert Course("x", [episode(s) for s in (0, 1000, 3601)]).flapping() == {}


def test_what_lasts_more_than_a_day_stands() -> None:
    short, long, stands = episode(0, 86_399), episode(1, 90_000), episode(2)
    assert Course("x", [short, long, stands]).standing(at(200_000)) == [stands, long]


def test_days_are_those_of_the_site() -> None:
    assert days(CHINA, at(0), at(86_400 * 2)) == ["2025-10-09", "2025-10-10", "2025-10-11"]
    counts = Course("x", [episode(0), episode(12 * 3600)]).by_grid_and_day(CHINA)
    assert counts == {(SITE, "g1"): {"2025-10-09": 1, "2025-10-10": 1}}


def test_a_bar_is_as_long_as_its_share_and_never_invisible() -> None:
    lines = chart.bars([Course("was", [episode(0)] * 300 + [episode(90_000)])], CHINA, days(CHINA, at(0), at(100_000)))
    assert lines[1].count("█") == chart.BAR
    assert "▏" in lines[2]


def test_a_day_on_which_nobody_works_is_starred_and_a_line_is_no_wider_than_a_terminal() -> None:
    many = [Course(name, [episode(0)] * 30_000) for name in ("was", "rules now", "changed")]
    lines = chart.bars(many, CHINA, ["2025-10-08", "2025-10-09", "2025-10-11", "2025-10-12"])
    assert [line[10:11] == "*" for line in lines[1:]] == [
        True,
        False,
        False,
        True,
    ]  # a holiday, and a Saturday that is worked
    assert max(map(cells, lines)) <= 80
    for days_shown, is_said in ((["2025-10-08", "2025-10-09"], True), (["2025-10-09"], False)):
        picture = chart.svg(many, CHINA, days_shown, "Alarms by day", "* a day off")
        assert ("* a day off</text>" in picture) is is_said


@pytest.fixture
def plant(tmp_path: Path) -> Path:
    """Three hours of a gas alarm that leaked once, with its alarm in the database; ends now."""
    now_ms = time.time_ns() // 1_000_000
    shift_ms = now_ms - 3 * 3600 * 1000 - T0
    room = Room(tmp_path)
    room.announce("gas-1", "gas_alarm")
    values = [
        (float(s), 12.0 if 3600 <= s < 3900 else 7.0 if 5000 <= s < 5100 else 1.0) for s in range(0, 3 * 3600, 10)
    ]
    readings = [
        one._replace(at_ms=one.at_ms + shift_ms) for one in course("gas_concentration", *values, device="gas-1")
    ]
    work = Work(room.facts)
    for reading in readings:
        work.hear(SITE, EDGE, [reading], reading.at_ms)
    facts.commit(room.database, work, now_ms)
    store = open_store("sqlite:history.db", base=tmp_path)
    points = [Point(reading=one, kind="gas_alarm", model="m", building="3") for one in readings]
    store.write([Batch(site=SITE, edge=EDGE, points=points, packs=())])
    store.close()
    room.database.close()
    path = tmp_path / "rules.toml"
    path.write_text(
        'name = "rules-1"\ndatabase = "sqlite:///rules.db"\nstore = "sqlite:history.db"\n'
        '[broker]\nusername = "rules"\npassword = "x"\n'
    )
    return path


STRICTER = """
[rules.leak]
level = "red"
life_safety = true
latch = true
title = { zh = "燃气泄漏", en = "Gas leak" }
raise = "gas_concentration >= 6"
clear = "gas_concentration < 5"
"""


def test_the_command_shows_what_was_beside_what_would_be_by_the_changed_rule(plant: Path, tmp_path: Path) -> None:
    changed = write_rules(tmp_path / "changed", "gas_alarm", STRICTER)
    picture = tmp_path / "alarms.svg"
    result = CLI.invoke(app, ["backtest", str(plant), "--since", "4h", "--rule", str(changed), "--chart", str(picture)])
    assert result.exit_code == 0, result.output
    lines = [" ".join(line.split()) for line in result.output.splitlines()]
    assert "gas_alarm.leak 1 1 2" in lines
    assert "rules now -> changed: 1 the same, 0 at another time, 0 gone, 1 new" in lines
    assert lines[lines.index("gas_alarm.leak") :][1:3] == [
        "- raise: gas_concentration >= alarm_at or alarm_contact",
        "+ raise: gas_concentration >= 6",
    ]
    assert max(map(cells, result.output.splitlines())) <= 80
    assert picture.read_text().startswith("<svg")


def test_the_command_speaks_chinese_in_columns_of_their_width(plant: Path, tmp_path: Path) -> None:
    changed = write_rules(tmp_path / "changed", "gas_alarm", STRICTER)
    picture = tmp_path / "alarms.svg"
    arguments = ["--since", "4h", "--rule", str(changed), "--chart", str(picture), "--language", "zh"]
    result = CLI.invoke(app, ["backtest", str(plant), *arguments])
    assert result.exit_code == 0, result.output
    assert "现行规则 -> 修改后：相同 1，时间不同 0，减少 0，新增 1" in result.output
    head, row = (line for line in result.output.splitlines() if line.startswith(("规则", "gas_alarm.leak")))
    assert cells(head) == cells(row)
    (grid,) = (line for line in result.output.splitlines() if line.startswith("junmen/g1 "))
    assert grid.split() == ["junmen/g1", "1", "1", "1", "1", "2", "2"]
    assert ("每日报警数" in picture.read_text(), "现行规则" in picture.read_text()) == (True, True)


def test_who_stops_it_sees_what_was_judged_until_then(plant: Path) -> None:
    configuration = load(plant)
    now_ms = time.time_ns() // 1_000_000
    asked = past.Span(now_ms - 4 * 3_600_000, now_ms)
    told: list[float] = []

    def until_half(share: float, count: int) -> bool:
        told.append(share)
        return count < 200

    whole = courses_of(configuration, asked, [], frozenset())
    found = courses_of(configuration, asked, [], frozenset(), until_half)
    configuration.store.close()
    assert (whole.readings, whole.span, [len(one.episodes) for one in whole.courses]) == (1080, asked, [1, 1])
    assert told == sorted(told)
    assert 200 <= found.readings < 1080
    both_ms = 2 * (asked.until_ms - asked.from_ms)  # what rules look back on is as long as the span itself, at most
    assert found.span.until_ms == asked.until_ms - both_ms + round(told[-1] * both_ms)
    assert all(one.raised_at_ms < found.span.until_ms for course in found.courses for one in course.episodes)


def test_ctrl_c_asks_the_run_to_stop_and_pressed_again_breaks_it_off() -> None:
    progress = Progress("en", lambda: 0.0)
    with progress.shown():
        assert progress.told(0.1, 1)
        signal.raise_signal(signal.SIGINT)
        assert not progress.told(0.2, 2)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_the_past_comes_in_portions_in_the_order_of_time_over_all_edges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(past, "PORTION", 40)
    room, store = Room(tmp_path), open_store("sqlite:history.db", base=tmp_path)
    edges = [EdgeId("pi-1"), EdgeId("pi-2")]
    written = []
    for edge in edges:
        room.announce(f"gas-{edge}", "gas_alarm", edge=edge)
        busy = [(float(s), 1.0) for s in (*range(0, 7200, 600), *range(7200, 7500), *range(7500, 20_000, 500))]
        readings = course("gas_concentration", *busy, device=f"gas-{edge}")
        points = [Point(reading=one, kind="gas_alarm", model="m", building="3") for one in readings]
        store.write([Batch(site=SITE, edge=edge, points=points, packs=())])
        written += [(SITE, edge, one._replace(unit=None)) for one in readings]
    found = list(past.portions(store, room.facts.devices, past.Span(at(0), at(20_000))))
    store.close()
    heard = [one for _, some in found for one in some]
    assert sorted(heard, key=lambda one: (one[2].at_ms, one[1])) == heard
    assert sorted(heard) == sorted(written)
    assert (found[-1][0], [until_ms for until_ms, _ in found]) == (
        at(20_000),
        sorted({until_ms for until_ms, _ in found}),
    )
    assert max(len(some) for _, some in found[10:]) <= 400


def test_the_command_speaks_json_too(plant: Path) -> None:
    result = CLI.invoke(app, ["backtest", str(plant), "--since", "4h", "--json"])
    content = orjson.loads(result.stdout)
    assert [(one["name"], one["by_rule"]) for one in content["courses"]] == [
        ("was", {"gas_alarm.leak": 1}),
        ("rules now", {"gas_alarm.leak": 1}),
    ]
    assert content["readings"] == 1080


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--site", "junmn"], "no device of `junmn` is known; did you mean `junmen`?"),
        (["--since", "a month"], "--since: a duration such as"),
        (["--since", "1h", "--until", "2h"], "ends before"),
        (["--rule", "/nowhere/gas_alarm.toml"], "no such file"),
    ],
)
def test_a_wrong_question_is_refused(plant: Path, arguments: list[str], why: str) -> None:
    result = CLI.invoke(app, ["backtest", str(plant), *arguments])
    assert why in str(result.exception)


SHADOW = """
[rules.strict]
level = "orange"
shadow = true
title = { zh = "试", en = "Trial" }
raise = "gas_concentration >= 6"
clear = "gas_concentration < 5"
[[rules.strict.levels]]
level = "red"
when = "gas_concentration >= 20"
"""


def test_a_rule_in_shadow_is_written_down_and_calls_nobody(tmp_path: Path) -> None:
    folder = write_rules(tmp_path / "own", "gas_alarm", SHADOW).parent
    room = Room(tmp_path, known=with_answers(load_rules(KINDS, folder), KINDS))
    room.announce("gas-1", "gas_alarm")
    values = [(0, 1.0), (10, 7.0), (20, 30.0), (30, 1.0), (40, 1.0), (50, 8.0)]
    room.hear(*course("gas_concentration", *((float(s), value) for s, value in values), device="gas-1"))
    assert room.desk.alarms(open_only=False) == []
    assert room.desk.cases(open_only=False) == []
    found = past.shadows(room.database, frozenset(), past.Span(at(0), at(100)))
    assert [(one.rule, one.level, one.raised_at_ms, one.cleared_at_ms) for one in found] == [
        ("strict", "red", at(10), at(30)),
        ("strict", "orange", at(50), None),
    ]


def test_what_was_raised_in_shadow_is_said_by_command(plant: Path, tmp_path: Path) -> None:
    folder = write_rules(tmp_path / "own", "gas_alarm", SHADOW).parent
    room = Room(tmp_path, known=with_answers(load_rules(KINDS, folder), KINDS))
    room.announce("gas-1", "gas_alarm")
    shift_ms = time.time_ns() // 1_000_000 - T0 - 60_000
    for one in course("gas_concentration", (0, 1.0), (10, 7.0), device="gas-1"):
        late = one._replace(at_ms=one.at_ms + shift_ms)
        room.hear(late)
    room.database.close()
    result = CLI.invoke(app, ["shadow", str(plant), "--since", "1h"])
    assert result.exit_code == 0, result.output
    assert "gas_alarm.strict 1" in " ".join(result.output.split())


def test_files_that_change_one_kind_are_tried_together(plant: Path, tmp_path: Path) -> None:
    common = tmp_path / "common"
    common.mkdir()
    (common / "sensor_fault.toml").write_text(
        '[rules.sensor_faulty]\nlevel = "red"\ntitle = { zh = "坏", en = "Faulty" }\nraise = "sensor_fault"\nclear = "not sensor_fault"\n'
    )
    files = [write_rules(tmp_path / "own", "gas_alarm", STRICTER), common / "sensor_fault.toml"]
    for order in (files, files[::-1]):
        named = [word for file in order for word in ("--rule", str(file))]
        result = CLI.invoke(app, ["backtest", str(plant), "--since", "4h", "--language", "en", *named])
        assert result.exit_code == 0, result.output
        assert "+ raise: gas_concentration >= 6" in result.output
        assert "  gas_alarm.sensor_faulty" in result.output


def test_a_changed_file_goes_by_the_calendar_of_the_site(plant: Path, tmp_path: Path) -> None:
    today = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 8 * 3600))
    yesterday = time.strftime("%Y-%m-%d", time.gmtime(time.time() - 16 * 3600))
    plant.write_text(f"{plant.read_text()}[calendar]\ndays_off = [{today}, {yesterday}]\n")
    free = STRICTER.replace("gas_concentration >= 6", "gas_concentration >= 6 and holiday()")
    changed = write_rules(tmp_path / "own", "gas_alarm", free)
    result = CLI.invoke(app, ["backtest", str(plant), "--since", "4h", "--json", "--rule", str(changed)])
    counts = {one["name"]: one["by_rule"].get("gas_alarm.leak", 0) for one in orjson.loads(result.stdout)["courses"]}
    assert counts == {"was": 1, "rules now": 1, "changed": 2}


def test_what_was_judged_is_shown_though_the_history_dies(plant: Path) -> None:
    configuration = load(plant)
    now_ms = time.time_ns() // 1_000_000

    def breaks(share: float, count: int) -> bool:
        if count:
            (plant.parent / "history.db").write_bytes(b"\0" * 4096)
        return True

    found = courses_of(configuration, past.Span(now_ms - 4 * 3_600_000, now_ms), [], frozenset(), breaks)
    configuration.store.close()
    assert found.broken
    assert 0 < found.readings < 1080
    assert found.span.until_ms < now_ms


def test_devices_of_other_kinds_are_not_judged_when_one_kind_is_tried(plant: Path, tmp_path: Path) -> None:
    room, store = Room(tmp_path), open_store("sqlite:history.db", base=tmp_path)
    room.announce("bin-1", "waste_bin")
    room.database.close()
    now_ms = time.time_ns() // 1_000_000
    said = course("fill", (0, 20.0), (600, 99.0), device="bin-1")
    points = [Point(one._replace(at_ms=one.at_ms - T0 + now_ms - 3_600_000), "waste_bin", "m", "3") for one in said]
    store.write([Batch(site=SITE, edge=EDGE, points=points, packs=())])
    store.close()
    changed = write_rules(tmp_path / "changed", "gas_alarm", STRICTER)
    whole, one_kind = (
        orjson.loads(CLI.invoke(app, ["backtest", str(plant), "--since", "4h", "--json", *more]).stdout)
        for more in ([], ["--rule", str(changed)])
    )
    assert (whole["readings"], one_kind["readings"], one_kind["not_judged"]) == (1082, 1080, 0)
