from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from messages import pack
from messages.ids import DeviceId, EdgeId, StreamId
from messages.reading import Reading
from rules.engine.order import MOST_BYTES, OLD_MS, Order
from tests.rules.course import T0


@dataclass(frozen=True)
class Message:
    topic: str
    payload: bytes


def said(edge: str, number: int, age_ms: int) -> Message:
    reading = Reading(device=DeviceId("d"), channel="fill", at_ms=T0 - age_ms, value=float(number))
    payload = pack.encode(EdgeId(edge), StreamId("s"), number, [reading])
    return Message(f"gridcall/1/junmen/{edge}/readings", payload)


def heard(messages: list[Message], cut: int = 3) -> list[Message]:
    """In which order they are heard that come in batches of `cut`."""
    order, found = Order[Message](), list[Message]()
    for at in range(0, len(messages), cut):
        found += order.sort(messages[at : at + cut], T0)
        found += order.portion()
    while past := order.portion():
        found += past
    return found


def test_a_fresh_pack_is_heard_before_the_backlog_of_another_edge() -> None:
    backlog = [said("pi-1", number, 3_600_000) for number in range(1, 6)]
    alarm = said("pi-2", 1, 100)
    assert heard([*backlog, alarm], cut=6) == [alarm, *backlog]


def test_what_an_edge_says_is_heard_in_its_own_order_be_it_fresh_or_old() -> None:
    mine = [said("pi-1", 1, 3_600_000), said("pi-1", 2, 100), Message("gridcall/1/junmen/pi-1/status", b"{}")]
    assert heard(mine) == mine


@given(
    st.lists(st.tuples(st.sampled_from(["pi-1", "pi-2", "pi-3"]), st.sampled_from([0, OLD_MS + 5_000])), max_size=30)
)
def test_nothing_is_lost_or_doubled_and_each_edge_keeps_its_order(come: list[tuple[str, int]]) -> None:
    messages = [said(edge, number + 1, age_ms) for number, (edge, age_ms) in enumerate(come)]
    found = heard(messages)
    for edge in ("pi-1", "pi-2", "pi-3"):
        topic = f"gridcall/1/junmen/{edge}/readings"
        assert [one for one in found if one.topic == topic] == [one for one in messages if one.topic == topic]
    assert len(found) == len(messages)


def test_with_much_of_the_past_in_hand_nothing_more_is_taken() -> None:
    order = Order[Message]()
    old = said("pi-1", 1, 3_600_000)
    order.sort([Message(old.topic, old.payload + bytes(MOST_BYTES))], T0)
    assert order.full
    assert len(order.portion()) == 1
    assert not order.full
    assert not order.waiting
