"""Who is online, late, silent; whose clock is ahead."""

from collector.intake.tally import EdgeTally
from collector.watch.presence import LATE_TIMES, SILENT_MS, SKEW_WINDOW_MS, Presence, as_rows
from messages.ids import DeviceId, EdgeId, SiteId
from tests.collector.block import KINDS, NOW_MS, announcement

EDGE = (SiteId("junmen"), EdgeId("pi-1"))
GAS = (*EDGE, DeviceId("gas-1"))
KNOWN = {GAS: announcement("gas_alarm")}
SHORTEST_MS = 60_000


def took(presence: Presence, *, at_ms: int = NOW_MS, now_ms: int = NOW_MS) -> None:
    tally = EdgeTally(stored=1, newest={GAS[2]: at_ms}, least_lag_ms=now_ms - at_ms, received_at_ms=now_ms)
    presence.took(EDGE, tally)


def test_an_edge_is_online_then_silent_and_offline_when_the_broker_says_so() -> None:
    presence = Presence()
    presence.said(EDGE, online=True, clock_trusted=True, now_ms=NOW_MS)
    assert presence.edge_state(EDGE, NOW_MS + SILENT_MS) == "online"
    assert presence.edge_state(EDGE, NOW_MS + SILENT_MS + 1) == "silent"
    presence.said(EDGE, online=False, clock_trusted=True, now_ms=NOW_MS + 1)
    assert presence.edge_state(EDGE, NOW_MS + 1) == "offline"


def test_a_device_is_late_then_silent_and_of_an_offline_edge_neither() -> None:
    presence = Presence()
    presence.said(EDGE, online=True, clock_trusted=True, now_ms=NOW_MS)
    took(presence)
    late_ms = NOW_MS + LATE_TIMES * SHORTEST_MS
    assert presence.device_state(GAS, SHORTEST_MS, late_ms) == "online"
    assert presence.device_state(GAS, SHORTEST_MS, late_ms + 1) == "late"
    assert presence.device_state(GAS, SHORTEST_MS, NOW_MS + 10 * LATE_TIMES * SHORTEST_MS + 1) == "silent"
    presence.said(EDGE, online=False, clock_trusted=True, now_ms=late_ms)
    assert presence.device_state(GAS, SHORTEST_MS, late_ms + 1) == "offline"


def test_a_backlog_does_not_make_a_device_younger_or_older() -> None:
    presence = Presence()
    took(presence)
    took(presence, at_ms=NOW_MS - 3_600_000, now_ms=NOW_MS + 5)
    assert presence.devices[GAS] == NOW_MS


def test_a_clock_that_is_ahead_is_said_and_forgotten_when_it_is_put_right() -> None:
    presence = Presence()
    took(presence, at_ms=NOW_MS + 60_000)
    assert as_rows(presence, KNOWN, KINDS, NOW_MS)[0]["clock_ahead_ms"] == 60_000
    for window in (1, 2):
        later_ms = NOW_MS + window * (SKEW_WINDOW_MS + 1)
        took(presence, at_ms=later_ms, now_ms=later_ms)
    took(presence, at_ms=later_ms, now_ms=later_ms)
    assert as_rows(presence, KNOWN, KINDS, later_ms)[0]["clock_ahead_ms"] == 0


def test_a_device_that_was_announced_and_never_heard_is_silent() -> None:
    presence = Presence()
    presence.said(EDGE, online=True, clock_trusted=True, now_ms=NOW_MS)
    (row,) = as_rows(presence, KNOWN, KINDS, NOW_MS)
    assert row["devices"] == [{"device": "gas-1", "kind": "gas_alarm", "state": "silent", "newest_reading_ms": None}]


def test_a_clock_that_is_behind_is_known_by_the_times_of_its_statuses_and_a_backlog_is_no_such_thing() -> None:
    presence = Presence()
    took(presence, at_ms=NOW_MS - 3_600_000)

    def behind_ms(by_ms: int, now_ms: int) -> object:
        presence.said(EDGE, online=True, clock_trusted=True, now_ms=now_ms, written_at_ms=now_ms - by_ms)
        return as_rows(presence, KNOWN, KINDS, now_ms)[0]["clock_behind_ms"]

    assert behind_ms(600_000, NOW_MS) == 0, "the first one may have been retained for ten minutes"
    assert behind_ms(40_000, NOW_MS + 60_000) == 40_000
    assert behind_ms(200, NOW_MS + 120_000) == 0
    presence.said(EDGE, online=True, clock_trusted=True, now_ms=NOW_MS, written_at_ms=NOW_MS + 9_000)
    assert as_rows(presence, KNOWN, KINDS, NOW_MS)[0]["clock_ahead_ms"] == 9_000
