"""What the page may claim: live, live with gaps, or nothing at all."""

from dataclasses import replace
from zoneinfo import ZoneInfo

from console.freshness import PULSE_LIMIT_MS, QUIET_LIMIT_MS, Freshness, Vitals, judge
from console.words import load_words
from messages.ids import DeviceId, EdgeId, SiteId
from rules.records import EdgeState, Pulse
from tests.console.block import NOON_MS

WORDS = load_words(ZoneInfo("Asia/Shanghai"))["en"]


def edge(name: str = "pi-1", *, online: bool = True, since_ms: int = 0, last_ms: int | None = NOON_MS) -> EdgeState:
    return EdgeState(
        site=SiteId("junmen"),
        edge=EdgeId(name),
        online=online,
        since_ms=since_ms,
        last_reading_at_ms=last_ms,
        devices=3,
    )


def judged(
    *edges: EdgeState, pulse_at_ms: int = NOON_MS, reading_at_ms: int | None = NOON_MS, hears: bool = True
) -> Freshness:
    pulse = Pulse(at_ms=pulse_at_ms, last_reading_at_ms=reading_at_ms, readings=1, hears=hears)
    return judge(Vitals(pulse, edges), WORDS, NOON_MS)


def test_an_engine_that_beats_and_edges_that_send_are_live() -> None:
    assert judged(edge(), edge("pi-2"), reading_at_ms=NOON_MS - 3000) == Freshness(
        "live", (), ("Rules engine running", "newest reading 3 s ago", "2 of 2 edges online")
    )


def test_an_engine_without_a_pulse_makes_the_page_blind() -> None:
    assert judged(edge(), pulse_at_ms=NOON_MS - PULSE_LIMIT_MS).verdict == "live"
    dead = judged(edge(), pulse_at_ms=NOON_MS - PULSE_LIMIT_MS - 1)
    assert dead.verdict == "blind"
    assert dead.reasons == ("The rules engine has stopped: last heartbeat 5 s ago. New alarms will not appear!",)
    assert dead.facts == ()


def test_a_pulse_from_the_future_is_no_sign_of_life() -> None:
    assert judged(pulse_at_ms=NOON_MS + 60_000).verdict == "blind"


def test_an_engine_that_never_ran_and_a_database_that_is_away_make_the_page_blind() -> None:
    assert judge(Vitals(None, ()), WORDS, NOON_MS).verdict == "blind"
    assert judge(None, WORDS, NOON_MS).verdict == "blind"


def test_an_edge_that_is_offline_is_named_with_how_long() -> None:
    gap = judged(edge(), edge("pi-2", online=False, since_ms=NOON_MS - 90_000))
    assert gap.verdict == "attention"
    assert gap.reasons == ("Edge pi-2 offline for 1 min",)
    assert "1 of 2 edges online" in gap.facts


def test_an_edge_that_says_it_is_online_and_sends_nothing_is_named_too() -> None:
    quiet = judged(edge(last_ms=NOON_MS - QUIET_LIMIT_MS - 1))
    assert (quiet.verdict, quiet.reasons) == ("attention", ("Edge pi-1 silent for 2 min",))


def test_an_edge_that_has_just_come_is_given_time_to_send() -> None:
    assert judged(edge(since_ms=NOON_MS - 1000, last_ms=None)).verdict == "live"
    assert judged(edge(since_ms=NOON_MS - 1000, last_ms=NOON_MS - 86_400_000)).verdict == "live"


def test_old_readings_are_said_even_if_no_edge_is_to_blame() -> None:
    old = judged(edge(), reading_at_ms=NOON_MS - QUIET_LIMIT_MS - 1)
    assert (old.verdict, old.reasons) == ("attention", ("The newest reading is 2 min old",))


def test_an_engine_that_hears_no_broker_makes_the_page_blind() -> None:
    deaf = judged(edge(), hears=False)
    assert (deaf.verdict, deaf.facts) == ("blind", ())
    assert deaf.reasons == ("The rules engine hears no broker. New alarms will not appear!",)


def test_without_an_edge_or_a_reading_nothing_is_known_to_be_well() -> None:
    assert (judged().verdict, judged().reasons) == ("attention", ("No edge has reported yet.",))
    unread = judged(edge(since_ms=NOON_MS - 1000, last_ms=None), reading_at_ms=None)
    assert (unread.verdict, unread.reasons) == ("attention", ("No reading yet",))


def test_silent_devices_are_named_as_far_as_there_is_room() -> None:
    few = judged(replace(edge(), silent=(DeviceId("gas-1"), DeviceId("gas-2"))))
    assert (few.verdict, few.reasons) == ("attention", ("Edge pi-1: 2 of 3 devices silent: gas-1, gas-2",))
    many = judged(replace(edge(), devices=9, silent=tuple(DeviceId(f"d-{number}") for number in range(5))))
    assert many.reasons == ("Edge pi-1: 5 of 9 devices silent: d-0, d-1, d-2 …",)


def test_of_an_edge_that_is_offline_it_is_enough_to_say_that() -> None:
    away = judged(replace(edge(online=False, since_ms=NOON_MS - 90_000), silent=(DeviceId("gas-1"),)))
    assert away.reasons == ("Edge pi-1 offline for 1 min",)
