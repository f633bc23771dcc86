"""An edge that is gone for good, with a real engine and a broker that still keeps what it said."""

from functools import partial
from pathlib import Path

import pytest

from messages import status, topics
from messages.status import EdgeStatus
from rules.engine import own
from tests import programs, services
from tests.integration.rules_engine import (
    EDGE,
    SITE,
    Engine,
    alarms,
    announce,
    edge,
    engine,
    hearing,
    now_ms,
    reading,
    send,
    until,
)


def devices(ours: Engine) -> set[str]:
    return {str(one.device) for one in alarms(ours) if one.open}


def is_away(ours: Engine) -> bool:
    return any(one.edge == EDGE and not one.online for one in ours.desk.edges(now_ms()))


def heard(ours: Engine, starts: int, since_ms: int) -> bool | None:
    """Whether the present life has a connection, and has written its pulse for a while."""
    pulse, times = ours.desk.pulse(), ours.said().count("broker is there")
    if times < starts or pulse is None:
        return None
    return True if pulse.hears and pulse.at_ms > since_ms + 1_500 else None


def known(ours: Engine) -> bool:
    return any(one.edge == EDGE for one in ours.desk.edges(now_ms()))


@pytest.mark.needs("mosquitto")
async def test_an_edge_that_is_forgotten_stays_away_over_restarts_and_is_there_again_when_it_speaks(
    mosquitto: services.MqttBroker, database_url: str, tmp_path: Path
) -> None:
    with engine(mosquitto, tmp_path / "rules", url=database_url) as ours:
        ours.start()
        await hearing(ours)
        async with edge(mosquitto) as bus:
            await announce(bus, "gas-1", "gas_alarm")
            await send(bus, 1, reading("gas-1", "gas_concentration", 30.0, now_ms()))
            for online in (True, False):
                said = status.encode(EdgeStatus(online=online, at_ms=now_ms()))
                await bus.publish(topics.status(SITE, EDGE), said, retain=True)
            await until(lambda: "gas-1" in devices(ours) or None, "the leak", ours)
            await until(lambda: is_away(ours) or None, "it is away", ours)
        words = [f"{SITE}/{EDGE}", "--actor", "li", "--reason", "the box burnt"]
        done = programs.run("rules", "forget", str(tmp_path / "rules/rules.toml"), *words)
        assert done.returncode == 0, done.stderr
        assert "forgotten, with 1 devices" in done.stdout
        assert not {"gas-1", own.link_of(EDGE)} & devices(ours)
        await until(lambda: not known(ours) or None, "the running engine has forgotten it", ours)
        for starts in (2, 3):  # the broker says again what it kept
            ours.kill()
            ours.start()
            await until(partial(heard, ours, starts, now_ms()), "it hears and lives", ours)
            assert not known(ours)
            assert not devices(ours)
        async with edge(mosquitto) as bus:
            await announce(bus, "gas-1", "gas_alarm")
            await send(bus, 2, reading("gas-1", "gas_concentration", 40.0, now_ms()))
            await until(lambda: "gas-1" in devices(ours) or None, "it speaks, so it is there", ours)
        assert "an edge that was said to be gone is back" in ours.said()
