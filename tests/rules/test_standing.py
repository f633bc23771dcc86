from dataclasses import replace

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from rules.alarms.condition import ACTIVE, LATCHED, AlarmEvent, Condition
from rules.alarms.moment import moment, moment_ms
from rules.alarms.rebuild import Rebuilt, Unreadable, after, rebuild
from rules.alarms.standing import (
    Abandon,
    Age,
    Chatter,
    Doubt,
    Event,
    Move,
    PutBack,
    Settle,
    Shelve,
    Standing,
    Suppress,
    TakeOut,
    Trust,
    Unshelve,
    Unsuppress,
    happen,
)
from rules.records import AlarmState as S
from rules.records import LogEntry, Overlays, Pause

RAISED, RETURNED, ACKNOWLEDGED = (
    Move(event) for event in (AlarmEvent.RAISED, AlarmEvent.RETURNED, AlarmEvent.ACKNOWLEDGED)
)
SHELF = Pause(until_ms=1_800_000_000_000, actor="li", reason="装修: dust, until noon")
ONCE = replace(SHELF, one_shot=True)


def standing(state: S = S.NORM, *, latch: bool = False, guards: bool = False, called: bool = False) -> Standing:
    return Standing(Condition(state, latch, 0), guards, called)


def course(*events: Event, start: Standing | None = None) -> tuple[Standing, list[str]]:
    """How it stands at the end, and what was said."""
    now, said = start or standing(), list[str]()
    for number, event in enumerate(events, 1):
        moved = happen(now, event, number)
        now = replace(moved.standing, called=moved.standing.called or moved.standing.calls)
        said += [f"{one.event} {one.detail}".strip() for one in moved.said]
    return now, said


def test_what_is_shelved_is_judged_and_logged_and_calls_nobody() -> None:
    now, said = course(RAISED, Shelve(SHELF))
    assert not now.overlays.annunciated
    moved = happen(happen(now, RETURNED, 3).standing, RAISED, 4)
    assert moved.standing.state is S.UNACK
    assert [one.event for one in moved.said] == ["alarm.raised"]
    assert said == ["alarm.raised", "alarm.shelved until 2027-01-15T08:00:00.000Z: 装修: dust, until noon"]


def test_what_is_still_active_rings_again_when_its_shelf_is_over() -> None:
    now, said = course(RAISED, ACKNOWLEDGED, Shelve(SHELF), Unshelve("over"))
    assert now.state is S.UNACK
    assert said[-2:] == ["alarm.unshelved over", "alarm.realarmed still active"]


def test_what_came_back_by_itself_while_nobody_was_called_is_over_with_its_shelf() -> None:
    now, _ = course(Shelve(SHELF), RAISED, Shelve(SHELF), RETURNED)
    now = replace(now, called=False)
    moved = happen(now, Unshelve("over"), 9)
    assert moved.standing.state is S.NORM
    assert [one.event for one in moved.said] == ["alarm.unshelved", "alarm.acknowledged"]


def test_what_is_held_calls_somebody_when_the_permit_is_over() -> None:
    raised = happen(standing(latch=True), RAISED, 1).standing
    hidden = happen(raised, Suppress("permit p-1"), 1)
    assert not hidden.standing.calls
    held = happen(hidden.standing, RETURNED, 2)
    assert (held.standing.state, held.standing.calls) == (S.LATCH_UNACK, False)
    assert happen(held.standing, Unsuppress("permit p-1"), 3).standing.calls


def test_one_thing_that_hides_it_is_enough_and_it_rings_when_the_last_is_gone() -> None:
    now, said = course(
        RAISED,
        Suppress("permit p-1"),
        Suppress("storm s"),
        TakeOut(SHELF),
        Unsuppress("storm s"),
        PutBack("over", "li"),
    )
    assert not now.overlays.annunciated
    assert "alarm.realarmed still active" not in said
    assert happen(now, Unsuppress("permit p-1"), 9).said[-1].event == "alarm.realarmed"


def test_a_shelf_for_one_time_is_over_when_the_alarm_returns() -> None:
    now, said = course(RAISED, Shelve(ONCE), RETURNED, start=standing(called=True))
    assert (now.state, now.overlays) == (S.RTN_UNACK, Overlays())
    assert said[-1] == "alarm.unshelved returned"


def test_what_gets_graver_was_not_what_somebody_shelved() -> None:
    now, said = course(RAISED, Shelve(SHELF), Move(AlarmEvent.WORSENED, detail="blue -> red"))
    assert now.overlays.annunciated
    assert said[-3:] == ["alarm.severity_changed blue -> red", "alarm.unshelved graver", "alarm.realarmed still active"]


@pytest.mark.parametrize(
    "event", [Shelve(SHELF), Shelve(ONCE), Suppress("permit p-1"), Suppress("storm s"), TakeOut(SHELF)]
)
@pytest.mark.parametrize("state", S)
@pytest.mark.parametrize("latch", [False, True])
def test_nothing_is_ever_laid_over_what_guards_lives(event: Event, state: S, latch: bool) -> None:
    before = standing(state, latch=latch, guards=True)
    moved = happen(before, event, 1)
    assert moved.standing == before
    assert moved.said == []


def test_what_is_uncertain_does_not_clear_by_itself_until_it_can_be_believed() -> None:
    now, said = course(RAISED, Doubt("edge"), Doubt("silent"), RETURNED, Trust("silent"))
    assert (now.state, now.active, now.returned) == (S.UNACK, False, True)
    now, said = course(Trust("edge"), start=now)
    assert (now.state, now.overlays, said) == (S.RTN_UNACK, Overlays(), ["alarm.certain edge", "alarm.cleared"])


def test_what_is_raised_again_meanwhile_has_never_cleared() -> None:
    now, said = course(RAISED, ACKNOWLEDGED, Doubt("edge"), RETURNED, RAISED, Trust("edge"))
    assert (now.state, now.active) == (S.ACKED, True)
    assert said[-1] == "alarm.certain edge"


def test_a_person_on_the_spot_is_believed_where_a_device_is_not() -> None:
    now, said = course(RAISED, Doubt("edge"), RETURNED, ACKNOWLEDGED, Move(AlarmEvent.RESET, "wang"))
    assert now.state is S.NORM
    assert said[-2:] == ["alarm.cleared checked by a person", "alarm.certain edge"]


def test_a_device_that_is_gone_for_good_leaves_no_alarm_in_doubt() -> None:
    now, said = course(RAISED, Doubt("edge"), Abandon("pi-1 has withdrawn the device"))
    assert (now.state, now.overlays) == (S.RTN_UNACK, Overlays())
    assert said[1:] == ["alarm.uncertain edge", "alarm.cleared pi-1 has withdrawn the device", "alarm.certain edge"]


def test_what_chatters_stays_active_until_it_is_quiet() -> None:
    now, said = course(RAISED, RETURNED, RAISED, RETURNED, RAISED, Chatter("3 times in 40 s"))
    assert said.count("alarm.raised") == 3
    now, said = course(RETURNED, RAISED, RETURNED, RAISED, RETURNED, start=now)
    assert (now.state, said) == (S.UNACK, [])
    now, said = course(Settle(), start=now)
    assert (now.state, said) == (S.RTN_UNACK, ["alarm.settled", "alarm.cleared"])


def test_an_alarm_is_stale_once_until_it_is_over() -> None:
    now, said = course(RAISED, Age(), Age(), RETURNED, RAISED, Age())
    assert said.count("alarm.stale") == 2
    assert now.overlays.stale


def test_the_words_of_the_log_are_read_back_to_the_millisecond() -> None:
    assert moment(1_764_095_604_007) == "2025-11-25T18:33:24.007Z"
    assert moment_ms(moment(1_764_095_604_007)) == 1_764_095_604_007


def line(event: str, detail: str = "", seq: int = 1) -> LogEntry:
    return LogEntry(seq=seq, at_ms=0, event=event, alarm="a", case=None, actor="li", detail=detail)


@pytest.mark.parametrize(
    "wrong",
    [
        line("alarm.acknowledged"),
        line("alarm.shelved", "until noon: dust"),
        line("alarm.shelved", ""),
        line("alarm.vanished"),
    ],
)
def test_a_log_that_nobody_can_have_written_is_not_believed(wrong: LogEntry) -> None:
    with pytest.raises(Unreadable, match="line 1"):
        rebuild([wrong])


CAUSES, DOUBTS = st.sampled_from(["permit p", "storm s", "edge e"]), st.sampled_from(["edge", "silent", "clock"])
PAUSES = st.builds(
    Pause,
    until_ms=st.integers(0, 2**42),
    actor=st.sampled_from(["li", "wang"]),
    reason=st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=20),
    one_shot=st.booleans(),
)
EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.builds(Move, st.sampled_from(AlarmEvent)),
    st.builds(Shelve, PAUSES),
    st.builds(Unshelve, st.just("over")),
    st.builds(TakeOut, PAUSES.map(lambda pause: replace(pause, one_shot=False))),
    st.builds(PutBack, st.just("over")),
    st.builds(Suppress, CAUSES),
    st.builds(Unsuppress, CAUSES),
    st.builds(Doubt, DOUBTS),
    st.builds(Trust, DOUBTS),
    st.builds(Chatter, st.just("often")),
    st.just(Settle()),
    st.just(Age()),
    st.builds(Abandon, st.just("gone")),
)
INSIDE: dict[str, set[S]] = {  # where an overlay can be, from section 2a
    "shelved": {*S} - {S.NORM, S.PENDING},
    "out_of_service": {*S} - {S.NORM, S.PENDING},
    "suppressed": {*S} - {S.NORM, S.PENDING},
    "uncertain": {S.UNACK, S.ACKED},
    "chattering": {S.UNACK, S.ACKED},
    "stale": {S.UNACK, S.ACKED},
}


class WholeLife(RuleBasedStateMachine):
    """Any events in any order over the whole machine; beside it, nothing but its log."""

    @initialize(latch=st.booleans(), guards=st.booleans())
    def begin(self, latch: bool, guards: bool) -> None:
        self.now = standing(latch=latch, guards=guards)
        self.told, self.seq, self.at_ms = Rebuilt(), 0, 0

    @rule(event=EVENTS)
    def happen(self, event: Event) -> None:
        if isinstance(event, Move) and event.event in (AlarmEvent.BEGAN, AlarmEvent.FLEETED):
            return  # a running delay has no row and no line (rules.language.evaluation)
        before, self.at_ms = self.now, self.at_ms + 1
        moved = happen(before, event, self.at_ms)
        self.now = replace(moved.standing, called=before.called or moved.standing.calls)
        if self.now.state is S.NORM:
            self.now = replace(self.now, called=False)
        changed = (before.state, before.overlays) != (self.now.state, self.now.overlays)
        assert not changed or moved.said, "every transition is logged"
        for said in moved.said:
            self.seq += 1
            entry = LogEntry(
                seq=self.seq, at_ms=0, event=said.event, alarm="a", case=None, actor=said.actor, detail=said.detail
            )
            self.told = after(self.told, entry)

    @invariant()
    def the_log_alone_rebuilds_the_state(self) -> None:
        assert (self.told.state, self.told.overlays) == (self.now.state, self.now.overlays)

    @invariant()
    def no_state_is_outside_the_table(self) -> None:
        over = self.now.overlays
        for name, states in INSIDE.items():
            assert not getattr(over, name) or self.now.state in states, name
        assert not self.now.returned or (self.now.state in ACTIVE and (over.uncertain or over.chattering))

    @invariant()
    def nothing_silences_what_guards_lives(self) -> None:
        assert self.now.overlays.annunciated or not self.now.guards

    @invariant()
    def whoever_can_be_called_has_been(self) -> None:
        concerns = self.now.state in ACTIVE or self.now.state in LATCHED
        assert self.now.called or not concerns or not self.now.overlays.annunciated


TestWholeLife = WholeLife.TestCase
