"""What a reflex does, and when, with the rule's own step."""

from edge.acting.reflex import Act, Deed, Reflex, Stand, dump, feel, load, turned, wake
from messages.ids import DeviceId
from messages.kind import load_kinds
from messages.reading import Quality, Reading, Value
from rules.language.library import load_rules

KINDS = load_kinds()
LEAK = next(rule for rule in load_rules(KINDS)["gas_alarm"] if rule.id == "leak")
HIGH = next(rule for rule in load_rules(KINDS)["sewer_level"] if rule.id == "high")
KITCHEN, SHOP = DeviceId("gas-1"), DeviceId("gas-2")
CLOSE = Deed(DeviceId("valve-1"), "close")
SOUND, HUSH = Deed(DeviceId("siren-1"), "sound", True), Deed(DeviceId("siren-1"), "sound", False)
REFLEX = Reflex(id=DeviceId("kitchen"), rules={KITCHEN: LEAK, SHOP: LEAK}, raised=(CLOSE, SOUND), cleared=(HUSH,))
MINUTE_MS = 60_000


def replay(reflex: Reflex, *course: tuple[int, DeviceId, str, Value]) -> list[Act]:
    """The acts of a course of readings, each at its millisecond; time passes between them."""
    stand, acts = Stand(), []
    for now_ms, device, channel, value in course:
        while (wake_ms := stand.next_wake_ms) is not None and wake_ms <= now_ms:
            stand, more = wake(reflex, stand, wake_ms)
            acts += more
        reading = Reading(device=device, channel=channel, at_ms=now_ms, value=value)
        stand, more = feel(reflex, stand, reading, now_ms)
        acts += more
    return acts


def test_gas_closes_the_valve_at_once_and_says_why() -> None:
    acts = replay(REFLEX, (0, KITCHEN, "gas_concentration", 3.0), (1000, KITCHEN, "gas_concentration", 12.0))
    assert acts == [Act(REFLEX.id, True, (CLOSE, SOUND), "gas-1: leak, gas_concentration 12.0")]


def test_it_acts_once_for_the_first_device_and_undoes_after_the_last() -> None:
    acts = replay(
        REFLEX,
        (0, KITCHEN, "alarm_contact", True),
        (1, SHOP, "alarm_contact", True),
        (2, KITCHEN, "gas_concentration", 0.0),
        (3, KITCHEN, "alarm_contact", False),
        (4, SHOP, "gas_concentration", 0.0),
        (5 * MINUTE_MS + 10, KITCHEN, "gas_concentration", 0.0),
        (6 * MINUTE_MS, SHOP, "alarm_contact", False),
        (12 * MINUTE_MS, SHOP, "gas_concentration", 0.0),
    )
    assert [(act.raised, act.deeds) for act in acts] == [(True, (CLOSE, SOUND)), (False, (HUSH,))]
    assert acts[1].why == "gas-2: leak is over"


def test_a_delay_is_over_by_the_steady_clock_when_nothing_more_comes() -> None:
    sewer = DeviceId("sewer-1")
    pump = Reflex(id=DeviceId("pump"), rules={sewer: HIGH}, raised=(SOUND,))
    stand, acts = feel(pump, Stand(), Reading(device=sewer, channel="water_level", at_ms=0, value=2.9), 0)
    assert (acts, stand.next_wake_ms) == ([], 10_000)
    assert wake(pump, stand, 9_999)[1] == []
    assert [act.deeds for act in wake(pump, stand, 10_000)[1]] == [(SOUND,)]


def test_a_bad_reading_and_one_of_another_device_do_nothing() -> None:
    bad = Reading(device=KITCHEN, channel="gas_concentration", at_ms=0, value=50.0, quality=Quality.BAD)
    assert feel(REFLEX, Stand(), bad, 0)[1] == []
    other = Reading(device=DeviceId("gas-9"), channel="gas_concentration", at_ms=0, value=50.0)
    assert feel(REFLEX, Stand(), other, 0) == (Stand(), [])


def test_a_reading_from_long_ago_closes_no_valve_but_a_leak_is_never_old() -> None:
    sewer = DeviceId("sewer-1")
    pump = Reflex(id=DeviceId("pump"), rules={sewer: HIGH}, raised=(SOUND,))
    old = Reading(device=sewer, channel="float_switch", at_ms=0, value=True)
    assert feel(pump, Stand(), old, 3600_000)[1] == []


def test_after_a_restart_it_undoes_what_it_did() -> None:
    stand, _ = feel(REFLEX, Stand(), Reading(device=KITCHEN, channel="alarm_contact", at_ms=0, value=True), 0)
    kept = load(dump(stand), REFLEX, 10_000)
    assert kept.raised == {KITCHEN}
    assert not kept.settled
    assert turned(REFLEX, kept, "the edge was restarted")[1][0].deeds == (CLOSE, SOUND)
    for at_ms, channel, value in ((11_000, "alarm_contact", False), (11_000, "gas_concentration", 0.0)):
        kept, acts = feel(REFLEX, kept, Reading(device=KITCHEN, channel=channel, at_ms=at_ms, value=value), at_ms)
        assert acts == []
    _, acts = wake(REFLEX, kept, 11_000 + 5 * MINUTE_MS)
    assert [act.deeds for act in acts] == [(HUSH,)]


def test_a_device_that_is_no_longer_watched_holds_nothing() -> None:
    stand, _ = feel(REFLEX, Stand(), Reading(device=SHOP, channel="alarm_contact", at_ms=0, value=True), 0)
    smaller = Reflex(id=REFLEX.id, rules={KITCHEN: LEAK}, raised=REFLEX.raised, cleared=REFLEX.cleared)
    assert load(dump(stand), smaller, 0).raised == frozenset()
