"""A provider that drips its answer, byte by byte, holds nobody: the whole exchange has a limit, and what was cut off is no yes."""

import asyncio
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rules.escalation import timers
from rules.notices.channels.base import Failed, Taken
from rules.notices.channels.gateway import Gateway
from rules.notices.channels.http import Http
from rules.notices.channels.others import Mail
from rules.notices.sender import Sender
from tests.fakes import Answer, dripping, provider
from tests.rules.course import at
from tests.rules.test_channels import MESSAGE
from tests.rules.test_telling import Street, way

LIMIT_S = 0.4
HEAD = b"HTTP/1.1 200 OK\r\n"


def gateway(url: str, limit_s: float = LIMIT_S) -> Gateway:
    return Gateway(url=url, body="$text", http=Http(limit_s))


@pytest.mark.parametrize(
    "begins",
    [
        b"",  # not even a status
        HEAD + b"x-long: ",
        HEAD + b"content-length: 60000\r\n\r\n",
        HEAD + b"transfer-encoding: chunked\r\n\r\n",
        HEAD + b"connection: close\r\n\r\n",  # whose end looks like the end of the answer
    ],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_answer_that_drips_is_cut_off_and_is_no_yes(scheme: str, begins: bytes) -> None:
    with dripping(begins) as server:
        began_s = time.monotonic()
        found = gateway(f"{scheme}://127.0.0.1:{server.port}").send(MESSAGE, "13800000001")
        assert isinstance(found, Failed)
        assert not found.for_good
        assert time.monotonic() - began_s < 20 * LIMIT_S
        assert server.cut.wait(60)


def test_a_mail_server_that_drips_is_left_too() -> None:
    for tls, port_of_tls in ((False, False), (True, True), (True, False)):
        with dripping(b"220 " if not port_of_tls else b"") as server:
            mail = Mail(host="127.0.0.1", port=server.port, sender="gridcall@example.org", tls=tls, timeout_s=LIMIT_S)
            assert isinstance(mail.send(MESSAGE, "lin@example.org"), Failed)
            assert server.cut.wait(60)


def test_a_connection_that_is_kept_is_held_to_the_limit_each_time() -> None:
    """The second exchange goes over the connection of the first, and drips."""
    with provider() as there:
        there.answers += [Answer({"code": 0}), Answer({"code": 0}, after_s=5 * LIMIT_S), Answer({"code": 0})]
        ours = Gateway(url=there.url, body="$text", http=Http(LIMIT_S))
        outcomes = [ours.send(MESSAGE, "13800000001") for _ in range(3)]
    assert [type(one) for one in outcomes] == [Taken, Failed, Taken]


async def test_red_goes_by_the_next_channel_within_15_s_while_one_drips(tmp_path: Path) -> None:
    """F6, on the real clock and with the time-outs that are shipped."""
    street = Street(tmp_path)
    with dripping(HEAD + b"connection: close\r\n\r\n") as drips, provider() as works:
        app, sms = f"http://127.0.0.1:{drips.port}", Gateway(url=works.url, body="$to $key")
        ways = {
            "app": replace(way("app"), channel=Gateway(url=app, body="$text")),
            "sms": replace(way("sms"), channel=sms),
        }
        street.leak(0)
        with street.room.database.writing() as connection:
            timers.fire_due(connection, street.practice, at(0))
        bus: Any = None  # no channel here speaks MQTT
        began_s = time.monotonic()

        def clock_ms() -> int:
            return at(0) + round((time.monotonic() - began_s) * 1000)

        sender = Sender(bus, street.room.database, ways, street.roll.find, street.practice, clock_ms)
        running = asyncio.create_task(sender.run())
        try:
            async with asyncio.timeout(60):
                while not any(b"13800000001" in one.body for one in works.asked):
                    assert street.states()["lin/new"] in ("queued", "sending")
                    await asyncio.sleep(0.05)
                while street.states()["lin/new"] != "handed_over":
                    await asyncio.sleep(0.05)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
