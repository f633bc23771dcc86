"""How long an outage is bridged, as `edge check` says it, held against what a real agent without a broker puts on its disk."""

import random
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.configuration.check import parse
from edge.installer.bridging import bridging
from edge.keeping.intake import HURRIES
from edge.keeping.outbox import ROW_BYTES
from tests.integration.libmodbus_slave import Libmodbus, foreign_slave
from tests.integration.test_edge_agent import agent
from tests.services import free_port

pytestmark = pytest.mark.needs("mbpoll")

WATCHED_S = 16
DEVICES = 6
"""On one slave, each with registers of its own: each is read once a second."""
HURRIED = HURRIES + 20
"""Packs after which an alarm waits for company: those of the first ones, and of what an agent says at its start."""


@pytest.fixture
def libmodbus(tmp_path: Path) -> Iterator[Libmodbus]:
    with foreign_slave(tmp_path / "libmodbus.log") as running:
        yield running


def written(outbox: Path) -> tuple[int, int]:
    """Packs, and what of them counts against the outbox's limit."""
    if not outbox.exists():
        return 0, 0
    database = sqlite3.connect(f"file:{outbox}?mode=ro", uri=True)
    try:
        if not database.execute("SELECT 1 FROM sqlite_schema WHERE name = 'packs'").fetchone():
            return 0, 0
        sizes = "SELECT count(*), coalesce(sum(length(payload) + ?), 0) FROM packs"
        packs, size = database.execute(sizes, (ROW_BYTES,)).fetchone()
        return int(packs), int(size)
    finally:
        database.close()


def test_what_check_says_of_an_outage_is_what_the_outbox_needs(libmodbus: Libmodbus, tmp_path: Path) -> None:
    config, outbox, dice = tmp_path / "edge.toml", tmp_path / "state" / "outbox.sqlite", random.Random(1)
    devices = "".join(
        f'[[devices]]\nid = "gas-3-2-10{number}"\nmodel = "modbus-gas-detector"\nline = "rs485-1"\nunit = 11\n'
        f'at = {4 * number}\nplace = {{ grid = "grid-1", text = "厨房" }}\n'
        for number in range(DEVICES)
    )
    config.write_text(
        f'site = "junmen"\nedge = "pi-1"\nfolder = "state"\n[uplink]\nport = {free_port()}\n'
        f'[[lines]]\nname = "rs485-1"\nport = "{libmodbus.port}"\nbaudrate = 9600\n{devices}',
        encoding="utf-8",
    )

    def moves(for_s: float) -> None:
        until_s = time.monotonic() + for_s
        while time.monotonic() < until_s:
            for number in range(DEVICES):
                libmodbus.set("holding", 4 * number, dice.randrange(1000))
            time.sleep(0.1)

    with agent(config):
        began_s = time.monotonic()
        while written(outbox)[0] < HURRIED:
            assert time.monotonic() < began_s + 60, "it writes nothing more"
            moves(0.5)
        (_, before), began_s = written(outbox), time.monotonic()
        moves(WATCHED_S)
        a_second = (written(outbox)[1] - before) / (time.monotonic() - began_s)
    limit_bytes = 512 * 1024 * 1024
    said_s, needed_s = bridging(parse(config), limit_bytes).busy_s, limit_bytes / a_second
    # a machine that is busy besides makes packs of fewer readings: 1.42 was seen with four files at a time on two cores
    assert 0.7 < said_s / needed_s < 1.7, (said_s, needed_s)
