"""Packs that come before others of their stream are missing: what is missing is often only on its way (a connection was made anew, an outage is
over), and the numbers say so.

Who would ring at once hears them as they come, and so does whatever is red or guards lives; when the gap has closed it judges them once more, and what it missed
is told (rules.engine.hindsight). A rule with a delay of PATIENCE_MS and more judges them only then, all in the order of their own time; or when it has the time no longer, as
they came: what never comes delays no alarm. A gap is waited for once, from when it was first seen; what is missing then is history
(docs/decisions/0079-a-gap-that-closes.md, 0087-hindsight.md).
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from messages import ranges
from messages.ids import EdgeId, SiteId
from messages.reading import Reading
from rules.engine import hindsight
from rules.engine.draft import Draft
from rules.engine.enquiry import ask_around
from rules.engine.found import Found
from rules.engine.hearing import hear, in_order
from rules.engine.judgement import judge_by
from rules.engine.memory import bookmark as bookmarks
from rules.engine.memory.audience import Ear, Voice
from rules.engine.memory.beyond import Beyond
from rules.engine.memory.plant import EdgeKey, StreamKey
from rules.engine.memory.watch import Watch
from rules.engine.timers import MOST_DANGEROUS, StateKey, danger
from rules.language.hindsight import gains
from rules.language.rule import Rule

if TYPE_CHECKING:
    from rules.engine.work import Work

PATIENCE_MS = 10_000
"""The history is asked after three seconds (rules.engine.catchup), the backlog of a short outage is told in less."""

MOST_HELD, MOST_PACKS = 2_000, 2_000
"""Of one stream: readings that wait or are remembered, and packs that have come. Beyond it is a backlog, and no straggler."""
MOST_GAPS = 200
"""Streams that are waited for at a time."""


def has_time(rule: Rule) -> bool:
    """Whether it rings no later if it judges PATIENCE_MS later. Nothing red is tried."""
    return rule.raise_delay_ms >= PATIENCE_MS and danger(rule) > MOST_DANGEROUS and not rule.questions


def open_gap(draft: Draft, stream: StreamKey) -> Beyond | None:
    return draft.beyond[stream] if stream in draft.beyond else draft.facts.beyond.get(stream)


def sort(work: "Work", now_ms: int) -> None:
    """Packs that were out of turn only within their batch are in turn."""
    for stream, packs in list(work.ahead.items()):
        if is_next(work, stream, packs):
            del work.ahead[stream]
            for number in sorted(packs):
                work.collect(*stream[:2], packs[number])
                work.heard(stream, number, now_ms)


def is_next(work: "Work", stream: StreamKey, numbers: Collection[int]) -> bool:
    """Whether these packs follow what was heard, and nothing is missing before any of them."""
    last = work.last_heard(stream)
    return open_gap(work, stream) is None and ranges.ranges(numbers) == [(last + 1, last + len(numbers))]


def hear_ahead(work: "Work", now_ms: int) -> None:
    """The packs of the batch that were not in turn."""
    ahead, work.ahead = work.ahead, {}
    for stream, packs in ahead.items():
        hear_beyond(work, stream, packs, [one for number in sorted(packs) for one in packs[number]], now_ms)


def hear_beyond(
    work: "Work",
    stream: StreamKey,
    numbers: Collection[int],
    readings: Iterable[Reading],
    now_ms: int,
    *,
    last: bool = True,
) -> None:
    """Readings of packs beyond a gap, or of what was missing in it. `last`: with them these packs are whole."""
    site, edge, _ = stream
    in_time = in_order([(site, edge, one) for one in readings])
    if (beyond := _own(work, stream, now_ms)) is None:
        hear(work, in_time, now_ms)
        for number in numbers if last else ():
            work.heard(stream, number, now_ms)
        return
    hear(work, in_time, now_ms, partial(_hold, beyond))
    beyond.reaches = max(beyond.reaches, *numbers)
    for number in numbers if last else ():
        ranges.add(beyond.packs, number, number)
    if beyond.whole or beyond.held > MOST_HELD or ranges.count(beyond.packs) > MOST_PACKS:
        give_up(work, stream, now_ms)


def give_up(work: "Work", stream: StreamKey, now_ms: int) -> None:
    """What is still missing is waited for no more: all is judged as it came; if nothing is missing, in the order of its time."""
    if (beyond := open_gap(work, stream)) is None:
        return
    work.beyond[stream] = None
    for number in ranges.numbers(beyond.packs):
        work.heard(stream, number, now_ms)
    for key, held in beyond.waiting.items():
        if held:
            _judge(work, stream, key, sorted(held, key=_moment) if beyond.whole else held)
    if beyond.whole:
        hindsight.look_back(work, stream, beyond)
    ask_around(work, now_ms)


def give_up_all(work: "Work", now_ms: int, edge: EdgeKey) -> None:
    """As `give_up`, for all streams of an edge."""
    for stream in [stream for stream, _ in _open(work) if stream[:2] == edge]:
        give_up(work, stream, now_ms)


def give_up_old(work: "Work", by_ms: int, now_ms: int) -> None:
    """As `give_up`, where what is missing was waited for until `by_ms`."""
    for stream in [
        stream for stream, beyond in _open(work) if beyond.until_ms is not None and beyond.until_ms <= by_ms
    ]:
        give_up(work, stream, now_ms)


def waiting(draft: Draft) -> Collection[StateKey]:
    """Who has heard something that it has not judged."""
    return {key for _, beyond in _open(draft) for key, held in beyond.waiting.items() if held}


def judge_what_waits(draft: Draft, key: StateKey) -> None:
    """A delay of a rule is over: it judges what it has heard, as that came, and waits no more."""
    for stream, beyond in _open(draft):
        if held := beyond.waiting.get(key):
            _judge(draft, stream, key, held)
            own = draft.beyond[stream] = beyond.copy()
            own.waiting[key], own.held = None, own.held - len(held)


def hasty(draft: Draft) -> Collection[StateKey]:
    """Who has judged something as it came, and may have to judge it again."""
    return {key for _, beyond in _open(draft) for key in beyond.hasty}


def fired(draft: Draft, key: StateKey, before: Watch, found: Sequence[Found]) -> None:
    """The timer of one of the hasty."""
    for stream, beyond in _open(draft):
        if key in beyond.hasty:
            own = draft.beyond[stream] = beyond.copy()
            hindsight.fired(own, key, before, draft.watch(key), found)


def bookmark(draft: Draft, key: StateKey) -> dict[str, Any] | None:
    """How one of the hasty is written down beside its state, if it may have to judge again."""
    for stream, beyond in _open(draft):
        known = beyond.hasty.get(key)
        if known is not None and known.still(draft.watch(key)):
            return bookmarks.to_json(stream, beyond, known, key)
    return None


def _moment(one: tuple[Reading, int]) -> int:
    return one[0].at_ms


def _open(draft: Draft) -> Iterator[tuple[StreamKey, Beyond]]:
    for stream in {**draft.facts.beyond, **draft.beyond} if draft.facts.beyond or draft.beyond else ():
        if (beyond := open_gap(draft, stream)) is not None:
            yield stream, beyond


def _own(work: "Work", stream: StreamKey, now_ms: int) -> Beyond | None:
    """This work's copy of what is known of a gap. None: there are too many of them already."""
    beyond = work.beyond.get(stream)
    if beyond is None:
        known = open_gap(work, stream)
        if known is None and len(work.facts.beyond) + len(work.beyond) >= MOST_GAPS:
            return None
        beyond = known.copy() if known else Beyond(work.last_heard(stream), None)
        if beyond.until_ms is None:
            beyond.until_ms = now_ms + PATIENCE_MS
        work.beyond[stream] = beyond
    return beyond


def _hold(
    beyond: Beyond, draft: Draft, voice: Voice, ear: Ear, reading: Reading, site: SiteId, edge: EdgeId, now_ms: int
) -> None:
    """In the place of `rules.engine.together.judge`."""
    remembered = False
    for _, rule, rule_id, _ in ear.listeners:
        key = (site, reading.device, rule_id)
        if has_time(rule) and (held := beyond.waiting.get(key, ())) is not None:
            beyond.waiting[key] = (*held, (reading, now_ms))
            beyond.held += 1
        elif gains(rule) and not has_time(rule):
            if not beyond.before_us or reading._replace(unit=None) not in beyond.before_us:
                hindsight.judge(beyond, draft, voice.device, rule, reading, now_ms)
                remembered = True
        else:
            judge_by(draft, voice.device, rule, reading, now_ms)
    if remembered:
        beyond.said[reading.device] = (*beyond.said.get(reading.device, ()), (reading, now_ms))
        beyond.held += 1


def _judge(draft: Draft, stream: StreamKey, key: StateKey, held: Iterable[tuple[Reading, int]]) -> None:
    """As if each had come when it was heard: a delay that it begins is over no later than it would have been."""
    site, edge, _ = stream
    if (device := draft.device((site, edge, key[1]))) is None:
        return
    for reading, heard_ms in held:
        if (rule := draft.voice_of(device).rules.get(key[2])) is not None:
            judge_by(draft, device, rule, reading, heard_ms)
