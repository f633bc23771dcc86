"""What a rule that could not wait would have found, had it heard in order: known when nothing is missing any more. Pure.

It was judged as it came. Now the same readings are judged once more, in the order of their own time and from the state before them, and what that shows is taken to the
safe side alone (docs/decisions/0087-hindsight.md):

* An episode that nobody was told of is told: it stands, or it happened and is over.
* What runs is over when it would have been, if that is sooner; what would end an alarm, if that is later.
* An alarm is as grave as it was at its gravest.
* Nothing that was told is taken back, and nothing is told twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from messages.alarm import Level
from messages.reading import Reading, Value
from rules.language.change import Change, Cleared, Ended, Graver, Happened, Raised
from rules.language.evaluation import hastened, step, wake_at_ms
from rules.language.rule import Rule, graver
from rules.language.state import Lane, State, at_present, present

Said = tuple[Reading, int]
"""A reading, and when it was heard."""


def gains(rule: Rule) -> bool:
    """Whether a rule may find more in order than as it came, and needs nothing but readings for it. One on one channel without a delay finds
    in any order what there was."""
    if rule.questions or rule.answers is not None or rule.silences:
        return False
    return bool(rule.raise_delay_ms or rule.raise_samples > 1 or len(rule.channels) > 1 or rule.keeps or rule.levels)


def in_hindsight(
    rule: Rule, before: State, said: Sequence[Said], state: State, told: Sequence[Change]
) -> tuple[State, list[Change], int | None]:
    """The state that `state` should be, what was not told, and when to call with a Timer. `before`: the state before all that was `said`, which is in the
    order in which it was heard; `told`: what it was found to change as it came."""
    mine = [one for one in said if one[0].channel in rule.channels]
    moments = [one.at_ms for one, _ in mine]
    if moments == sorted(moments) or any(one.at_ms > heard_ms for one, heard_ms in mine):  # by a clock that is wrong
        return state, [], wake_at_ms(present(state))
    mine.sort(key=_moment)
    then, changes = before, list[Change]()
    for reading, heard_ms in mine:
        then, found, _ = step(rule, then, reading, heard_ms)
        changes += found
    newest, heard_ms = mine[-1]
    then, _ = hastened(rule, then, 0, heard_ms - newest.at_ms)
    known, missed = _episodes(before, told, state), list[Change]()
    lane, was, over_ms = present(state), present(then), None
    for one in _episodes(before, changes, then):
        over = one.ended_at_ms is not None
        same = [other for other in known if one.meets(other) and (not other.late or (one.late and over))]
        if same:
            last = same[-1]
            if one.level is not None and graver(one.level, last.level or rule.level):
                missed.append(Graver(last.raised_at_ms, one.level_at_ms, one.level, one.evidence))
                if lane.raised_at_ms == last.raised_at_ms:
                    lane = lane._replace(level=one.level)
        elif one.ended_at_ms is not None:
            missed.append(Happened(one.raised_at_ms, one.evidence, over=True, late=one.late, level=one.level))
            missed.append(Ended(one.raised_at_ms, one.ended_at_ms))
        elif not _would_wait(was, lane):
            at_ms = one.raised_at_ms if lane.raised_at_ms is None else lane.raised_at_ms
            if lane.raised_at_ms is None or not one.late:
                missed.append(Raised(at_ms, one.evidence, one.late, one.level))
            lane = was._replace(raised_at_ms=at_ms)
            return at_present((*state[:2], then[2], None), lane), missed, wake_at_ms(lane)
        if over:
            over_ms = one.raised_at_ms
    lane = _safer(lane, was, over_ms)
    return at_present((*state[:2], then[2], state[3]), lane), missed, wake_at_ms(lane)


def _safer(lane: Lane, was: Lane, over_ms: int | None) -> Lane:
    """What runs, of what was judged as it came and in order. `over_ms`: when the last of what was raised in order, and is over, was raised."""
    if lane.raised_at_ms is not None:
        if was.raised_at_ms is None or lane.due_at_ms is None:
            return lane
        if was.due_at_ms is not None and was.due_at_ms <= lane.due_at_ms:
            return lane
        return lane._replace(since_ms=was.since_ms, due_at_ms=was.due_at_ms, samples=was.samples)
    if was.raised_at_ms is not None:
        return lane
    if lane.since_ms is None or (over_ms is not None and lane.since_ms <= over_ms):  # what ran is told by now
        return was
    sooner = was.since_ms is not None and was.since_ms <= lane.since_ms and was.samples >= lane.samples
    dues = [due_at_ms for due_at_ms in (lane.due_at_ms, was.due_at_ms) if due_at_ms is not None]
    return (was if sooner else lane)._replace(due_at_ms=min(dues, default=None))


def _would_wait(was: Lane, lane: Lane) -> bool:
    """What is raised late would ring nobody, and what was judged as it came may."""
    return was.late and was.look_at_ms is None and (lane.raised_at_ms is not None or lane.due_at_ms is not None)


@dataclass(frozen=True, slots=True)
class _Episode:
    """From a raise to its end."""

    raised_at_ms: int
    ended_at_ms: int | None
    late: bool
    level: Level | None
    level_at_ms: int
    evidence: Mapping[str, Value]

    def meets(self, other: "_Episode") -> bool:
        first, second = sorted((self, other), key=lambda one: one.raised_at_ms)
        same = first.raised_at_ms == second.raised_at_ms  # what came late may end it before it was raised
        return same or first.ended_at_ms is None or second.raised_at_ms <= first.ended_at_ms


def _episodes(before: State, changes: Sequence[Change], after: State) -> list[_Episode]:
    """Those that these changes are of, and the one that stood before or stands after them."""
    found = dict[int, _Episode]()
    for lane in (present(before), present(after)):
        if (at_ms := lane.raised_at_ms) is not None:
            found[at_ms] = _Episode(at_ms, None, lane.late, lane.level, at_ms, {})
    for change in changes:
        match change:
            case Raised(at_ms, evidence, late, level):
                known = found.get(at_ms)
                gravest = level if known is None or known.level is None else known.level
                found[at_ms] = _Episode(at_ms, None, late, gravest, at_ms, evidence)
            case Happened(at_ms, evidence, over, late, level):
                found[at_ms] = _Episode(at_ms, at_ms if over else None, late, level, at_ms, evidence)
            case Graver(raised_at_ms, at_ms, level, evidence) if raised_at_ms in found:
                one = found[raised_at_ms]
                found[raised_at_ms] = replace(one, level=level, level_at_ms=at_ms, evidence=evidence)
            case Cleared(raised_at_ms, at_ms) | Ended(raised_at_ms, at_ms) if raised_at_ms in found:
                found[raised_at_ms] = replace(found[raised_at_ms], ended_at_ms=at_ms)
    return sorted(found.values(), key=lambda one: one.raised_at_ms)


def _moment(one: Said) -> int:
    return one[0].at_ms
