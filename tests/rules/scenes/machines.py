"""Edges, lines, links, reflexes: the plant that watches the plant."""

from tests.rules.scenes.scene import Scene, flapping, negative, positive
from tests.rules.scenes.sensor import Moments
from tests.rules.scenes.signals import (
    DAY,
    HOUR,
    MINUTE,
    State,
    between,
    day_warmth,
    opposite,
    repeatedly,
    restless,
    slope,
    steady,
    swaying,
    total,
)


def _broken(
    kind: str, rule: str, channel: str, delay_s: float, cause: str, *, most: int = 1, good: bool = True, **others: bool
) -> list[Scene]:
    """A contact or a word that says `good` while all is well."""

    def said(bad: State) -> State:
        return opposite(bad) if good else bad

    short_s, clears_s = 0.9 * delay_s, 2 * HOUR + delay_s
    scenes = [
        positive(
            kind, rule, cause, 2 * clears_s, (HOUR + delay_s, HOUR + delay_s + 5),
            **{channel: said(between((HOUR, clears_s)))}, **others,
        ),
        negative(kind, rule, "all is well", 3 * HOUR, **{channel: good}, **others),
        flapping(
            kind, rule, f"{cause}, again and again", HOUR + 14 * (delay_s + 9), most,
            **{channel: said(repeatedly(delay_s + 9, delay_s + 5, HOUR, HOUR + 12 * (delay_s + 9)))}, **others,
        ),
    ]  # fmt: skip
    if short_s:
        scenes.append(
            negative(
                kind,
                rule,
                f"{cause}, for less than its delay, often",
                HOUR + 12 * delay_s,
                **{channel: said(repeatedly(2 * delay_s, short_s, HOUR))},
                **others,
            ),
        )
    return scenes


def _beats(*until_s: tuple[float, float]) -> Moments:
    """An edge that says every half minute that it is there."""
    return Moments(tuple(float(t) for begin, end in until_s for t in range(round(begin), round(end), 30)))


SCENES = [
    *_broken("device_link", "guard_silent", "answering", 30, "a detector loses its supply", line_open=True, guards_lives=True),
    *_broken("device_link", "silent", "answering", 60, "a sensor loses its supply", line_open=True, guards_lives=False),
    negative(
        "device_link", "silent", "its whole line is away: that is another situation", 3 * HOUR, answering=False,
        line_open=False, guards_lives=False,
    ),
    negative(
        "device_link", "guard_silent", "its whole line is away: that is another situation", 3 * HOUR, answering=False,
        line_open=False, guards_lives=True,
    ),
    *_broken("edge_line", "away", "open", 60, "the adapter is pulled out"),
    positive(
        "edge_line", "disturbed", "a terminating resistor falls off", 8 * HOUR, (HOUR + 30 * MINUTE, 2 * HOUR),
        error_rate=lambda t: 22.0 if HOUR <= t < 4 * HOUR else 0.5,
    ),
    negative(
        "edge_line", "disturbed", "a lift's motor, a few minutes at a time", 8 * HOUR,
        error_rate=lambda t: 25.0 if t % HOUR < 600 else 2.0,
    ),
    flapping(
        "edge_line", "disturbed", "about a tenth", 12 * HOUR, 1,
        error_rate=total(steady(10), swaying(0, 2, 2 * HOUR), restless(1.5, 300, "line")),
    ),
    *_broken("edge_agent", "disk_refuses", "disk_refuses", 60, "a worn memory card", good=False),
    positive(
        "edge_agent", "outbox_filling", "the uplink is cut for two days", 5 * DAY, (DAY, 3 * DAY),
        outbox_used=lambda t: 3 + 40 * max(min(t / DAY - 1, 2), 0) if t < 3 * DAY else 2.0,
    ),
    negative(
        "edge_agent", "outbox_filling", "a cut of a day", 5 * DAY,
        outbox_used=lambda t: 3 + 40 * max(min(t / DAY - 1, 1), 0) if t < 3 * DAY else 2.0,
    ),
    flapping(
        "edge_agent", "outbox_filling", "an uplink that just keeps up", 5 * DAY, 1,
        outbox_used=swaying(70, 6, 4 * HOUR),
    ),
    positive(
        "edge_agent", "hot", "a cabinet in the sun", DAY, (10 * HOUR, 14 * HOUR),
        temperature=total(day_warmth(10, 46), steady(40)), throttled=False,
    ),
    negative(
        "edge_agent", "hot", "a busy quarter of an hour", DAY,
        temperature=total(day_warmth(20, 30), lambda t: 59.0 if t % HOUR < 300 else 30.0), throttled=False,
    ),
    flapping(
        "edge_agent", "hot", "about eighty degrees", DAY, 1,
        temperature=total(steady(80), swaying(0, 2, 50 * MINUTE), restless(2, 60, "cpu")), throttled=False,
    ),
    positive(
        "edge_agent", "disk_full", "a log that grows", 12 * DAY, (4 * DAY, 9 * DAY),
        disk_free=lambda t: 20 - 2.2 * t / DAY if t < 9 * DAY else 30.0,
    ),
    negative(
        "edge_agent", "disk_full", "an update that is unpacked and cleared away", DAY,
        disk_free=lambda t: 4.0 if HOUR <= t < HOUR + 480 else 22.0,
    ),
    flapping(
        "edge_agent", "disk_full", "about the limit", 5 * DAY, 1, disk_free=total(steady(5), swaying(0, 1, 6 * HOUR)),
    ),
    *_broken("edge_agent", "clock", "clock_trusted", 3600, "no time server is reached"),
    *_broken("edge_agent", "configuration_refused", "configuration_refused", 300, "an installer reloads a wrong file", good=False),
    *_broken("reflex", "failed", "failed", 0, "a valve that doesn't shut", good=False),
    *_broken("reflex", "acting", "raised", 0, "a reflex acts", good=False, most=12),
    *_broken("collector", "locked_out", "locked_out", 0, "a password that has run out", good=False),
    *_broken("collector", "store_away", "store_takes", 300, "the store restarts", locked_out=False),
    negative("collector", "store_away", "it is locked out: that is another situation", HOUR, store_takes=False, locked_out=True),
    *_broken("collector", "broker_too_small", "broker_fits", 0, "a queue of the broker is too small"),
    positive(
        "collector", "quarantine_full", "a device that says nonsense", 5 * DAY, (DAY, 4 * DAY),
        quarantine_used=lambda t: 30 * t / DAY if t < 4 * DAY else 5.0,
    ),
    negative("collector", "quarantine_full", "some nonsense of every day", 5 * DAY, quarantine_used=slope(20, 8 / DAY)),
    flapping("collector", "quarantine_full", "about the limit", 5 * DAY, 1, quarantine_used=swaying(80, 8, 3 * HOUR)),
    positive("site", "stalled", "nobody was called for ten minutes", HOUR, (600, 660), stuck=lambda t: 2.0 if 600 <= t < 1200 else 0.0),
    negative("site", "stalled", "everything moves", HOUR, stuck=steady(0)),
    flapping("site", "stalled", "one after the other stands still", HOUR, 1, stuck=lambda t: float(600 <= t < 1800 and t % 60 < 40)),
    positive("site", "disputed", "a copied edge that was not renamed", 2 * HOUR, (1200, 1260), disputed=lambda t: float(600 <= t < HOUR)),
    negative("site", "disputed", "a device moves from one edge to another", HOUR, disputed=lambda t: float(600 <= t < 1100)),
    flapping("site", "disputed", "an edge that comes and goes", 2 * HOUR, 1, disputed=lambda t: float(600 <= t < 4000 and t % 60 < 40)),
    positive("site", "roster_old", "a typing error, mended within the hour", 2 * HOUR, (600, 660), roster_old=between((600, HOUR))),
    negative("site", "roster_old", "the file is as it should be", HOUR, roster_old=False),
    flapping("site", "roster_old", "an editor that saves half a file", HOUR, 1, roster_old=repeatedly(60, 20, 20)),
    positive("site", "unstaffed", "the file was renamed before the engine was new", 2 * HOUR, (600, 660), unstaffed=between((600, HOUR))),
    negative("site", "unstaffed", "somebody is known", HOUR, unstaffed=False),
    flapping("site", "unstaffed", "a folder that comes and goes", HOUR, 1, unstaffed=repeatedly(60, 20, 20)),
    *_broken("edge_ledger", "breach", "balanced", 60, "a pack is missing"),
    positive(
        "edge_link", "away", "its fuse blows; it comes back after an hour", 4 * HOUR, (HOUR + 60, HOUR + 65),
        online=opposite(between((HOUR, 2 * HOUR))), heard=_beats((0, HOUR), (2 * HOUR, 4 * HOUR)),
    ),
    positive(
        "edge_link", "away", "it hangs, and the broker has not noticed", 4 * HOUR, (HOUR + 300, HOUR + 400),
        online=True, heard=_beats((0, HOUR), (2 * HOUR, 4 * HOUR)),
    ),
    negative(
        "edge_link", "away", "it restarts for its updates", 4 * HOUR, online=opposite(repeatedly(HOUR, 45, 1000)),
        heard=_beats((0, 4 * HOUR)),
    ),
    flapping(
        "edge_link", "away", "a mobile network that drops it", 4 * HOUR, 1,
        online=opposite(repeatedly(120, 75, HOUR, 3 * HOUR)), heard=_beats((0, 4 * HOUR)),
    ),
    positive(
        "site", "edges_away", "a trunk cable is cut", 4 * HOUR, (HOUR + 120, HOUR + 130),
        edges_away=lambda t: 6.0 if HOUR <= t < 3 * HOUR else 0.0,
    ),
    negative(
        "site", "edges_away", "two boxes are mended", 4 * HOUR,
        edges_away=lambda t: 2.0 if HOUR <= t < 3 * HOUR else 0.0,
    ),
    flapping(
        "site", "edges_away", "a power supply that staggers", 4 * HOUR, 1,
        edges_away=lambda t: (4.0 if t % 150 < 125 else 1.0) if HOUR <= t < 3 * HOUR else 0.0,
    ),
]  # fmt: skip
