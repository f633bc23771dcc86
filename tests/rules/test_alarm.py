import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from messages.ids import DeviceId, SiteId
from rules.alarms.condition import ACTIVE, AlarmEvent, Condition, alarm_id, apply, log_event
from rules.records import AlarmState as S

E = AlarmEvent

# Section 2a of the field notes, row by row, written here once more by hand: (from, event, latch) -> to
TABLE = {
    (S.NORM, E.BEGAN): (S.PENDING, S.PENDING),
    (S.NORM, E.RAISED): (S.UNACK, S.UNACK),
    (S.PENDING, E.FLEETED): (S.NORM, S.NORM),
    (S.PENDING, E.RAISED): (S.UNACK, S.UNACK),
    (S.UNACK, E.ACKNOWLEDGED): (S.ACKED, S.ACKED),
    (S.UNACK, E.WORSENED): (S.UNACK, S.UNACK),
    (S.UNACK, E.REALARMED): (S.UNACK, S.UNACK),
    (S.ACKED, E.REALARMED): (S.UNACK, S.UNACK),
    (S.ACKED, E.WORSENED): (S.UNACK, S.UNACK),
    (S.UNACK, E.RETURNED): (S.RTN_UNACK, S.LATCH_UNACK),
    (S.ACKED, E.RETURNED): (S.NORM, S.LATCH_ACK),
    (S.RTN_UNACK, E.ACKNOWLEDGED): (S.NORM, S.NORM),
    (S.RTN_UNACK, E.RAISED): (S.UNACK, S.UNACK),
    (S.LATCH_UNACK, E.ACKNOWLEDGED): (S.LATCH_ACK, S.LATCH_ACK),
    (S.LATCH_UNACK, E.RESET): (S.NORM, S.NORM),
    (S.LATCH_UNACK, E.RAISED): (S.UNACK, S.UNACK),
    (S.LATCH_ACK, E.RESET): (S.NORM, S.NORM),
    (S.LATCH_ACK, E.RAISED): (S.UNACK, S.UNACK),
}
"""(state, event) -> where it leads without a latch, and with one."""


@pytest.mark.parametrize("latch", [False, True])
@pytest.mark.parametrize("event", AlarmEvent)
@pytest.mark.parametrize("state", S)
def test_every_event_in_every_state_does_what_the_table_says_and_no_more(
    state: S, event: AlarmEvent, latch: bool
) -> None:
    before = Condition(state, latch, 1)
    after = apply(before, event, 2)
    expected = TABLE.get((state, event))
    if expected is None:
        assert after is before
        assert log_event(before, after, event) is None
    else:
        assert after == Condition(expected[latch], latch, 2)


def test_the_log_names_what_a_reader_needs() -> None:
    unack = Condition(S.UNACK, True, 0)
    assert log_event(unack, apply(unack, E.RETURNED, 1), E.RETURNED) == "alarm.latched"
    plain = Condition(S.UNACK, False, 0)
    assert log_event(plain, apply(plain, E.RETURNED, 1), E.RETURNED) == "alarm.cleared"
    assert log_event(plain, apply(plain, E.ACKNOWLEDGED, 1), E.ACKNOWLEDGED) == "alarm.acknowledged"
    norm = Condition(S.NORM, False, 0)
    assert log_event(norm, apply(norm, E.RAISED, 1), E.RAISED) == "alarm.raised"
    assert log_event(norm, apply(norm, E.BEGAN, 1), E.BEGAN) is None


def test_the_same_episode_has_the_same_id_and_any_other_another() -> None:
    site, device = SiteId("a"), DeviceId("b")
    assert alarm_id(site, device, "r", 1) == alarm_id(site, device, "r", 1)
    others = {
        alarm_id(site, device, "r", 1),
        alarm_id(site, device, "r", 2),
        alarm_id(site, device, "s", 1),
        alarm_id(SiteId("a-"), device, "r", 1),
        alarm_id(site, DeviceId("b-"), "r", 1),
    }
    assert len(others) == 5


@pytest.mark.parametrize("latch", [False, True])
def test_from_the_beginning_no_state_is_reached_outside_the_table_and_every_move_is_logged(latch: bool) -> None:
    """All of it, not a sample: the machine is small. To begin and to fleet away concerns nobody, and is not logged."""
    reached, ways = set[S](), [S.NORM]
    while ways:
        state = ways.pop()
        if state in reached:
            continue
        reached.add(state)
        for event in AlarmEvent:
            before = Condition(state, latch, 1)
            after = apply(before, event, 2)
            if after is before:
                continue
            assert TABLE[state, event][latch] is after.state
            logged = log_event(before, after, event)
            assert (logged is None) == (event in (E.BEGAN, E.FLEETED))
            ways.append(after.state)
    held, free = {S.LATCH_UNACK, S.LATCH_ACK}, {S.RTN_UNACK}
    assert reached == set(S) - (free if latch else held)


class AlarmLife(RuleBasedStateMachine):
    """Any events in any order, beside a model that knows three facts: is it active, was it seen, is it held."""

    @initialize(latch=st.booleans())
    def begin(self, latch: bool) -> None:
        self.condition = Condition(S.NORM, latch, 0)
        self.active = self.held = False
        self.seen = True
        self.log: list[str] = []

    @rule(event=st.sampled_from(AlarmEvent))
    def happen(self, event: AlarmEvent) -> None:
        before = self.condition
        self.condition = apply(before, event, before.changed_at_ms + 1)
        if name := log_event(before, self.condition, event):
            self.log.append(name)
        assert name or self.condition is before or event in (E.BEGAN, E.FLEETED), "every move is logged"
        match event:
            case AlarmEvent.RAISED if not self.active:
                self.active, self.held, self.seen = True, False, False
            case AlarmEvent.WORSENED | AlarmEvent.REALARMED if self.active:
                self.seen = False
            case AlarmEvent.RETURNED if self.active:
                self.active, self.held = False, self.condition.latch
            case AlarmEvent.ACKNOWLEDGED if self.active or self.held or not self.seen:
                self.seen = True
            case AlarmEvent.RESET if self.held:
                self.held, self.seen = False, True

    @invariant()
    def the_state_says_what_the_model_knows(self) -> None:
        state = self.condition.state
        assert (state in ACTIVE) == self.active
        assert (state in (S.LATCH_ACK, S.LATCH_UNACK)) == self.held
        assert (state in (S.UNACK, S.RTN_UNACK, S.LATCH_UNACK)) == (not self.seen)
        assert (state in (S.NORM, S.PENDING)) == (not self.active and not self.held and self.seen)

    @invariant()
    def the_log_alone_rebuilds_the_state(self) -> None:
        state = S.NORM
        moves: dict[str, dict[S | None, S]] = {
            "alarm.raised": {None: S.UNACK},
            "alarm.severity_changed": {None: S.UNACK},
            "alarm.realarmed": {None: S.UNACK},
            "alarm.acknowledged": {S.UNACK: S.ACKED, S.RTN_UNACK: S.NORM, S.LATCH_UNACK: S.LATCH_ACK},
            "alarm.cleared": {S.UNACK: S.RTN_UNACK, S.ACKED: S.NORM},
            "alarm.latched": {S.UNACK: S.LATCH_UNACK, S.ACKED: S.LATCH_ACK},
            "alarm.reset": {None: S.NORM},
        }
        for name in self.log:
            state = moves[name].get(state) or moves[name][None]
        assert state == (S.NORM if self.condition.state is S.PENDING else self.condition.state)


TestAlarmLife = AlarmLife.TestCase
