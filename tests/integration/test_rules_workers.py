"""Two engines on one database: they share the sites, and one takes over what the other leaves."""

import asyncio
import contextlib
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from messages.bus import Bus
from messages.ids import SiteId
from rules.engine.share import LEAD, LEASE_S
from rules.store import leases
from tests import services
from tests.integration.rules_engine import Engine, alarms, announce, edge, engine, hearing, now_ms, reading, send, until

SITES = tuple(map(SiteId, ("junmen", "xinmin", "hehua", "dongjie")))
NAMES = ("rules-1", "rules-2")
SOON_S = LEASE_S + 8.0
"""In which a dead worker's sites must be looked after: the lease, a beat, and a slow machine."""


def owners(engines: dict[str, Engine]) -> dict[SiteId, str]:
    with engines[NAMES[0]].database.reading() as connection:
        owned = leases.leases(connection)
    return {site: lease.worker for site, lease in owned.items() if site != LEAD}


@contextlib.asynccontextmanager
async def plant(
    broker: services.MqttBroker, url: str, folder: Path
) -> AsyncIterator[tuple[dict[str, Engine], dict[SiteId, Bus]]]:
    """Two engines that share the sites, and an edge with a gas alarm on each of these."""
    async with contextlib.AsyncExitStack() as stack:
        engines = {name: stack.enter_context(engine(broker, folder / name, url=url, name=name)) for name in NAMES}
        for one in engines.values():
            one.start()
            await hearing(one)
        edges = {site: await stack.enter_async_context(edge(broker, site)) for site in SITES}
        for site, bus in edges.items():
            await announce(bus, "gas-1", "gas_alarm", site)
            await send(bus, 1, reading("gas-1", "gas_concentration", 1.0, now_ms()), site=site)
        await until(
            lambda: set(owners(engines).values()) == set(NAMES) or None, "both own something", engines[NAMES[0]]
        )
        await until(lambda: set(owners(engines)) == set(SITES) or None, "all are owned", engines[NAMES[0]])
        await until(lambda: heard(engines, len(SITES)), "all is heard", engines[NAMES[0]])
        yield engines, edges


def heard(engines: dict[str, Engine], readings: int) -> bool | None:
    pulse = engines[NAMES[0]].desk.pulse()
    return True if pulse and pulse.readings >= readings else None


def raised(one: Engine) -> Counter[SiteId]:
    found = {alarm.id: alarm.site for alarm in alarms(one) if alarm.rule == "leak"}
    log = one.desk.log_after(0, limit=10_000)
    assert [entry.seq for entry in log] == list(range(1, len(log) + 1))
    return Counter(found[entry.alarm] for entry in log if entry.event == "alarm.raised" and entry.alarm in found)


@pytest.mark.needs("mosquitto")
async def test_the_sites_of_a_worker_that_is_killed_are_looked_after_by_the_other_and_no_alarm_is_lost_or_doubled(
    mosquitto: services.MqttBroker, database_url: str, tmp_path: Path
) -> None:
    async with plant(mosquitto, database_url, tmp_path) as (engines, edges):
        victim, other = engines[NAMES[0]], engines[NAMES[1]]
        theirs = [site for site, name in owners(engines).items() if name == NAMES[0]]
        for site, bus in edges.items():  # some are heard before it dies, some are in its hands, some nobody hears
            await send(bus, 2, reading("gas-1", "gas_concentration", 30.0, now_ms()), site=site)
        victim.kill()
        killed_at = time.monotonic()
        for site in theirs:
            await announce(edges[site], "gas-2", "gas_alarm", site)
            await send(edges[site], 3, reading("gas-2", "gas_concentration", 30.0, now_ms()), site=site)
        expected = Counter({site: 2 if site in theirs else 1 for site in SITES})
        await until(lambda: raised(other) == expected or None, f"{expected}, not {raised(other)}", other)
        assert time.monotonic() - killed_at < SOON_S
        victim.start()  # and takes its sites back
        await until(lambda: set(owners(engines).values()) == set(NAMES) or None, "both own something again", other)
        for site, bus in edges.items():
            await send(bus, 4, reading("gas-1", "gas_concentration", 40.0, now_ms()), site=site)
        await until(lambda: heard(engines, 3 * len(SITES) + len(theirs)), "all is heard", victim)
        assert raised(other) == expected


@pytest.mark.needs("mosquitto", "postgres", "initdb")
async def test_a_worker_that_was_paused_until_its_sites_were_gone_writes_nothing_of_them(
    mosquitto: services.MqttBroker, postgresql: str, tmp_path: Path
) -> None:
    async with plant(mosquitto, postgresql, tmp_path) as (engines, edges):
        paused, other = engines[NAMES[0]], engines[NAMES[1]]
        site = next(site for site, name in owners(engines).items() if name == NAMES[0])
        assert paused.process
        paused.process.send_signal(signal.SIGSTOP)
        try:
            await send(edges[site], 2, reading("gas-1", "gas_concentration", 30.0, now_ms()), site=site)
            await until(lambda: raised(other) or None, "the other one raises it", other)
            assert set(owners(engines).values()) == {NAMES[1]}
        finally:
            paused.process.send_signal(signal.SIGCONT)
        await until(lambda: "other engines own these sites now" in paused.said() or None, "it sees that", paused)
        await until(lambda: owners(engines).get(site) == NAMES[0] or None, "it is given the site back", paused)
        await send(edges[site], 3, reading("gas-1", "gas_concentration", 40.0, now_ms()), site=site)
        await until(lambda: heard(engines, len(SITES) + 2), "it hears the next pack", paused)
        assert raised(other) == Counter({site: 1})


@pytest.mark.needs("mosquitto")
async def test_a_worker_that_ends_hands_its_sites_over_at_once_and_one_that_may_not_own_a_site_does_not(
    mosquitto: services.MqttBroker, tmp_path: Path
) -> None:
    url, named = f"sqlite:///{tmp_path}/rules.db", 'sites = ["junmen"]'
    with (
        engine(mosquitto, tmp_path / "a", url=url, name="rules-1") as any_site,
        engine(mosquitto, tmp_path / "b", named, url=url, name="rules-2") as one_site,
    ):
        for one in (any_site, one_site):
            one.start()
            await hearing(one)
        async with edge(mosquitto, SITES[1]) as bus:
            await announce(bus, "gas-1", "gas_alarm", SITES[1])
            await send(bus, 1, reading("gas-1", "gas_concentration", 30.0, now_ms()), site=SITES[1])
            await until(lambda: alarms(any_site), "the alarm", any_site)
        assert owners({NAMES[0]: any_site})[SITES[1]] == "rules-1"
        any_site.stop()
        assert owners({NAMES[0]: any_site}).get(SITES[1]) is None
        await asyncio.sleep(0)


@pytest.mark.needs("mosquitto")
async def test_of_two_engines_of_one_name_the_earlier_one_ends_and_says_why(
    mosquitto: services.MqttBroker, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/rules.db"
    with engine(mosquitto, tmp_path / "a", url=url) as earlier, engine(mosquitto, tmp_path / "b", url=url) as later:
        earlier.start()
        await hearing(earlier)
        later.start()
        assert earlier.process
        ended = earlier.process
        assert await until(lambda: ended.poll(), "it ends", earlier) == 2
        assert "another engine of the name 'rules-1' has started" in earlier.said()
