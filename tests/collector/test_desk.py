import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.intake.delivery import Announced, Fate, fates
from collector.intake.desk import ANNOUNCEMENT_LIMIT_BYTES, Desk, refusals
from collector.intake.devices import Devices
from collector.intake.judge import FUTURE_LIMIT_MS, PackId
from collector.quarantine.kept import Quarantine, Which
from collector.stores.base import StoreRefused
from collector.stores.sqlite import SqliteStore
from messages import announcement as announcements
from messages import topics
from messages.announcement import Announcement
from messages.ids import DeviceId
from messages.pack import Fault
from tests.collector.block import BIN, EDGE, GAS, KINDS, NOW_MS, SITE, STREAM, announcement, faults, packed, reading

READINGS = topics.readings(SITE, EDGE)
DAY_MS = 86_400_000


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    opened = at(tmp_path)
    yield opened
    opened.close()


def at(folder: Path, *, retention_ms: int | None = None) -> Desk:
    opened = Desk(
        store=SqliteStore(folder / "history.db"),
        quarantine=Quarantine(folder / "quarantine.db"),
        devices=Devices(folder / "devices.db"),
        kinds=KINDS,
        retention_ms=retention_ms,
    )
    opened.open()
    return opened


def send(desk: Desk, topic: str, payload: bytes) -> list[Fate]:
    return fates(desk.put_away([desk.judge(topic, payload, NOW_MS)]))


def announce(desk: Desk, device: DeviceId, announced: Announcement | None) -> None:
    payload = b"" if announced is None else announcements.encode(announced)
    send(desk, topics.announcement(SITE, EDGE, device), payload)


def stored(desk: Desk) -> list[DeviceId]:
    return [one.device for one in desk.store.readings(SITE, EDGE, 0, 2 * NOW_MS)]


def fate(number: int, rejected: str | None = None) -> Fate:
    return Fate(SITE, EDGE, PackId(STREAM, number), rejected)


def test_an_announcement_counts_for_the_pack_behind_it_in_the_same_batch(desk: Desk) -> None:
    announced = desk.judge(
        topics.announcement(SITE, EDGE, GAS), announcements.encode(announcement("gas_alarm")), NOW_MS
    )
    pack = desk.judge(READINGS, packed(reading()), NOW_MS)
    assert fates(desk.put_away([announced, pack])) == [fate(1)]
    assert stored(desk) == [GAS]
    assert desk.store.packs(SITE, EDGE, STREAM, [(1, 9)])[0].readings == 1


def test_a_pack_that_came_before_its_announcement_is_stored_when_the_announcement_comes(desk: Desk) -> None:
    announce(desk, BIN, announcement("waste_bin"))
    assert send(desk, READINGS, packed(reading(), number=1)) == [fate(1, "unknown-device")]
    assert send(desk, READINGS, packed(reading(), reading("fill", 5.0, device=BIN), number=2)) == [fate(2)]
    assert stored(desk) == [BIN]
    announce(desk, GAS, announcement("gas_alarm"))
    assert desk.take_again([(SITE, EDGE, GAS)], NOW_MS) == [fate(1), fate(2)]
    assert stored(desk) == [BIN, GAS]
    assert [(pack.number, pack.readings) for pack in desk.store.packs(SITE, EDGE, STREAM, [(1, 2)])] == [(1, 1), (2, 2)]
    assert desk.quarantine.entries(0, 10) == []


def test_what_waits_survives_a_restart_between_announcement_and_taking_again(tmp_path: Path) -> None:
    first = at(tmp_path)
    send(first, READINGS, packed(reading()))
    announce(first, GAS, announcement("gas_alarm"))
    first.close()
    second = at(tmp_path)
    assert second.take_again(list(second.devices.known), NOW_MS) == [fate(1)]
    assert stored(second) == [GAS]
    second.close()


def test_a_pack_that_is_still_bad_stays_with_the_reasons_that_remain(desk: Desk) -> None:
    send(desk, READINGS, packed(reading(value=5000.0), reading("fill", 5.0, device=BIN)))
    announce(desk, GAS, announcement("gas_alarm"))
    assert desk.take_again([(SITE, EDGE, GAS)], NOW_MS) == [fate(1, "out-of-range")]
    (entry,) = desk.quarantine.entries(0, 10)
    assert faults(entry.reasons) == ["out-of-range", "unknown-device"]


def test_more_than_one_page_of_waiting_packs_is_taken_again(desk: Desk) -> None:
    for number in range(1, 251):
        send(desk, READINGS, packed(reading(at_ms=NOW_MS - number), number=number))
    announce(desk, GAS, announcement("gas_alarm"))
    assert len(desk.take_again([(SITE, EDGE, GAS)], NOW_MS)) == 250
    assert len(stored(desk)) == 250


def test_everything_can_be_taken_again_after_a_kind_was_corrected(desk: Desk, tmp_path: Path) -> None:
    announce(desk, GAS, announcement("gas_alarms"))
    send(desk, READINGS, packed(reading()))
    send(desk, READINGS, b"no pack at all")
    desk.close()
    corrected = Desk(
        store=SqliteStore(tmp_path / "history.db"),
        quarantine=Quarantine(tmp_path / "quarantine.db"),
        devices=Devices(tmp_path / "devices.db"),
        kinds={**KINDS, "gas_alarms": KINDS["gas_alarm"]},
    )
    corrected.open()
    assert corrected.take_all_again(NOW_MS) == [fate(1)]
    assert [entry.payload for entry in corrected.quarantine.entries(0, 10)] == [b"no pack at all"]
    corrected.close()


def test_what_a_clock_that_ran_ahead_had_dated_is_taken_once_its_time_has_come(desk: Desk) -> None:
    announce(desk, GAS, announcement("gas_alarm"))
    ahead_ms = NOW_MS + 3_600_000
    assert send(desk, READINGS, packed(reading(at_ms=ahead_ms), number=1)) == [fate(1, "in-the-future")]
    assert desk.take_all_again(NOW_MS + 60_000) == [fate(1, "in-the-future")]
    assert desk.take_all_again(ahead_ms - FUTURE_LIMIT_MS) == [fate(1)]
    assert stored(desk) == [GAS]
    assert desk.quarantine.entries(0, 10) == []


def test_what_has_grown_too_old_in_quarantine_is_not_stored_for_a_moment(tmp_path: Path) -> None:
    desk = at(tmp_path, retention_ms=DAY_MS)
    send(desk, READINGS, packed(reading(at_ms=NOW_MS - DAY_MS + 1000)))
    announce(desk, GAS, announcement("gas_alarm"))
    assert desk.take_again([(SITE, EDGE, GAS)], NOW_MS + 2000) == [fate(1, "too-old")]
    desk.close()


def test_only_those_are_taken_again_that_are_asked_for(desk: Desk) -> None:
    for number, device in ((1, GAS), (2, BIN)):
        channel = "fill" if device == BIN else "gas_concentration"
        send(desk, READINGS, packed(reading(channel, 5.0, device=device), number=number))
    desk.devices.hear(Announced((SITE, EDGE, GAS), announcement("gas_alarm")))
    desk.devices.hear(Announced((SITE, EDGE, BIN), announcement("waste_bin")))
    assert desk.take_all_again(NOW_MS, Which(device=BIN)) == [fate(2)]
    assert [entry.id for entry in desk.quarantine.entries(0, 10)] == [1]


def test_a_withdrawn_device_is_unknown_and_keeps_its_history(desk: Desk) -> None:
    announce(desk, GAS, announcement("gas_alarm"))
    send(desk, READINGS, packed(reading()))
    announce(desk, GAS, None)
    assert send(desk, READINGS, packed(reading(at_ms=NOW_MS + 1), number=2)) == [fate(2, "unknown-device")]
    assert stored(desk) == [GAS]


def test_a_changed_announcement_counts_at_once(desk: Desk) -> None:
    announce(desk, GAS, announcement("waste_bin"))
    assert send(desk, READINGS, packed(reading())) == [fate(1, "unknown-channel")]
    announce(desk, GAS, announcement("gas_alarm"))
    assert send(desk, READINGS, packed(reading(), number=2)) == [fate(2)]


@pytest.mark.parametrize(
    ("device", "payload", "fault"),
    [
        ("gas-1", b"{}", Fault.MALFORMED),
        ("gas-1", b"no JSON", Fault.MALFORMED),
        ("Gas 1", announcements.encode(announcement("gas_alarm")), Fault.MALFORMED),
        ("gas-1", b" " * (ANNOUNCEMENT_LIMIT_BYTES + 1), Fault.OVERSIZED),
    ],
)
def test_a_bad_announcement_lies_in_quarantine_and_changes_nothing(
    desk: Desk, device: str, payload: bytes, fault: Fault
) -> None:
    announce(desk, GAS, announcement("gas_alarm"))
    assert send(desk, topics.announcement(SITE, EDGE, DeviceId(device)), payload) == []
    (entry,) = desk.quarantine.entries(0, 10)
    assert [reason.fault for reason in entry.reasons] == [fault]
    assert desk.devices.known[SITE, EDGE, GAS].kind == "gas_alarm"


def test_an_old_announcement_in_quarantine_is_not_taken_again(desk: Desk) -> None:
    send(desk, topics.announcement(SITE, EDGE, GAS), b"no JSON")
    desk.take_all_again(NOW_MS)
    assert len(desk.quarantine.entries(0, 10)) == 1


def test_a_topic_of_no_edge_is_malformed(desk: Desk) -> None:
    for topic in ("gridcall/1/Jun men/pi-1/readings", "gridcall/1/junmen//readings", "something/else"):
        assert send(desk, topic, packed(reading())) == []
    assert [reason.fault for entry in desk.quarantine.entries(0, 10) for reason in entry.reasons] == ["malformed"] * 3


def test_what_a_store_refuses_is_found_by_halving_and_the_rest_is_written() -> None:
    written: list[int] = []

    def write(numbers: Sequence[int]) -> None:
        if refused := [number for number in numbers if number in (3, 17)]:
            raise StoreRefused(f"no {refused[0]}")
        written.extend(numbers)

    words = refusals(list(range(20)), write)
    assert {number: why for number, why in enumerate(words) if why} == {3: "no 3", 17: "no 17"}
    assert sorted(written) == [number for number in range(20) if number not in (3, 17)]


def test_a_mistake_of_ours_costs_one_message_and_is_kept_with_its_words(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise OverflowError("int too large to convert to float")

    monkeypatch.setattr("collector.intake.desk.judge", broken)
    assert send(desk, READINGS, packed(reading())) == []
    (entry,) = desk.quarantine.entries(0, 10)
    assert entry.reasons[0].fault is Fault.MALFORMED
    assert "int too large" in entry.reasons[0].detail


names = st.sampled_from(["junmen", "pi-1", "gas-1", "Jun men", "", "+", "#", "号", "x" * 64]) | st.text(max_size=6)
leaves = st.sampled_from(["readings", "status", "receipts", "devices", "commands"])
some_topics = st.builds("gridcall/1/{}/{}/{}".format, names, names, leaves) | st.builds(
    "gridcall/1/{}/{}/devices/{}".format, names, names, names
)
some_json = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["bn", "bt", "n", "v", "vb", "vs", "u", "t", "q", "kind", "place", "online"]), inner
        )
    ),
    max_leaves=12,
)


@settings(max_examples=300)
@given(some_topics | st.text(max_size=40), st.binary(max_size=60) | some_json.map(lambda one: json.dumps(one).encode()))
def test_every_topic_with_every_payload_has_a_verdict_of_its_own(topic: str, payload: bytes) -> None:
    desk = Desk(
        store=SqliteStore(Path("never opened")),
        quarantine=Quarantine(Path("never opened")),
        devices=Devices(Path("never opened")),
        kinds=KINDS,
    )
    delivery = desk.judge(topic, payload, NOW_MS)
    assert all("fails to judge" not in reason.detail for reason in delivery.reasons)
    assert delivery.origin or delivery.reasons
