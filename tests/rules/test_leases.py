"""The fence: what a worker that has lost a site, or repeats itself, may write."""

from pathlib import Path

import pytest
from sqlalchemy import select

from messages.ids import DeviceId, SiteId
from rules.engine.work import Work
from rules.store import facts, leases
from rules.store import tables as db
from rules.store.leases import Holder, LeaseLost, Superseded
from tests.rules.course import at, reading
from tests.rules.room import EDGE, SITE, Room, announced


@pytest.fixture
def room(database_url: str, tmp_path: Path) -> Room:
    room = Room(tmp_path, database_url)
    room.announce("gas-1", "gas_alarm")
    return room


def owner(room: Room, name: str) -> Holder:
    holder = Holder(name)
    with room.database.writing() as connection:
        leases.enter(connection, holder)
        leases.take(connection, holder, [SITE])
    return holder


def leak(room: Room) -> Work:
    work = Work(room.facts)
    work.hear(SITE, EDGE, [reading(1, "gas_concentration", 30.0, device="gas-1")], at(1))
    return work


def test_who_has_lost_a_site_writes_nothing_of_it(room: Room) -> None:
    first = owner(room, "a")
    second = owner(room, "b")
    with pytest.raises(LeaseLost) as lost:
        facts.commit(room.database, leak(room), at(1), first)
    assert lost.value.sites == {SITE}
    assert room.desk.alarms() == []
    assert room.events() == []
    facts.commit(room.database, leak(room), at(1), second)
    assert len(room.desk.alarms()) == 1
    room.database.close()


def test_a_work_whose_answer_got_lost_is_written_once(room: Room) -> None:
    holder, work = owner(room, "a"), leak(room)
    facts.commit(room.database, work, at(1), holder)
    before = room.desk.log_after(0), room.desk.pulse()
    holder.works -= 1  # as if the answer had not come
    facts.commit(room.database, work, at(1), holder)
    assert (room.desk.log_after(0), room.desk.pulse()) == before
    room.facts.adopt(work)
    more = Work(room.facts)
    more.hear(SITE, EDGE, [reading(2, "gas_concentration", 31.0, device="gas-1")], at(2))
    facts.commit(room.database, more, at(2), holder)
    pulse = room.desk.pulse()
    assert pulse
    assert pulse.readings == 2
    room.database.close()


def test_an_earlier_life_of_a_worker_is_fenced_off(room: Room) -> None:
    earlier = owner(room, "a")
    later = owner(room, "a")
    with pytest.raises(Superseded):
        facts.commit(room.database, leak(room), at(1), earlier)
    with pytest.raises(Superseded), room.database.writing() as connection:
        leases.beat(connection, earlier, 1)
    with room.database.writing() as connection:
        leases.leave(connection, earlier)
        assert leases.leases(connection)[SITE].token == later.token
        leases.leave(connection, later)
        assert connection.execute(select(db.workers)).all() == connection.execute(select(db.leases)).all() == []
    room.database.close()


def test_what_is_known_of_a_site_is_taken_over_and_left_whole(room: Room) -> None:
    other = SiteId("xinmin")
    room.write(leak(room), 1)
    work = Work(room.facts)
    work.announce(other, EDGE, DeviceId("gas-1"), announced("gas_alarm"), at(2))
    work.hear(other, EDGE, [reading(2, "gas_concentration", 3.0, device="gas-1")], at(2))
    room.write(work, 2)
    whole = facts.load(room.database, room.facts.kinds, room.known)
    part = facts.load(room.database, room.facts.kinds, room.known, sites=[SITE])
    assert {key[0] for key in part.watches} == {SITE}
    part.take_over(facts.load(room.database, room.facts.kinds, room.known, sites=[other]))
    assert (part.devices, part.watches, part.silent_from, part.tellers, part.devices_of) == (
        whole.devices,
        whole.watches,
        whole.silent_from,
        whole.tellers,
        whole.devices_of,
    )
    part.leave([other])
    assert part.watches == {key: watch for key, watch in whole.watches.items() if key[0] == SITE}
    part.leave([SITE])
    assert not (part.devices)
    assert not (part.watches)
    assert not (part.silent_from)
    assert not (part.tellers)
    assert not (part.next_wake_ms())
    room.database.close()
