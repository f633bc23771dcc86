"""Figures that are promised (docs/guarantees.md) and that no other file shows: chatter, F7; silence, F8."""

from collections import Counter
from pathlib import Path

import pytest

from messages.ids import DeviceId, EdgeId
from rules.engine.work import Work
from rules.store import facts
from tests.rules.course import at, reading
from tests.rules.room import EDGE, SITE, Room, announced
from tests.rules.test_telling import Street

HOUR_S = 3600


@pytest.mark.parametrize(
    ("kind", "channel", "rule"), [("reflex", "raised", "acting"), ("sos_button", "held", "cord_pulled")]
)
def test_a_sensor_that_flips_ten_times_a_minute_for_an_hour_is_one_alarm_one_case_and_two_pushes(
    tmp_path: Path, kind: str, channel: str, rule: str
) -> None:
    """F7, for each person. Somebody accepts after the first call and goes there. That the device wants mending is a case of its own (section 4 of the field notes)."""
    street = Street(tmp_path)
    street.room.announce("flapping", kind)
    for at_s in range(0, HOUR_S, 6):
        for value, when_s in ((True, at_s), (False, at_s + 3)):
            work = Work(street.room.facts)
            work.hear(SITE, EDGE, [reading(when_s, channel, value, device="flapping")], at(when_s))
            facts.commit(street.room.database, work, at(when_s), practice=street.practice)
            street.room.facts.adopt(work)
        if at_s < 60 or at_s % 60 == 0:
            street.room.look(at_s + 4)
            street.run(at_s + 4, at_s + 4)
        if at_s == 0:
            street.room.desk.accept(street.case(), actor="lin", at_ms=at(4))
            street.room.desk.arrive(street.case(), actor="lin", at_ms=at(5))
    found = [alarm for alarm in street.room.desk.alarms(open_only=False) if alarm.rule == rule]
    assert len(found) == 1
    assert found[0].occurrences > 2
    (case,) = {alarm.case.id for alarm in found if alarm.case}
    pushes = Counter(message.person for *_, message in street.told if message.case == case)
    assert max(pushes.values(), default=0) <= 2


def test_ten_thousand_devices_that_stop_are_silent_after_two_and_a_half_intervals_and_five_seconds(
    tmp_path: Path,
) -> None:
    """F8, as many as the field notes have, of a kind whose shortest interval is ten minutes; each second one goes on speaking. The bench
    rules_absence_100k has more."""
    room = Room(tmp_path)
    edges = [EdgeId(f"pi-{number}") for number in range(10)]
    names = [DeviceId(f"lamp-{number}") for number in range(1000)]
    for edge in edges:
        work = Work(room.facts)
        work.status(SITE, edge, online=True, at_ms=at(0), now_ms=at(0))
        for name in names:
            work.announce(SITE, edge, DeviceId(f"{edge}-{name}"), announced("smart_lamp"), at(0))
        room.write(work, 0)
    interval_s = room.facts.patience_ms("smart_lamp") / 2500
    assert interval_s == 600

    def speak(now_s: float, speaking: list[DeviceId]) -> None:
        work = Work(room.facts)
        for edge in edges:
            said = [reading(now_s, "leakage", 0.5, device=f"{edge}-{name}") for name in speaking]
            work.hear(SITE, edge, said, at(now_s))
        room.write(work, now_s)

    speak(1, names)
    lasting = names[::2]
    for now_s in (601, 1201):
        speak(now_s, lasting)
    limit_s = 1 + 2.5 * interval_s + 5
    speak(limit_s - 1, lasting)
    silent = {name for edge in room.desk.edges(at(limit_s)) for name in edge.silent}
    assert silent == {f"{edge}-{name}" for edge in edges for name in names[1::2]}
