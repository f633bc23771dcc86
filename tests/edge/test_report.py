import pytest

from edge.report import Reporter, Stamps, Urgency, urgency
from messages.ids import DeviceId
from messages.kind import Channel, load_kinds, mismatch
from messages.reading import Quality, Reading, Value
from rules.language.library import load_rules
from tests.edge.test_clock import FORGETS, HOUR_MS, NOW_MS, SERVED, Times

KINDS = load_kinds()
RULES = load_rules(KINDS)
GAS, COVER = KINDS["gas_alarm"], KINDS["manhole_cover"]
ALARM, PERIODIC = Urgency.ALARM, Urgency.PERIODIC


def reading(value: Value, at_s: float, channel: str = "gas_concentration", quality: Quality = Quality.GOOD) -> Reading:
    return Reading(device=DeviceId("gas-1"), channel=channel, at_ms=int(at_s * 1000), value=value, quality=quality)


def replay(channel: str, *values: tuple[float, Value]) -> list[tuple[float, Urgency]]:
    """When something of a gas alarm's channel is reported, and how urgently."""
    reporter = Reporter({DeviceId("gas-1"): GAS})
    return [
        (at_s, reported.urgency)
        for at_s, value in values
        for reported in reporter.select([reading(value, at_s, channel)])
    ]


def test_the_first_value_is_always_reported() -> None:
    assert replay("gas_concentration", (1, 0.0)) == [(1, ALARM)]
    assert replay("sensor_fault", (1, False)) == [(1, PERIODIC)]


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, name) for kind in KINDS for name, channel in KINDS[kind].channels.items() if channel.type == "number"],
)
def test_every_number_keeps_its_deadband_and_an_alarm_class_one_leaves_at_every_change(kind: str, name: str) -> None:
    channel = KINDS[kind].channels[name]

    def moved(by: float) -> Urgency | None:
        return urgency(channel, reading(0.0, 1, name), reading(by, 2, name))

    within, beyond = channel.deadband / 2, channel.deadband * 1.5 or 1.0
    if channel.alarm_class or channel.event:
        how = ALARM if channel.alarm_class else PERIODIC
        assert (moved(within or 1e-9), moved(-within or -1e-9), moved(beyond)) == (how, how, how)
    else:
        assert (moved(within), moved(-within), moved(beyond), moved(-beyond)) == (None, None, PERIODIC, PERIODIC)


def test_a_leak_that_creeps_over_its_limit_is_told_at_once() -> None:
    assert replay("gas_concentration", (1, 9.8), (2, 9.8), (3, 10.1)) == [(1, ALARM), (3, ALARM)]


def test_a_slow_drift_is_reported_when_it_has_come_far_enough() -> None:
    channel = KINDS["sewer_level"].channels["water_level"]
    last, told = reading(0.0, 0, "water_level"), list[int]()
    for second in range(1, 20):
        now = reading(second * channel.deadband * 0.4, second, "water_level")
        if urgency(channel, last, now) is PERIODIC:
            told, last = [*told, second], now
    assert told == [3, 6, 9, 12, 15, 18]


def test_a_state_is_reported_at_every_change() -> None:
    assert replay("alarm_contact", (1, False), (2, False), (3, True), (4, False)) == [
        (1, ALARM),
        (3, ALARM),
        (4, ALARM),
    ]


def test_after_its_interval_a_quiet_channel_is_repeated_without_hurry() -> None:
    assert replay("gas_concentration", (1, 0.0), (60.9, 0.0), (61, 0.0), (62, 0.0)) == [(1, ALARM), (61, PERIODIC)]


def test_a_change_of_quality_is_a_change() -> None:
    channel = GAS.channels["gas_concentration"]
    assert urgency(channel, reading(1.0, 1), reading(1.0, 2, quality=Quality.BAD)) is ALARM


def test_history_is_reported_and_the_next_value_is_still_compared_with_the_newest() -> None:
    buffered = replay("alarm_contact", (10, True), (5, False), (11, False), (12, False))
    assert buffered == [(10, ALARM), (5, ALARM), (11, ALARM)]


def stamps(*values: tuple[int, Value]) -> list[tuple[int, Value]]:
    """When readings of a contact are stamped that come at these milliseconds."""
    reporter = Reporter({DeviceId("gas-1"): GAS})
    came = [reading(value, at_ms / 1000, "alarm_contact") for at_ms, value in values]
    return [(reported.reading.at_ms, reported.reading.value) for reported in reporter.select(came)]


def test_two_values_of_one_millisecond_are_both_kept_in_their_order() -> None:
    assert stamps((5, False), (5, True), (5, False), (6, True), (9, False)) == [
        (5, False),
        (6, True),
        (7, False),
        (8, True),
        (9, False),
    ]


def test_two_values_of_one_millisecond_in_a_devices_buffer_are_both_kept() -> None:
    buffered = stamps((9, True), (5, False), (5, True), (10, False))
    assert buffered == [(9, True), (5, False), (6, True), (10, False)]


def test_a_reading_that_only_comes_again_keeps_its_time() -> None:
    stamp = Stamps().stamp
    assert [stamp(reading(value, 0.005)).at_ms for value in (1.0, 1.0, 2.0, 2.0)] == [5, 5, 6, 6]


def test_channels_and_devices_are_remembered_apart() -> None:
    one, other = DeviceId("cover-1"), DeviceId("cover-2")
    reporter = Reporter({one: COVER, other: COVER})
    both = [Reading(device=device, channel="tilt", at_ms=1, value=5.0) for device in (one, other)]
    assert len(reporter.select(both)) == 2
    assert reporter.select(both) == []


def test_a_deadband_of_nought_lets_every_change_through() -> None:
    channel = Channel.model_validate({"name": {"zh": "", "en": ""}, "meaning": "", "type": "number", "interval": "1h"})
    assert urgency(channel, reading(1.0, 1), reading(1.1, 2)) is PERIODIC
    assert urgency(channel, reading(1.0, 1), reading(1.0, 2)) is None


def test_after_a_turn_of_the_clock_every_channel_is_told_again_though_its_time_is_earlier() -> None:
    times = Times()
    reporter = Reporter({DeviceId("gas-1"): GAS}, times.clock)

    def at(at_ms: int, value: float) -> list[Urgency]:
        reading = Reading(device=DeviceId("gas-1"), channel="gas_concentration", at_ms=at_ms, value=value)
        return [each.urgency for each in reporter.select([reading])]

    assert at(NOW_MS + HOUR_MS, 1.0) == [Urgency.ALARM]
    assert at(NOW_MS + HOUR_MS + 1000, 1.0) == []
    times.wall_ms -= HOUR_MS
    times.machine = SERVED
    assert times.clock.look()
    assert [at(NOW_MS + 1000, 1.0), at(NOW_MS + 2000, 1.0), at(NOW_MS + 3000, 9.0)] == [
        [Urgency.ALARM],
        [],
        [Urgency.ALARM],
    ]


def test_what_a_guessing_clock_stamped_is_marked_so_and_a_devices_own_time_is_not() -> None:
    times = Times(NOW_MS, FORGETS)
    reporter = Reporter({DeviceId("gas-1"): GAS}, times.clock)
    selected = reporter.select(
        Reading(device=DeviceId("gas-1"), channel="gas_concentration", at_ms=at_ms, value=value)
        for at_ms, value in ((NOW_MS - HOUR_MS, 5.0), (NOW_MS, 9.0))
    )
    assert [each.guess_ms for each in selected] == [None, NOW_MS - times.monotonic_ms]


UNHURRIED = {
    ("site", "stuck"): "the engine says it of itself",
    ("site", "unstaffed"): "the same",
    ("water_meter", "volume"): "what rings is that it doesn't change",
}


@pytest.mark.parametrize(
    ("kind", "name"),
    sorted(
        {
            (kind, channel)
            for kind, rules in RULES.items()
            for rule in rules
            if "red" in (rule.level, *(level for level, _ in rule.levels))
            for channel in rule.channels
        }
    ),
)
def test_what_red_rests_on_is_alarm_class_and_leaves_at_each_change_however_small(kind: str, name: str) -> None:
    """Of every shipped rule."""
    channel = KINDS[kind].channels[name]
    before: Value = 1.0 if channel.type == "number" else False
    after: Value = 1.0 + 1e-9 if channel.type == "number" else True
    how = urgency(channel, reading(before, 1, name), reading(after, 2, name))
    assert (how is ALARM) == ((kind, name) not in UNHURRIED)


@pytest.mark.parametrize("kind", ["charging_pile", "charging_shed", "waste_bin"])
def test_the_heat_of_a_fire_is_no_fault_of_the_thermometer(kind: str) -> None:
    """A cell that burns has 600 Cel and more."""
    rules = [rule for rule in RULES[kind] if rule.id == "heat"]
    for channel in {name for rule in rules for name in rule.channels}:
        assert mismatch(KINDS[kind].channels[channel], 900.0, "Cel") is None
