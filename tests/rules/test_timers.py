"""Whose timer comes first, and for how long it is due."""

from itertools import islice
from pathlib import Path

from messages.announcement import Announcement, Place
from messages.ids import DeviceId, SiteId
from rules.engine.memory.facts import Facts
from rules.engine.overdue import FOUND_AT_ONCE
from rules.engine.timers import LEAST_DANGEROUS, MOST_DANGEROUS, StateKey, Timers, danger
from rules.engine.work import Work
from rules.language.change import Raised
from rules.language.library import load_file
from tests.rules.course import KINDS, RULES, T0, at, reading, rule, write_rules
from tests.rules.room import EDGE, SITE


def key(name: str) -> StateKey:
    return SiteId("junmen"), DeviceId(name), "some"


def test_the_dangerous_come_first_however_late_they_became_due_and_of_these_the_oldest() -> None:
    wakes = {key("bin"): 1, key("gas"): 3, key("smoke"): 2, key("later"): 9}
    timers = Timers()
    for name, of_danger in (("bin", 3), ("gas", 0), ("smoke", 0), ("later", 0)):
        timers.add(key(name), wakes[key(name)], of_danger)
    assert timers.next_ms(wakes.get) == 1
    assert list(timers.due(5, wakes.get)) == [key("smoke"), key("gas"), key("bin")]
    assert list(islice(timers.due(5, wakes.get), 2)) == [key("smoke"), key("gas")]


def test_a_timer_stays_until_its_watch_asks_for_another_moment_and_is_due_once_however_often_it_was_set() -> None:
    wakes: dict[StateKey, int | None] = {key("a"): 5, key("b"): 5}
    timers = Timers()
    for name in ("b", "a", "b"):
        timers.add(key(name), 5, 1)
    assert list(timers.due(5, wakes.get)) == list(timers.due(5, wakes.get)) == [key("a"), key("b")]
    wakes[key("a")] = None
    assert list(timers.due(5, wakes.get)) == [key("b")]
    wakes[key("a")] = 5
    timers.add(key("a"), 5, 1)
    assert list(timers.due(5, wakes.get)) == [key("a"), key("b")]
    wakes = {key("a"): None, key("b"): 7}
    assert (timers.next_ms(wakes.get), list(timers.due(9, wakes.get))) == (None, [])


def test_what_guards_lives_is_the_most_dangerous_and_what_only_watches_in_shadow_the_least() -> None:
    assert danger(rule("gas_alarm", "leak")) == MOST_DANGEROUS
    assert {danger(one) for rules in RULES.values() for one in rules if one.shadow} <= {LEAST_DANGEROUS}
    for rules in RULES.values():
        for one in rules:
            if one.level == "red" and not one.shadow:
                assert danger(one) == MOST_DANGEROUS, one.id


def test_a_red_alarm_by_the_clock_waits_for_no_flood_of_blue_ones(tmp_path: Path) -> None:
    lines = 'title = {{ zh = "{0}", en = "{0}" }}\nraise = "silent_for(fill) > {1}"\nclear = "silent_for(fill) < 5"\n'
    text = "".join(
        f'[rules.{name}]\nlevel = "{level}"\n' + lines.format(name, silent_s)
        for name, level, silent_s in (("quiet", "blue", 600), ("gone", "red", 660))
    )
    rules = {"waste_bin": load_file(write_rules(tmp_path / "rules", "waste_bin", text), KINDS)}
    facts = Facts(KINDS, rules)
    work = Work(facts)
    place = Place(grid="g1", text="1")
    names = [DeviceId(f"bin-{number:03}") for number in range(3 * FOUND_AT_ONCE)]
    for number, name in enumerate(names):
        said = Announcement(kind="waste_bin", model="m", place=place)
        work.announce(SITE, EDGE, name, said, T0)
        work.hear(SITE, EDGE, [reading(0 if number else -60, "fill", 20.0, device=name)], T0)
    facts.adopt(work)
    work = Work(facts)
    work.wake(at(5.1), most=10_000)  # the timers of the sentence that clears
    facts.adopt(work)
    works = []
    while (due_ms := facts.next_wake_ms()) is not None and due_ms <= at(601):
        work = Work(facts)
        work.wake(at(601))
        facts.adopt(work)
        works.append([(one.rule.id, one.device.id) for one in work.found if isinstance(one.change, Raised)])
    assert works[0][0] == ("gone", names[0])
    assert [len(found) for found in works] == [FOUND_AT_ONCE] * 3 + [1]
    assert sorted(one for found in works for one in found if one[0] == "quiet") == [("quiet", name) for name in names]
