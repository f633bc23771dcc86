"""The bus's connection, against real brokers: it comes back, says what is wrong once, and leaves nothing behind."""

import asyncio
import contextlib
import gc
import os
import resource
import signal
import socket
import tracemalloc
import warnings
from collections.abc import AsyncIterator, Iterator, MutableMapping, Sequence
from typing import Any

import psutil
import pytest
from structlog.testing import capture_logs

from messages.broker import Broker
from messages.bus import Bus, Disconnected, Incoming, Outgoing, backoff_s
from messages.mqtt.v5 import V5Link
from messages.mqtt.v311 import V311Link
from tests import services

LIMIT_S = 20


@pytest.fixture
def nothing_left_behind() -> Iterator[None]:
    """No descriptor stays open, no task is left, and nothing that is collected complains."""
    process = psutil.Process()
    before = process.num_fds()
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gc.collect()
    # the test's own event loop is still open: it holds as many descriptors as at the start
    assert process.num_fds() <= before


def only_this_task_is_left() -> bool:
    return asyncio.all_tasks() == {asyncio.current_task()}


async def until_said(logs: Sequence[MutableMapping[str, Any]], event: str, count: int = 1) -> list[str]:
    """The reasons given with `event`, when it has been said `count` times."""
    async with asyncio.timeout(LIMIT_S):
        while len(said := [str(entry.get("why")) for entry in logs if entry["event"] == event]) < count:
            await asyncio.sleep(0.01)
    return said


@contextlib.asynccontextmanager
async def fake_broker(*answers: bytes, hang_up: bool = False) -> AsyncIterator[Broker]:
    """Takes what is sent, says `answers`, and then nothing."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            for answer in answers:
                await reader.read(4096)
                writer.write(answer)
                await writer.drain()
            while not hang_up and await reader.read(4096):
                pass
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield Broker(port=server.sockets[0].getsockname()[1])


async def test_a_broker_that_was_killed_and_started_again_is_found_again(any_broker: services.MqttBroker) -> None:
    with capture_logs() as logs:
        async with (
            Bus(any_broker.settings("local"), "reader", subscribe=["local/#"]) as reader,
            Bus(any_broker.settings("devices"), "writer") as writer,
        ):
            first = await writer.up()
            reader_first = await reader.up()
            any_broker.kill()
            await until_said(logs, "broker is away", 2)
            with pytest.raises(Disconnected, match="no connection"):
                await writer.publish("local/away", b"")
            assert not writer.connected
            any_broker.start()
            async with asyncio.timeout(LIMIT_S):
                assert await writer.up(after=first) == first + 1
                assert await reader.up(after=reader_first) == reader_first + 1
                await writer.publish("local/back", b"")
                async for message in reader.messages():
                    message.ack()
                    if message.topic == "local/back":
                        break
    for event in ("link lost", "broker is away"):
        assert sorted(str(entry["client"]) for entry in logs if entry["event"] == event) == ["reader", "writer"]


async def test_what_was_on_its_way_when_the_broker_died_is_said_to_be_lost(any_broker: services.MqttBroker) -> None:
    async with Bus(any_broker.settings("devices"), "writer") as writer:
        await writer.up()
        assert any_broker.process
        any_broker.process.send_signal(signal.SIGSTOP)
        sent = [asyncio.create_task(writer.publish("local/x", b"")) for _ in range(2000)]
        await asyncio.sleep(0)
        any_broker.kill()
        async with asyncio.timeout(LIMIT_S):
            results = await asyncio.gather(*sent, return_exceptions=True)
        assert {type(result) for result in results} == {Disconnected}


@pytest.mark.needs("mosquitto")
@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_a_broker_that_hangs_is_given_up_after_the_keepalive(
    mosquitto: services.MqttBroker, protocol: str
) -> None:
    settings = mosquitto.settings("devices", protocol=protocol).model_copy(update={"keepalive_s": 1.0})
    with capture_logs() as logs:
        async with Bus(settings, "writer") as writer:
            await writer.up()
            assert mosquitto.process
            mosquitto.process.send_signal(signal.SIGSTOP)
            try:
                with pytest.raises(Disconnected):
                    async with asyncio.timeout(LIMIT_S):
                        await writer.publish("local/x", b"")
            finally:
                mosquitto.process.send_signal(signal.SIGCONT)
            assert await until_said(logs, "link lost") == ["Keep alive timeout"]


@pytest.mark.needs("mosquitto")
async def test_a_wrong_password_is_said_once_in_words_that_help(every_broker: list[services.MqttBroker]) -> None:
    with capture_logs() as logs:

        def reasons(name: str) -> list[str]:
            return [str(one["why"]) for one in logs if one["event"] == "broker is away" and one["client"] == name]

        async def is_let_in_nowhere(broker: services.MqttBroker, name: str) -> None:
            async with asyncio.timeout(LIMIT_S), Bus(broker.settings("devices", password="wrong"), name):
                while not reasons(name):
                    await asyncio.sleep(0.01)
                attempts = 0
                while attempts < 3:  # it goes on trying, in silence
                    attempts = broker.log.read_text().count(f"as {name}") or attempts + 1
                    await asyncio.sleep(backoff_s(attempts))
            [reason] = reasons(name)
            assert "right?" in reason
            assert "password" in reason
            if isinstance(broker, services.IotCore):  # which hangs up without a word
                assert "before it let us in" in reason
            else:
                assert reason.endswith("it refuses user `devices`: Not authorized; are username and password right?")

        await asyncio.gather(*(is_let_in_nowhere(broker, f"writer-{broker.port}") for broker in every_broker))


async def test_a_broker_that_is_not_there_is_said_once_and_retried_ever_more_slowly() -> None:
    with capture_logs() as logs:
        async with Bus(Broker(port=services.free_port()), "writer"):
            reasons = await until_said(logs, "broker is away")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1.5):
                    await until_said(logs, "broker is away", 2)
    assert reasons == ["connection refused"]
    assert [backoff_s(failures) for failures in (0, 1, 2, 8, 1000)] == [0.2, 0.4, 0.8, 5.0, 5.0]


@pytest.mark.parametrize(
    ("host", "words"),
    [("no-such-host.invalid", "no address for this name"), ("a..b", "can't be the name of a host")],
)
async def test_a_host_that_has_no_address_is_said(host: str, words: str) -> None:
    with capture_logs() as logs:
        async with Bus(Broker(host=host), "writer"):
            reasons = await until_said(logs, "broker is away")
    assert words in reasons[0]


@pytest.mark.needs("mosquitto")
async def test_two_programs_of_one_name_do_not_throw_each_other_out_without_end(
    every_broker: list[services.MqttBroker],
) -> None:
    """Each lost link that did not last makes the next attempt wait longer."""
    with capture_logs() as logs:

        def lost(name: str) -> int:
            return sum(entry["event"] == "link lost" and entry["client"] == name for entry in logs)

        async def twins(broker: services.MqttBroker, name: str) -> None:
            settings = broker.settings("devices")
            async with Bus(settings, name), Bus(settings, name):
                await asyncio.sleep(4)
            assert 2 <= lost(name) < 12, name

        await asyncio.gather(*(twins(broker, f"twin-{broker.port}") for broker in every_broker))


async def test_the_last_will_is_sent_on_an_abrupt_end_and_not_on_a_clean_one(any_broker: services.MqttBroker) -> None:
    will = Outgoing("local/status", b"offline", retain=True)
    async with Bus(any_broker.settings("local"), "watcher", subscribe=["local/#"]) as watcher:
        await watcher.up()
        async with Bus(any_broker.settings("devices"), "mortal", will=will) as mortal:
            await mortal.up()
            await mortal.publish("local/clean", b"")
        async with Bus(any_broker.settings("devices"), "mortal", will=will) as mortal:
            await mortal.up()
            assert isinstance(mortal._link, V5Link | V311Link)
            assert mortal._link._socket
            mortal._link._socket.shutdown(socket.SHUT_RDWR)  # as if somebody had pulled the plug
            async with asyncio.timeout(LIMIT_S):
                await mortal.up(after=1)
        topics = []
        async with asyncio.timeout(LIMIT_S):
            async for message in watcher.messages():
                message.ack()
                topics.append((message.topic, message.payload))
                if message.topic == "local/status":
                    break
        assert topics == [("local/clean", b""), ("local/status", b"offline")]


async def test_what_is_acknowledged_last_is_heard_before_the_goodbye(any_broker: services.MqttBroker) -> None:
    reader = Bus(any_broker.settings("local"), "reader", subscribe=["local/#"])
    async with Bus(any_broker.settings("devices"), "writer") as writer:
        async with reader:
            await reader.up()
            await writer.up()
            for number in range(100):
                await writer.publish(f"local/{number}", b"")
            taken: list[Incoming] = []
            while len(taken) < 100:
                taken += await reader.some(100)
            for message in taken:
                message.ack()
        async with Bus(any_broker.settings("local"), "reader", subscribe=["local/#"]) as again:
            await again.up()
            await writer.publish("local/end", b"")
            async with asyncio.timeout(LIMIT_S):
                assert (await again.some(1))[0].topic == "local/end"


@pytest.mark.usefixtures("nothing_left_behind")
async def test_closing_before_the_first_step_leaves_nothing() -> None:
    async with Bus(Broker(port=services.free_port()), "writer"):
        pass
    assert only_this_task_is_left()


@pytest.mark.usefixtures("nothing_left_behind")
async def test_closing_at_any_step_of_connecting_leaves_nothing(any_broker: services.MqttBroker) -> None:
    for turns in (1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 40):
        async with Bus(any_broker.settings("local"), "reader", subscribe=["local/#"]):
            for _ in range(turns):
                await asyncio.sleep(0)
        assert only_this_task_is_left(), turns


@pytest.mark.usefixtures("nothing_left_behind")
@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid", "localhost"])
async def test_closing_while_nobody_answers_leaves_nothing(host: str) -> None:
    """192.0.2.1 is for documentation (RFC 5737): packets to it vanish, or the network says so."""
    async with Bus(Broker(host=host, port=services.free_port()), "writer"):
        for _ in range(5):
            await asyncio.sleep(0.01)
    assert only_this_task_is_left()


async def test_closing_while_the_broker_says_nothing_leaves_nothing() -> None:
    async with fake_broker(b"") as settings, Bus(settings, "writer") as writer:
        while not isinstance(writer._link, V5Link) or writer._link._socket is None:
            await asyncio.sleep(0)
        sock = writer._link._socket
    assert sock.fileno() == -1


@pytest.mark.usefixtures("nothing_left_behind")
async def test_closing_while_paused_or_publishing_leaves_nothing(any_broker: services.MqttBroker) -> None:
    slow = Bus(any_broker.settings("local"), "reader", subscribe=["local/#"], window_bytes=1)
    publishing: list[asyncio.Task[bool]] = []
    async with slow, Bus(any_broker.settings("devices"), "writer") as writer:
        await slow.up()
        await writer.up()
        await asyncio.gather(*(writer.publish("local/x", b"x" * 1000) for _ in range(100)))
        while slow.inbox_bytes == 0:
            await asyncio.sleep(0)
        publishing = [asyncio.create_task(writer.publish("local/x", b"x" * 1000)) for _ in range(2000)]
        await asyncio.sleep(0)
    results = await asyncio.gather(*publishing, return_exceptions=True)
    assert {type(result) for result in results} <= {Disconnected, bool}
    assert only_this_task_is_left()


@pytest.mark.needs("mosquitto")
async def test_two_hundred_connections_cost_no_memory_and_no_descriptor(mosquitto: services.MqttBroker) -> None:
    process = psutil.Process()

    async def connect(times: int) -> None:
        for _ in range(times):
            async with Bus(mosquitto.settings("local"), "reader", subscribe=["local/#"]) as bus:
                await bus.up()

    await connect(10)
    gc.collect()
    descriptors = process.num_fds()
    tracemalloc.start()
    try:
        base, _ = tracemalloc.get_traced_memory()
        await connect(200)
        gc.collect()
        now, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert process.num_fds() == descriptors
    assert now - base < 200 * 500  # bytes; a leaked connection holds more than 10 000


async def test_an_idle_link_costs_no_time(any_broker: services.MqttBroker) -> None:
    """A forgotten writer or reader would make the event loop turn without end."""
    async with (
        Bus(any_broker.settings("local"), "reader", subscribe=["local/#"]) as reader,
        Bus(any_broker.settings("devices"), "writer") as writer,
    ):
        await reader.up()
        await writer.up()
        for _ in range(20):
            await asyncio.gather(*(writer.publish("local/x", b"x" * 50_000) for _ in range(20)))
        for _ in range(400):
            (await reader.some(1))[0].ack()
        used_s = -_cpu_s()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2):
                await reader.some(1)
        used_s += _cpu_s()
    assert used_s < 0.1


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


CONNACK = bytes([0x20, 3, 0, 0, 0])


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ([b"HTTP/1.1 400 Bad Request\r\n\r\n"], "before it let us in; are username, password and ca_file right?"),
        ([b"\x00" * 64], "before it let us in"),
        ([b"\x20\xff\xff\xff\xff\xff\xff"], "before it let us in"),
        ([b"\x20\x00"], ""),
        ([b"\x20\x03\x00\x00\x05\x11"], ""),
        ([os.urandom(200)], ""),
        ([CONNACK, b"\x30\x02\xff\xff"], ""),
        ([CONNACK, b"\x32\x06\x00\x02\xff\xfe\x00\x01\x00"], ""),
        ([CONNACK, b"\x40\x00"], ""),
        ([CONNACK, b"\x90\x01\x00"], ""),
        ([CONNACK, b"\xf0\x00"], ""),
        ([b""], ""),
    ],
)
async def test_a_peer_that_speaks_nonsense_ends_the_link_and_not_the_program(answers: list[bytes], words: str) -> None:
    with capture_logs() as logs:
        async with (
            fake_broker(*answers, hang_up=True) as settings,
            Bus(settings, "reader", subscribe=["local/#"]) as reader,
        ):
            reasons = await until_said(logs, "broker is away")
            assert not reader.connected
    assert words in reasons[0]
    assert "a mistake of ours" not in {entry["event"] for entry in logs}


async def test_a_broker_that_hangs_up_while_nothing_is_read_is_missed_at_once() -> None:
    """And not only when the next ping, half a minute later, has no answer."""
    suback, message = bytes([0x90, 4, 0, 1, 0, 1]), b"\x32\x08\x00\x01t\x00\x01\x00no"
    with capture_logs() as logs:
        async with (
            fake_broker(CONNACK, suback + message, hang_up=True) as settings,
            Bus(settings, "reader", subscribe=["t"], window_bytes=1) as reader,
        ):
            async with asyncio.timeout(5):
                await until_said(logs, "link lost")
            assert (await reader.some(1))[0].payload == b"no"


async def test_a_broker_that_never_answers_is_given_up_with_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("messages.mqtt.link.ANSWER_LIMIT_S", 0.2)
    for answers, question in (((b"",), "CONNECT"), ((CONNACK, b""), "SUBSCRIBE")):
        with capture_logs() as logs:
            async with fake_broker(*answers) as settings, Bus(settings, "reader", subscribe=["local/#"]):
                reasons = await until_said(logs, "broker is away")
        assert reasons[0].endswith(f"no answer to {question} within 0 s")


@pytest.mark.parametrize("code", [0x80, 0x87, 0x97])
async def test_a_refused_subscription_is_said(code: int) -> None:
    suback = bytes([0x90, 4, 0, 1, 0, code])
    with capture_logs() as logs:
        async with fake_broker(CONNACK, suback) as settings, Bus(settings, "reader", subscribe=["local/#"]):
            reasons = await until_said(logs, "broker is away")
    assert "it refuses our subscription" in reasons[0]


@pytest.mark.parametrize("code", [0x80, 0x87])
async def test_a_topic_that_is_only_wished_for_may_be_refused(code: int) -> None:
    subacks = bytes([0x90, 4, 0, 1, 0, 1]), bytes([0x90, 4, 0, 2, 0, code])
    with capture_logs() as logs:
        async with (
            fake_broker(CONNACK, *subacks) as settings,
            Bus(settings, "reader", subscribe=["local/#"], wish=["state"]) as reader,
        ):
            async with asyncio.timeout(5):
                await reader.up()
            assert reader.welcome
            assert reader.welcome.granted_qos == 1
    refusals = [entry["why"] for entry in logs if entry["event"] == "broker keeps some topics from us"]
    assert ["it refuses our subscription" in why for why in refusals] == [True]


async def test_the_brokers_own_limits_are_kept() -> None:
    """Receive Maximum 2 and Maximum Packet Size 100 (MQTT 5 section 3.2.2.3)."""
    connack = bytes([0x20, 11, 0, 0, 8, 0x21, 0, 2, 0x27, 0, 0, 0, 100])
    received = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(connack)
        while data := await reader.read(4096):
            received.extend(data)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with Bus(Broker(port=port), "writer") as writer:
            await writer.up()
            waiting = [asyncio.create_task(writer.publish("t", b"hello")) for _ in range(5)]
            async with asyncio.timeout(LIMIT_S):
                while received.count(b"hello") < 2:
                    await asyncio.sleep(0.01)
            with pytest.raises(Exception, match="more than 100"):
                await writer.publish("t", bytes(100))
        assert received.count(b"hello") == 2
        await asyncio.gather(*waiting, return_exceptions=True)
