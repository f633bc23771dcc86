"""Two engines that change hands in the midst of an escalation: each step of each case happens once."""

import asyncio
import contextlib
import signal
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import select

from rules.cases.policy import load_policies
from rules.cases.practice import Practice
from rules.desk import Desk
from rules.engine.share import LEASE_S
from rules.records import LogEntry
from rules.store import tables as db
from tests import services
from tests.integration.rules_engine import Engine, engine, hearing, now_ms, until
from tests.rules.situation import about

NAMES = ("rules-1", "rules-2")
CASES = 12
EVERY_S = 2
STEPS = 12
POLICIES = f"""[levels.red]
call = [{", ".join(f'"{number * EVERY_S}s"' for number in range(STEPS))}]
accept = "9s"
street = "300s"
department = "600s"
again = "10min"
"""


def queued(one: Engine) -> dict[str, set[str]]:
    """By case: the steps of its program that called somebody."""
    with one.database.reading() as connection:
        found: dict[str, set[str]] = {}
        for key, case in connection.execute(select(db.notices.c.key, db.notices.c.case)):
            found.setdefault(case, set()).add(key.rsplit("/", 1)[0])
        return found


def lines(one: Engine) -> list[LogEntry]:
    log, seq = list[LogEntry](), 0
    while more := one.desk.log_after(seq, 1_000):
        seq = more[-1].seq
        log += more
    return log


@pytest.mark.needs("mosquitto")
async def test_each_step_happens_once_whoever_of_two_engines_is_stopped_or_killed_meanwhile(
    mosquitto: services.MqttBroker, database_url: str, tmp_path: Path
) -> None:
    (tmp_path / "policies.toml").write_text(POLICIES, encoding="utf-8")
    url, more = database_url, f'policies = "{tmp_path}/policies.toml"'
    with contextlib.ExitStack() as stack:
        engines = [stack.enter_context(engine(mosquitto, tmp_path / name, more, url, name)) for name in NAMES]
        for one in engines:
            one.start()
            await hearing(one)
        first, second = engines
        desk = Desk(first.database, Practice(load_policies(tmp_path / "policies.toml")))
        cases = [
            desk.report(
                about("red", kind=f"kind-{number}", origin="ticket", subject=""), actor="12345", at_ms=now_ms()
            ).id
            for number in range(CASES)
        ]
        for stopped in (first, second):
            assert stopped.process
            stopped.process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(LEASE_S + 1)
            stopped.process.send_signal(signal.SIGCONT)
        first.kill()
        await until(lambda: all(len(queued(second).get(case, ())) >= 4 for case in cases) or None, "some steps", second)
        first.start()
        second.kill()
        last_ms = now_ms()
        await until(
            lambda: any(one.at_ms > last_ms and one.event == "notify.queued" for one in lines(first)), "more", first
        )
        log = lines(first)
        assert [entry.seq for entry in log] == list(range(1, len(log) + 1))
        told = Counter(entry.case for entry in log if entry.event == "notify.queued")
        steps = queued(first)
        assert {case: told[case] for case in cases} == {case: len(steps[case]) for case in cases}, "a call, a line"
        breaches = Counter(entry.case for entry in log if entry.event == "sla.breached")
        assert set(breaches.values()) == {1}
        assert set(breaches) == set(cases)
