"""How far the page may be believed: from the engine's pulse and the edges to a plain verdict. Pure.

The page that looks fresh and is not is the second worst bug that this product can have. Three verdicts: `live`;
`attention`, when a part of the site can't be seen; `blind`, when a new alarm would not appear at all. What the
server can't know, that its messages don't arrive, is for `fresh.mjs` in the browser.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Self

from console.rights import Scope
from console.words import Words
from messages.ids import SiteId
from rules.records import EdgeState, Pulse

PULSE_LIMIT_MS = 5_000
"""The engine writes its pulse every second."""
QUIET_LIMIT_MS = 150_000
"""An edge with any life-safety device sends at least once a minute (kinds' `interval`): 2.5 times that."""
MOST_NAMED = 3
"""Silent devices whose names a sentence holds."""

Verdict = Literal["live", "attention", "blind"]


@dataclass(frozen=True, slots=True)
class Vitals:
    """What the database said of the engine and the edges, and when. None: it could not be read."""

    pulse: Pulse | None
    edges: Sequence[EdgeState]
    floods: Mapping[SiteId, int] = field(default_factory=dict)
    """Sites with more new alarms than their operators can read, and since when."""

    def seen_from(self, scope: Scope) -> Self:
        """As far as it concerns readers of a scope."""
        edges = [edge for edge in self.edges if scope.covers(edge.site)]
        return replace(
            self, edges=edges, floods={site: since for site, since in self.floods.items() if scope.covers(site)}
        )


@dataclass(frozen=True, slots=True)
class Freshness:
    """`reasons` hold every complaint, `facts` what is well, both as sentences."""

    verdict: Verdict
    reasons: tuple[str, ...]
    facts: tuple[str, ...]


def judge(vitals: Vitals | None, words: Words, now_ms: int) -> Freshness:
    """What the page may claim at `now_ms`."""
    if vitals is None:
        return Freshness("blind", (words("fresh.database_away"),), ())
    if trouble := _engine_trouble(vitals.pulse, words, now_ms):
        return Freshness("blind", (trouble,), ())
    assert vitals.pulse is not None
    facts, gaps = [words("fresh.engine")], []
    if (newest_ms := vitals.pulse.last_reading_at_ms) is None:
        gaps.append(words("fresh.no_reading"))
    elif now_ms - newest_ms > QUIET_LIMIT_MS:
        gaps.append(words("fresh.readings_old", age=words.span(now_ms - newest_ms)))
    else:
        facts.append(words("fresh.reading", age=words.span(now_ms - newest_ms)))
    if not vitals.edges:
        gaps.append(words("feed.no_edges"))
    gaps += [trouble for edge in vitals.edges if (trouble := _edge_trouble(edge, words, now_ms))]
    if vitals.edges:
        online = sum(edge.online for edge in vitals.edges)
        facts.append(words("fresh.edges", online=online, all=len(vitals.edges)))
    return Freshness("attention" if gaps else "live", tuple(gaps), tuple(facts))


def is_quiet(edge: EdgeState, now_ms: int) -> bool:
    """Online, by its own word, and yet nothing comes from it."""
    heard_ms = edge.since_ms if edge.last_reading_at_ms is None else max(edge.last_reading_at_ms, edge.since_ms)
    return edge.online and now_ms - heard_ms > QUIET_LIMIT_MS


def silent_words(edge: EdgeState, words: Words) -> str:
    """Which of its devices say nothing."""
    names = ", ".join(edge.silent[:MOST_NAMED]) + (" …" if len(edge.silent) > MOST_NAMED else "")
    return words("fresh.devices_silent", n=len(edge.silent), all=edge.devices, names=names)


def _engine_trouble(pulse: Pulse | None, words: Words, now_ms: int) -> str | None:
    if pulse is None:
        return words("fresh.engine_never")
    age_ms = now_ms - pulse.at_ms
    if age_ms > PULSE_LIMIT_MS:
        return words("fresh.engine_dead", age=words.span(age_ms))
    if age_ms < -PULSE_LIMIT_MS:  # else a dead engine would look alive until our clock has caught up
        return words("fresh.engine_ahead", age=words.span(-age_ms))
    if not pulse.hears:
        return words("fresh.engine_deaf")
    return None


def _edge_trouble(edge: EdgeState, words: Words, now_ms: int) -> str | None:
    if not edge.online:
        return words("fresh.edge_offline", edge=edge.edge, age=words.span(now_ms - edge.since_ms))
    if is_quiet(edge, now_ms):
        heard_ms = edge.last_reading_at_ms or edge.since_ms
        return words("fresh.edge_quiet", edge=edge.edge, age=words.span(now_ms - heard_ms))
    if edge.silent:  # of an edge that is away itself they all are
        return words("fresh.edge_devices", edge=edge.edge, silent=silent_words(edge, words))
    return None
