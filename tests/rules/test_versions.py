"""Rules that change while the engine runs, or while it is down: what runs keeps the rule that raised it."""

from pathlib import Path

import orjson
import pytest

from messages.announcement import Announcement, Place
from messages.ids import DeviceId, EdgeId
from rules.engine.memory.facts import Facts
from rules.engine.work import Work
from rules.language.answering import with_answers
from rules.language.library import load_file, load_rules, vocabulary
from rules.language.making import rewritten
from rules.language.rule import Rule, Rules
from rules.rule_files import news
from rules.store import facts, versions
from tests.rules.course import KINDS, RULES, at, course, reading, write_rules
from tests.rules.room import SITE, Room

BIN = """[settings]
unused = {{ value = 1.0 }}
limit = {{ value = {limit} }}

[rules.full]
level = "blue"
title = {{ zh = "{title}", en = "Full" }}
raise = "fill >= limit"
raise_delay = "{delay}"
clear = "fill < {clear}"
"""

HALF = """
[rules.half]
level = "blue"
title = { zh = "半", en = "Half" }
raise = "fill >= 50"
clear = "fill < 40"
"""


class Bins(Room):
    """A room with one bin and the rules of a file of its own."""

    def start(self) -> None:
        super().start()
        if not hasattr(self, "written"):
            self.write_file()
        self.facts = self.load()

    def write_file(
        self, limit: float = 80.0, clear: float = 30.0, delay: str = "0s", title: str = "满", more: str = ""
    ) -> None:
        text = BIN.format(limit=limit, clear=clear, delay=delay, title=title) + more
        self.written = write_rules(self.folder / "own", "waste_bin", text)

    @property
    def rules(self) -> Rules:
        return with_answers(load_rules(KINDS, self.folder / "own"), KINDS)

    def load(self) -> Facts:
        rules = self.rules
        known = facts.load(self.database, KINDS, rules)
        versions.keep(self.database, rules, at(0))
        return known

    def restart(self, now_s: float) -> None:
        self.start()
        self.renew(now_s)

    def reload(self, now_s: float) -> None:
        """As the service does."""
        rules = self.rules
        versions.keep(self.database, rules, at(now_s), news(self.facts.rules, rules).words())
        self.facts.replace_rules(rules)
        self.renew(now_s)

    def renew(self, now_s: float) -> None:
        work = Work(self.facts)
        work.renew(at(now_s))
        self.write(work, now_s)
        self.pass_time(now_s)

    def fills(self, *points: tuple[float, float]) -> None:
        self.hear(*course("fill", *points, device="bin-1"))

    def open(self) -> list[tuple[str, str]]:
        return [(alarm.rule, alarm.state.value) for alarm in self.desk.alarms()]


@pytest.fixture(params=["while it runs", "while it is down"])
def bins(request: pytest.FixtureRequest, tmp_path: Path) -> Bins:
    room = Bins(tmp_path)
    room.announce("bin-1", "waste_bin")
    if request.param == "while it is down":
        room.reload = room.restart  # type: ignore[method-assign]
    return room


def test_what_runs_is_judged_by_the_rule_that_raised_it_until_it_is_over(bins: Bins) -> None:
    bins.fills((0, 85.0))
    bins.write_file(limit=95.0, clear=90.0)
    bins.reload(10)
    bins.fills((20, 60.0))
    assert bins.open() == [("full", "unack")]  # the new rule would have cleared it
    bins.fills((30, 20.0))
    assert bins.open() == [("full", "rtn_unack")]
    bins.fills((40, 85.0))
    assert bins.open() == [("full", "rtn_unack")]  # not by the new rule
    bins.fills((50, 96.0))
    assert bins.open() == [("full", "unack")]
    assert not bins.facts.bygone


def test_a_start_passes_over_what_is_beyond_doubt_of_the_rules_in_force(bins: Bins) -> None:
    key = (SITE, DeviceId("bin-1"), "full")
    bins.fills((0, 85.0))
    assert key in bins.facts.settled()
    two = Work(bins.facts)
    said = Announcement(kind="waste_bin", model="m", place=Place(grid="g1", text="1号楼"))
    two.announce(SITE, EdgeId("pi-2"), DeviceId("bin-1"), said, at(1))
    bins.write(two, 1)
    assert key not in bins.facts.settled()  # two edges speak of it: which rules judge it is to be asked
    back = Work(bins.facts)
    back.withdraw(SITE, EdgeId("pi-2"), DeviceId("bin-1"), at(2))
    bins.write(back, 2)
    assert key in bins.facts.settled()
    bins.write_file(limit=95.0, clear=90.0)
    bins.reload(10)
    assert key not in bins.facts.settled()  # it runs by the rule of before


def test_rules_of_a_device_that_have_heard_the_same_share_one_state_after_a_start(bins: Bins) -> None:
    bins.write_file(more=HALF)
    bins.reload(1)
    bins.fills((2, 10.0))
    known = bins.load().watches
    full, half = (known[SITE, DeviceId("bin-1"), rule] for rule in ("full", "half"))
    assert known == bins.facts.watches
    assert full[0] is half[0]


def test_and_so_it_is_after_any_number_of_restarts(bins: Bins) -> None:
    bins.fills((0, 85.0))
    bins.write_file(limit=95.0, clear=90.0)
    for second in (10, 11, 12):
        bins.restart(second)
        bins.fills((second + 0.5, 60.0))
    assert bins.open() == [("full", "unack")]
    bins.write_file()  # as it was
    bins.restart(20)
    assert not bins.facts.bygone
    bins.fills((30, 20.0))
    assert bins.open() == [("full", "rtn_unack")]


def test_what_does_not_run_is_judged_by_the_new_rule_at_once(bins: Bins) -> None:
    bins.fills((0, 60.0))
    bins.write_file(limit=50.0)
    bins.reload(100)
    (alarm,) = bins.desk.alarms()
    assert (alarm.rule, alarm.raised_at_ms, alarm.evidence) == ("full", at(100), {"fill": 60.0})


def test_a_delay_that_runs_begins_anew_with_the_new_rule(bins: Bins) -> None:
    bins.write_file(delay="10min")
    bins.reload(0)
    bins.fills((0, 85.0))
    bins.write_file(limit=70.0, delay="10min")
    bins.reload(500)
    bins.pass_time(1099)
    assert bins.open() == []
    bins.pass_time(1100)
    assert bins.open() == [("full", "unack")]


def test_what_a_rule_raised_that_is_taken_away_runs_until_it_is_over(bins: Bins) -> None:
    more = BIN.partition("[rules.full]")[2].format(limit=0, clear=30, delay="0s", title="满")
    bins.write_file(more=f"\n[rules.extra]{more}")
    bins.reload(0)
    bins.fills((0, 85.0))
    bins.write_file()
    bins.reload(10)
    assert sorted(bins.open()) == [("extra", "unack"), ("full", "unack")]
    bins.fills((20, 20.0))
    assert sorted(bins.open()) == [("extra", "rtn_unack"), ("full", "rtn_unack")]
    bins.fills((30, 85.0))
    assert sorted(bins.open()) == [("extra", "rtn_unack"), ("full", "unack")]


def test_other_words_are_no_other_rule(bins: Bins) -> None:
    bins.fills((0, 85.0))
    bins.write_file(title="已满")
    bins.reload(10)
    assert not bins.facts.bygone
    assert bins.the_alarm().title.zh == "满"  # as it was told when it rang


def test_a_changed_setting_of_a_device_belongs_to_the_rule_that_runs(bins: Bins) -> None:
    bins.fills((0, 85.0))
    bins.write_file(limit=90.0)
    bins.reload(10)
    bins.announce("bin-1", "waste_bin", now_s=20, limit=85.0)
    bins.fills((30, 20.0), (40, 86.0))
    assert bins.open() == [("full", "unack")]


def test_what_becomes_of_a_device_whose_rule_runs_in_an_earlier_version(bins: Bins) -> None:
    bins.fills((0, 85.0))
    bins.write_file(limit=95.0)
    bins.reload(10)
    bins.announce("bin-1", "sewer_level", now_s=20)
    assert bins.open() == [("full", "rtn_unack")]


def test_a_storm_that_runs_by_an_earlier_rule_still_ends(tmp_path: Path) -> None:
    room = Bins(tmp_path)
    question = 'count_devices("sewer_level", "{}", within="site") {}'
    storm = """[rules.storm]
level = "orange"
title = {{ zh = "内涝", en = "Storm" }}
raise = '{}'
clear = '{}'
"""
    for condition in ("float_switch", "water_level > 100 or float_switch"):
        write_rules(
            tmp_path / "own",
            "site",
            storm.format(question.format(condition, ">= 2"), question.format(condition, "< 1")),
        )
        if condition == "float_switch":
            room.reload(0)
            room.status(0, online=True)
            for index in range(2):
                room.announce(f"sewer-{index}", "sewer_level")
                room.hear(reading(index, "float_switch", True, device=f"sewer-{index}"))
    assert ("storm", "unack") in room.open()
    room.reload(10)
    for index in range(2):
        room.hear(reading(20 + index, "float_switch", False, device=f"sewer-{index}"))
    room.pass_time(30)
    assert ("storm", "rtn_unack") in room.open()


def test_a_state_of_a_version_that_nobody_knows_goes_on_by_the_rule_that_is_there(tmp_path: Path) -> None:
    room = Bins(tmp_path)
    room.announce("bin-1", "waste_bin")
    room.fills((0, 85.0))
    versions.keep(room.database, {}, at(0))  # as if they had never been kept
    with room.database.writing() as connection:
        connection.exec_driver_sql("DELETE FROM rule_versions")
    room.write_file(limit=95.0, clear=90.0)
    room.restart(10)
    room.fills((20, 60.0))
    assert room.open() == [("full", "rtn_unack")]


def test_the_log_says_what_has_changed(tmp_path: Path) -> None:
    room = Bins(tmp_path)
    room.write_file(limit=70.0)
    room.reload(0)
    (line,) = [entry for entry in room.desk.log_after(0) if entry.event == "rule.changed"]
    assert line.detail == "changed waste_bin.full"


def test_the_rules_that_were_good_last_are_those_in_force(tmp_path: Path) -> None:
    room = Bins(tmp_path)
    last = with_answers(versions.last_good(room.database, KINDS), KINDS)
    assert {kind: [rule.version for rule in some] for kind, some in last.items()} == {
        kind: [rule.version for rule in some] for kind, some in room.rules.items()
    }


EVERY = [rule for some in RULES.values() for rule in some]


@pytest.mark.parametrize("rule", EVERY, ids=lambda rule: f"{rule.kind}.{rule.id}")
def test_a_rule_survives_the_database(rule: Rule) -> None:
    again = rewritten(rule.kind, rule.id, orjson.loads(orjson.dumps(rule.written)), known=vocabulary(KINDS, ()))
    assert again.version == rule.version
    same = ("level", "title", "advice", "channels", "settings", "events", "keeps", "questions", "plain", "latch")
    assert [getattr(again, name) for name in same] == [getattr(rule, name) for name in same]
    assert again.lateness_ms == rule.lateness_ms
    assert (again.raise_delay_ms, again.clear_delay_ms) == (rule.raise_delay_ms, rule.clear_delay_ms)


def test_a_version_is_what_a_rule_means(tmp_path: Path) -> None:
    def version(**changes: object) -> str:
        text = BIN.format(**{"limit": 80.0, "clear": 30, "delay": "0s", "title": "满"} | changes)
        return load_file(write_rules(tmp_path, "waste_bin", text), KINDS)[0].version

    assert version() == version(title="已满")
    assert len({version(), version(limit=81.0), version(clear=31), version(delay="1s")}) == 4
    file = tmp_path / "waste_bin.toml"
    file.write_text(file.read_text().replace("unused = { value = 1.0 }", "unused = { value = 2.0 }"))
    assert load_file(file, KINDS)[0].version == version(delay="1s")


def test_news_name_what_was_added_removed_changed_and_reworded(tmp_path: Path) -> None:
    def rules(text: str) -> Rules:
        return {"waste_bin": load_file(write_rules(tmp_path, "waste_bin", text), KINDS)}

    def file(*entries: str) -> str:
        return "\n".join(entries)

    def entry(name: str, limit: int, title: str = "x") -> str:
        return f'[rules.{name}]\nlevel = "blue"\ntitle = {{ zh = "{title}", en = "x" }}\nraise = "fill > {limit}"\nclear = "fill < 1"\n'

    old = rules(file(entry("a", 1), entry("b", 1), entry("c", 1), entry("e", 1)))
    new = rules(file(entry("a", 2), entry("c", 1, "y"), entry("d", 1), entry("e", 1)))
    assert news(old, new).words() == (
        "added waste_bin.d; removed waste_bin.b; changed waste_bin.a; reworded waste_bin.c"
    )
    assert not news(old, old)
