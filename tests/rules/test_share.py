from hypothesis import given
from hypothesis import strategies as st

from messages.ids import SiteId
from rules.engine.share import BEAT_S, LEAD, LEASE_S, Lease, Watchtower, Worker, plan
from rules.engine.tail import MOST_BYTES, TAIL_MS, Tail

SITES = tuple(SiteId(f"site-{number}") for number in range(40))
NAMES = ("a", "b", "c")


def settled(workers: list[Worker], leases: dict[SiteId, Lease]) -> dict[SiteId, Lease]:
    """The leases after each worker has done what it plans, again and again until nobody plans anything."""
    for _ in range(4):
        for me in workers:
            mine = {site for site, lease in leases.items() if (lease.worker, lease.token) == (me.name, me.token)}
            todo = plan(me, workers, leases, SITES, mine)
            for site in todo.take:
                assert site not in leases or leases[site].worker not in {one.name for one in workers} - {me.name}
                leases[site] = Lease(me.name, me.token)
            for site in todo.give_up:
                del leases[site]
    return leases


def owned(leases: dict[SiteId, Lease]) -> dict[SiteId, str]:
    return {site: lease.worker for site, lease in leases.items()}


@given(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True), st.data())
def test_live_workers_share_all_sites_and_who_goes_or_comes_moves_only_its_own(
    names: list[str], data: st.DataObject
) -> None:
    workers = [Worker(name, token, 1) for token, name in enumerate(names)]
    before = settled(workers, {})
    assert before.keys() == {*SITES, LEAD}
    gone = data.draw(st.sampled_from(workers))
    rest = [worker for worker in workers if worker is not gone]
    after = owned(settled(rest, dict(before)))
    if rest:
        assert gone.name not in after.values()
        assert all(name == after[site] for site, name in owned(before).items() if name != gone.name)
    again = settled([*rest, Worker(gone.name, 99, 1)], dict(before))
    assert owned(again) == owned(before)


def test_a_worker_owns_only_what_it_may_and_what_nobody_may_has_no_owner() -> None:
    one = Worker("a", 1, 1, (SITES[0],))
    leases = settled([one, Worker("b", 2, 1, (SITES[0], SITES[1]))], {})
    assert leases.keys() == {SITES[0], SITES[1], LEAD}
    assert leases[SITES[1]].worker == "b"


def test_a_worker_takes_back_at_once_what_it_owned_in_an_earlier_life() -> None:
    me = Worker("a", 2, 1)
    assert plan(me, [], {SITES[0]: Lease("a", 1)}, [SITES[0]], []).take == (LEAD, SITES[0])


def test_who_does_not_move_for_as_long_as_a_lease_is_dead_by_our_own_clock() -> None:
    tower = Watchtower()
    tower.look([Worker("b", 7, 1)], 100.0)
    tower.look([Worker("b", 7, 1)], 100.0 + LEASE_S - 0.1)
    assert [worker.name for worker in tower.alive(100.0 + LEASE_S - 0.1)] == ["b"]
    tower.look([Worker("b", 7, 2)], 100.0 + LEASE_S)
    assert tower.alive(100.0 + LEASE_S + BEAT_S)
    assert not tower.alive(100.0 + 2 * LEASE_S)
    tower.look([Worker("b", 8, 2)], 200.0)
    assert tower.alive(200.0), "it has begun anew"


def test_the_tail_hands_out_devices_first_each_once_and_forgets_packs_after_a_minute() -> None:
    tail, readings = Tail(), "gridcall/1/s/e/readings"
    tail.keep(SITES[0], readings, b"old", 0)
    tail.keep(SITES[0], readings, b"1", TAIL_MS + 1)
    tail.keep(SITES[0], "gridcall/1/s/e/devices/d", b"first", TAIL_MS + 2)
    tail.keep(SITES[0], "gridcall/1/s/e/devices/d", b"second", TAIL_MS + 3)
    tail.keep(SITES[1], readings, b"other", TAIL_MS + 3)
    assert [word.payload for word in tail.of(SITES[0])] == [b"second", b"1"]
    assert tail.of(SITES[0]) == []
    assert [word.payload for word in tail.of(SITES[1])] == [b"other"]


def test_the_tail_is_bounded_in_bytes_and_the_oldest_goes_first() -> None:
    tail, payload = Tail(), bytes(250_000)
    for number in range(300):
        tail.keep(
            SITES[0], "gridcall/1/s/e/readings" if number % 2 else f"gridcall/1/s/e/devices/d{number}", payload, number
        )
    words = tail.of(SITES[0])
    assert MOST_BYTES * 0.9 < sum(word.bytes for word in words) <= MOST_BYTES
    assert max(word.at_ms for word in words) >= 298
