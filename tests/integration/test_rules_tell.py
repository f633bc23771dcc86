"""A command from the server, through a real Mosquitto, to an edge and back, with its words in the log."""

from pathlib import Path

import pytest
from sqlalchemy import insert, select

from messages import topics
from messages.bus import Bus
from messages.command import Outcome
from messages.kind import load_kinds
from messages.settings import ConfigError
from rules import telling
from rules.store import tables as db
from rules.store.database import Database
from tests.integration.test_edge_acting import EDGE, NOW_MS, SITE, VALVE, Valve, plant
from tests.services import MqttBroker

KINDS = load_kinds()


@pytest.fixture
def database(tmp_path: Path) -> Database:
    made = Database(f"sqlite:///{tmp_path}/rules.sqlite")
    place = {"grid": "grid-1", "building": "", "unit": "", "text": ""}
    with made.writing() as connection:
        for site, device, kind in (
            (SITE, VALVE, "gas_valve"),
            ("other", "siren-1", "siren"),
            (SITE, "siren-1", "siren"),
        ):
            row = {
                "site": site,
                "edge": EDGE,
                "device": device,
                "kind": kind,
                "model": "m",
                "place": place,
                "settings": {},
                "guards": False,
            }
            connection.execute(insert(db.devices), row)
    return made


def logged(database: Database) -> list[tuple[str, str, str]]:
    with database.reading() as connection:
        rows = connection.execute(select(db.log).order_by(db.log.c.seq)).all()
    return [(row.event, row.actor, row.detail) for row in rows]


@pytest.mark.needs("mosquitto")
async def test_a_device_is_told_and_every_word_is_in_the_log(
    mosquitto: MqttBroker, database: Database, tmp_path: Path
) -> None:
    valve = Valve()
    valve.fails = ["no answer; it may have been done"]
    told = telling.addressed(database, "valve-1")
    hears = [topics.result(told.site, told.edge, told.device)]
    async with plant(mosquitto, tmp_path, valve), Bus(mosquitto.settings("rules"), "tell", subscribe=hears) as bus:
        for expected in (Outcome.FAILED, Outcome.DONE):
            given = telling.command(told, KINDS, "close", None, "lin", NOW_MS, 30.0)
            words = [result.outcome async for result in telling.tell(bus, database, told, given, lambda: NOW_MS)]
            assert words == [Outcome.ACCEPTED, expected]
    assert logged(database) == [
        ("command.given", "lin", "junmen/valve-1: close"),
        ("command.accepted", "lin", "junmen/valve-1: close"),
        ("command.failed", "lin", "junmen/valve-1: close: no answer; it may have been done"),
        ("command.given", "lin", "junmen/valve-1: close"),
        ("command.accepted", "lin", "junmen/valve-1: close"),
        ("command.done", "lin", "junmen/valve-1: close"),
    ]


@pytest.mark.needs("mosquitto")
async def test_an_edge_that_is_away_is_waited_for_until_the_command_expires(
    mosquitto: MqttBroker, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "GRACE_S", 0.1)
    told = telling.addressed(database, "valve-1")
    given = telling.command(told, KINDS, "close", None, "lin", NOW_MS, 0.2)
    async with Bus(mosquitto.settings("rules"), "tell") as bus:
        assert [result async for result in telling.tell(bus, database, told, given, lambda: NOW_MS)] == []
    assert [event for event, *_ in logged(database)] == ["command.given", "command.unanswered"]


@pytest.mark.parametrize(
    ("device", "command", "value", "said"),
    [
        ("valve-2", "close", None, "no device `valve-2` has been announced; did you mean `valve-1`?"),
        ("siren-1", "sound", True, "`siren-1` is more than one: junmen/siren-1 of pi-1, other/siren-1 of pi-1"),
        ("valve-1", "open", None, "a gas_valve can't be told to open"),
        ("valve-1", "close", True, "close takes no value"),
        ("junmen/siren-1", "sound", None, "sound takes true or false"),
    ],
)
def test_a_mistake_is_said_before_anything_leaves(
    database: Database, device: str, command: str, value: bool | None, said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        telling.command(telling.addressed(database, device), KINDS, command, value, "lin", NOW_MS, 30.0)
    assert str(caught.value).startswith(said)
