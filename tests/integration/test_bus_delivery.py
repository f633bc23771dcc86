"""Guarantees of the bus about messages, against real brokers: acknowledged by hand, kept for us, never piled up."""

import asyncio
import time
from collections import Counter
from threading import Thread

import pytest

from messages.bus import Bus, Disconnected, Incoming, Refused
from messages.mqtt.link import OVERHEAD_BYTES, PUBLISH_LIMIT_BYTES
from tests import services

LIMIT_S = 20


def reader(broker: services.MqttBroker, **more: object) -> Bus:
    return Bus(broker.settings("local", **more), "reader", subscribe=["local/#"])


def writer(broker: services.MqttBroker) -> Bus:
    return Bus(broker.settings("devices"), "writer")


async def take(bus: Bus, count: int) -> list[Incoming]:
    taken: list[Incoming] = []
    async with asyncio.timeout(LIMIT_S):
        while len(taken) < count:
            taken += await bus.some(count - len(taken))
    return taken


async def nothing_comes(bus: Bus, last: str, broker: services.MqttBroker) -> list[str]:
    """What arrives up to and with a message that is sent now."""
    async with writer(broker) as ours:
        await ours.up()
        await ours.publish(last, b"")
    topics = []
    async with asyncio.timeout(LIMIT_S):
        async for message in bus.messages():
            topics.append(message.topic)
            message.ack()
            if message.topic == last:
                break
    return topics


async def test_what_is_published_while_the_reader_is_away_arrives_when_it_returns(
    any_broker: services.MqttBroker,
) -> None:
    async with reader(any_broker) as first:
        await first.up()
    async with writer(any_broker) as ours:
        await ours.up()
        for number in range(50):
            await ours.publish(f"local/{number}", b"%d" % number)
    async with reader(any_broker) as again:
        messages = await take(again, 50)
        assert [(message.topic, message.payload) for message in messages] == [
            (f"local/{number}", b"%d" % number) for number in range(50)
        ]


async def test_what_was_not_acknowledged_comes_again_and_what_was_does_not(any_broker: services.MqttBroker) -> None:
    async with reader(any_broker) as first, writer(any_broker) as ours:
        await first.up()
        await ours.up()
        for name in ("kept", "kept-too", "lost", "lost-too"):
            await ours.publish(f"local/{name}", b"")
        for message in (await take(first, 4))[:2]:
            message.ack()
    async with reader(any_broker) as again:
        assert await nothing_comes(again, "local/end", any_broker) == ["local/lost", "local/lost-too", "local/end"]


async def test_acknowledgements_reach_the_broker_in_the_order_of_arrival(any_broker: services.MqttBroker) -> None:
    """rumqttd hangs up on any other order, and forgets what was left out (MQTT 5 section 4.6)."""
    async with reader(any_broker) as first, writer(any_broker) as ours:
        session = await first.up()
        await ours.up()
        for number in range(6):
            await ours.publish(f"local/{number}", b"")
        messages = await take(first, 6)
        for number in (2, 1, 0, 5, 4):
            messages[number].ack()
        assert await nothing_comes(first, "local/middle", any_broker) == ["local/middle"]
        assert await first.up() == session
    async with reader(any_broker) as again:
        wanted = ["local/3", "local/4", "local/5", "local/middle", "local/end"]
        assert await nothing_comes(again, "local/end", any_broker) == wanted


async def test_a_second_acknowledgement_does_not_swallow_another_message(any_broker: services.MqttBroker) -> None:
    """Brokers reuse a packet's number as soon as it is acknowledged."""
    async with reader(any_broker) as first, writer(any_broker) as ours:
        await first.up()
        await ours.up()
        for number in range(20):
            await ours.publish(f"local/{number}", b"")
            message = (await take(first, 1))[0]
            if number < 10:
                message.ack()
                old = message
            else:
                old.ack()
    async with reader(any_broker) as again:
        wanted = [f"local/{number}" for number in range(10, 20)] + ["local/end"]
        assert await nothing_comes(again, "local/end", any_broker) == wanted


async def test_an_acknowledgement_for_a_connection_that_is_gone_does_nothing(any_broker: services.MqttBroker) -> None:
    async with reader(any_broker) as first, writer(any_broker) as ours:
        await first.up()
        await ours.up()
        await ours.publish("local/late", b"")
        late = (await take(first, 1))[0]
    late.ack()
    async with reader(any_broker) as again:
        late.ack()
        assert [message.topic for message in await take(again, 1)] == ["local/late"]


async def test_a_reader_that_does_not_read_stops_the_socket_and_gets_everything_later(
    any_broker: services.MqttBroker,
) -> None:
    """8 MB wait at the broker while the inbox stays within its window and one message."""
    payload, count, window_bytes = b"x" * 20_000, 400, 200_000
    message_bytes = len(payload) + len("local/000") + OVERHEAD_BYTES
    slow = Bus(any_broker.settings("local"), "reader", subscribe=["local/#"], window_bytes=window_bytes)
    async with slow, writer(any_broker) as ours:
        await slow.up()
        await ours.up()
        highest = 0
        sending = asyncio.gather(*(ours.publish(f"local/{number:03}", payload) for number in range(count)))
        async with asyncio.timeout(LIMIT_S):
            await sending
            while slow.inbox_bytes <= window_bytes:
                await asyncio.sleep(0)
        seen: Counter[str] = Counter()
        while len(seen) < count:
            highest = max(highest, slow.inbox_bytes)
            for message in await take(slow, 1):
                seen[message.topic] += 1
                message.ack()
        assert window_bytes < highest <= window_bytes + message_bytes
        assert set(seen.values()) == {1}
    async with reader(any_broker) as again:
        assert await nothing_comes(again, "local/end", any_broker) == ["local/end"]


@pytest.mark.needs("mosquitto")
async def test_the_inbox_stays_bounded_when_the_link_goes_and_comes_while_nobody_reads(
    mosquitto: services.MqttBroker,
) -> None:
    """Each new connection brings the same messages again: they must not pile up on the old ones."""
    payload, window_bytes = b"x" * 20_000, 100_000
    message_bytes = len(payload) + len("local/00") + OVERHEAD_BYTES
    settings = mosquitto.settings("local").model_copy(update={"keepalive_s": 1.0})  # its pings find a dead link
    slow = Bus(settings, "reader", subscribe=["local/#"], window_bytes=window_bytes)

    async def connected(times: int) -> None:
        async with asyncio.timeout(LIMIT_S):
            while mosquitto.log.read_text().count(" as reader ") < times:
                await asyncio.sleep(0.01)

    async with slow, writer(mosquitto) as ours:
        await slow.up()
        await ours.up()
        for number in range(50):
            await ours.publish(f"local/{number:02}", payload)
        async with asyncio.timeout(LIMIT_S):
            while slow.inbox_bytes <= window_bytes:
                await asyncio.sleep(0)
        for time in range(1, 6, 2):
            await connected(time)
            async with Bus(settings, "reader"):  # another of the same name throws ours out, and leaves
                await connected(time + 1)
        await connected(7)
        seen: set[str] = set()
        while len(seen) < 50:
            assert slow.inbox_bytes <= window_bytes + message_bytes
            for message in await take(slow, 1):
                seen.add(message.topic)
                message.ack()
        async with asyncio.timeout(LIMIT_S):
            await slow.up(after=1)


@pytest.mark.needs("mosquitto")
async def test_a_paused_reader_keeps_its_link_beyond_the_keepalive(every_broker: list[services.MqttBroker]) -> None:
    """The answers to its pings wait unread behind the messages; that must not look like a dead broker."""

    async def keeps_its_link(broker: services.MqttBroker) -> None:
        settings = broker.settings("local").model_copy(update={"keepalive_s": 1.0})
        slow = Bus(settings, "reader", subscribe=["local/#"], window_bytes=1)
        async with slow, writer(broker) as ours:
            first = await slow.up()
            await ours.up()
            for number in range(300):
                await ours.publish(f"local/{number}", b"x" * 20_000)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(4):
                    await slow.up(after=first)
            for _ in range(300):
                (await take(slow, 1))[0].ack()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(2.5):  # and the clock of the keepalive is right again
                    await slow.up(after=first)

    await asyncio.gather(*map(keeps_its_link, every_broker))


async def test_a_message_of_a_megabyte_travels_and_a_larger_one_is_refused(any_broker: services.MqttBroker) -> None:
    payload = bytes(range(256)) * 3_900
    async with reader(any_broker) as theirs, writer(any_broker) as ours:
        await theirs.up()
        session = await ours.up()
        await ours.publish("local/large", payload)
        message = (await take(theirs, 1))[0]
        assert message.payload == payload
        message.ack()
        with pytest.raises(Refused, match="local/larger: 1000001 bytes, more than 1000000"):
            await ours.publish("local/larger", bytes(PUBLISH_LIMIT_BYTES + 1))
        await ours.publish("local/after", b"")
        assert await ours.up() == session


async def test_three_thousand_publishes_at_once_all_arrive(any_broker: services.MqttBroker) -> None:
    """Three times what may be on its way unanswered: the rest waits its turn."""
    async with reader(any_broker) as theirs, writer(any_broker) as ours:
        await theirs.up()
        await ours.up()
        async with asyncio.timeout(LIMIT_S):
            await asyncio.gather(*(ours.publish(f"local/{number}", b"x" * 200) for number in range(3000)))
        for number in range(3000):
            message = (await take(theirs, 1))[0]
            assert message.topic == f"local/{number}"
            message.ack()


async def test_a_publish_given_up_by_its_caller_disturbs_nobody(any_broker: services.MqttBroker) -> None:
    async with writer(any_broker) as ours:
        await ours.up()
        given_up = [asyncio.create_task(ours.publish("local/a", b"x")) for _ in range(1200)]
        await asyncio.sleep(0)
        for task in given_up:
            task.cancel()
        async with asyncio.timeout(LIMIT_S):
            await asyncio.gather(*given_up, return_exceptions=True)
            await asyncio.gather(*(ours.publish("local/b", b"x") for _ in range(1200)))


async def test_retained_messages_come_first_and_an_empty_one_forgets(any_broker: services.MqttBroker) -> None:
    async with writer(any_broker) as ours:
        await ours.up()
        await ours.publish("local/state", b"on", retain=True)
        await ours.publish("local/gone", b"on", retain=True)
        await ours.publish("local/gone", b"", retain=True)
    async with reader(any_broker) as theirs:
        message = (await take(theirs, 1))[0]
        assert (message.topic, message.payload, message.retain) == ("local/state", b"on", True)
        message.ack()
        assert await nothing_comes(theirs, "local/end", any_broker) == ["local/end"]


@pytest.mark.needs("mosquitto")
async def test_what_the_brokers_rules_forbid_is_refused_and_the_link_stays(mosquitto: services.MqttBroker) -> None:
    async with writer(mosquitto) as ours:
        session = await ours.up()
        for payload in (b"", b"x" * 10_000):
            with pytest.raises(Refused, match="gridcall/1/junmen/pi-1/readings: Not authorized"):
                await ours.publish("gridcall/1/junmen/pi-1/readings", payload)
        await ours.publish("local/allowed", b"")
        assert await ours.up() == session


async def test_publishing_without_a_link_fails_at_once(any_broker: services.MqttBroker) -> None:
    async with writer(any_broker) as ours:
        with pytest.raises(Disconnected, match="no connection"):
            await ours.publish("local/early", b"")


async def test_what_lies_in_the_socket_counts_as_unread(any_broker: services.MqttBroker) -> None:
    async def publish() -> None:
        async with writer(any_broker) as ours:
            await ours.up()
            for number in range(50):
                await ours.publish(f"local/{number}", b"")

    async with reader(any_broker) as bus:
        await bus.up()
        assert await bus.unread() == 0
        publisher = Thread(target=lambda: asyncio.run(publish()))
        publisher.start()
        publisher.join(LIMIT_S)  # our loop stands still meanwhile
        assert bus.inbox_bytes == 0
        until_s = time.monotonic() + LIMIT_S
        while (unread := await bus.unread()) != 50 and time.monotonic() < until_s:
            time.sleep(0.02)  # the broker answers a writer before it has told the readers; our loop stands still
        assert unread == 50
        await take(bus, 20)
        assert await bus.unread() == 30


async def test_how_much_is_unread_nobody_can_say_while_the_inbox_has_no_room(any_broker: services.MqttBroker) -> None:
    async with Bus(any_broker.settings("local"), "reader", subscribe=["local/#"], window_bytes=2_000) as bus:
        await bus.up()
        async with writer(any_broker) as ours:
            await ours.up()
            await ours.publish("local/1", b"x" * 1_500)
        await take(bus, 1)
        assert await bus.unread() == 0
        async with writer(any_broker) as ours:
            await ours.up()
            await ours.publish("local/2", b"x" * 1_500)
        async with asyncio.timeout(LIMIT_S):
            while not bus.inbox_bytes:
                await asyncio.sleep(0.01)
        assert await bus.unread() is None
