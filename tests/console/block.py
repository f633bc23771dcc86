"""A rules' database and a history as the console finds them, and a console over them on a clock of the test's."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from sqlalchemy import delete, insert, update

from collector.stores.base import Batch, Point, Store
from collector.stores.sqlite import SqliteStore
from console.accounts import Accounts
from console.app import build
from console.config import Config, load
from console.rosters import Rosters
from messages.alarm import Level
from messages.announcement import Place
from messages.ids import DeviceId, EdgeId, SiteId
from messages.kind import load_kinds
from messages.reading import Reading, Value
from messages.settings import Text
from rules import plant
from rules.alarms import condition as machine
from rules.alarms.moves import carry
from rules.alarms.standing import Move
from rules.cases.case import Situation, opened
from rules.cases.photos import PhotoFolder
from rules.cases.practice import PLAIN, Practice
from rules.desk import Desk
from rules.records import Alarm, AlarmState, EdgeState, Pulse
from rules.store import rows
from rules.store import tables as db
from rules.store.database import Database
from tests.services import ROOT

NOON_MS = 1_795_233_600_000
"""2026-11-21 12:00:00 in Shanghai, 04:00 UTC."""
PASSWORD = "a password for tests"
SITE, EDGE = SiteId("junmen"), EdgeId("pi-1")

SETTINGS = """
listen = "127.0.0.1:{port}"
database = "{database}"
store = "sqlite:history.db"
accounts = "console.db"
site_files = "sites"
photos = "photos"
site_name = {{ zh = "军门社区", en = "Junmen community" }}
"""

KINDS = load_kinds()
GAS = Text(zh="燃气泄漏", en="Gas leak")


def settings(folder: Path, port: int = 8080, database: str = "sqlite:///rules.db", name: str = "console") -> Path:
    (folder / "sites").mkdir(exist_ok=True)
    shutil.copy(ROOT / "deploy/sites/junmen.toml", folder / "sites")
    path = folder / f"{name}.toml"
    path.write_text(SETTINGS.format(port=port, database=database), encoding="utf-8")
    return path


@dataclass
class Block:
    """What the engine would write, written by the test. `now_ms` is the console's clock."""

    folder: Path
    now_ms: int = NOON_MS
    practice: Practice = PLAIN
    address: str = "sqlite:///rules.db"
    """Of the rules' database."""
    database: Database = field(init=False)
    config: Config = field(init=False)
    accounts: Accounts = field(init=False)
    store: Store = field(init=False)

    def __post_init__(self) -> None:
        self.config = load(settings(self.folder, database=self.address))
        self.database = Database(self.config.database, follow=True)
        self.accounts = Accounts(self.config.accounts)
        self.store = SqliteStore(self.folder / "history.db")

    @property
    def desk(self) -> Desk:
        return Desk(self.database, self.practice, PhotoFolder(self.folder / "photos"))

    def console(self) -> FastAPI:
        return build(
            self.config,
            kinds=KINDS,
            desk=self.desk,
            store=SqliteStore(self.folder / "history.db"),
            accounts=self.accounts,
            sites=Rosters(self.config.site_files, database=self.database, clock_ms=lambda: self.now_ms),
            clock_ms=lambda: self.now_ms,
        )

    def raise_alarm(
        self,
        name: str = "gas-1",
        *,
        level: Level = "red",
        title: Text = GAS,
        place: str = "3号楼2单元101厨房",
        kind: str = "gas_alarm",
        rule: str = "leak",
        evidence: dict[str, Value] | None = None,
        limits: dict[str, float] | None = None,
        advice: Text | None = None,
        latch: bool = True,
        ago_ms: int = 0,
        grid: str = "grid-1",
        spot: tuple[float, float] | None = None,
        owner: str = "",
        building: str = "3",
        site: SiteId = SITE,
    ) -> Alarm:
        """One more alarm with its case."""
        at_ms, found = self.now_ms - ago_ms, evidence or {"gas_concentration": 23.4}
        device = DeviceId(name)
        alarm_id = machine.alarm_id(site, device, rule, at_ms)
        where = Place(grid=grid, building=building, unit="2", text=place)
        row = {
            "id": alarm_id,
            "site": site,
            "edge": EDGE,
            "device": device,
            "kind": kind,
            "rule": rule,
            "level": level,
            "latch": latch,
            "state": AlarmState.UNACK,
            "open": True,
            "late": False,
            "raised_at_ms": at_ms,
            "changed_at_ms": at_ms,
            "known_at_ms": at_ms,
            "title": title.model_dump(),
            "advice": advice.model_dump() if advice else None,
            "place": where.model_dump(),
            "case": f"case-{alarm_id}",
            "evidence": found,
            "channels": list(found),
            "limits": limits or {},
            "guards": kind in ("gas_alarm", "sos_button"),
            "annunciated": True,
            "overlays": {},
            "returned": False,
            "occurrences": 1,
            "times": [at_ms],
            "since_ms": at_ms,
            "flapped_at_ms": at_ms,
            "version": "",
            "thresholds": {},
            "situation": "",
            "owner": owner,
        }
        with self.database.writing() as connection:
            lat, lon = spot or (None, None)
            about = Situation(
                site=SITE,
                place=where,
                kind=kind,
                subject=device,
                title=title,
                level=level,
                origin="alarm",
                lat=lat,
                lon=lon,
                owner=owner,
            )
            rows.insert_case(connection, opened(f"case-{alarm_id}", about, at_ms))
            connection.execute(insert(db.alarms), row)
            lines = [
                rows.Line("alarm.raised", alarm_id, None, "rules"),
                rows.Line("case.registered", None, f"case-{alarm_id}", "rules"),
            ]
            rows.append(connection, lines, at_ms)
        return self.alarm(alarm_id)

    def alarm(self, alarm_id: str) -> Alarm:
        found = self.desk.alarm(alarm_id)
        assert found
        return found

    def return_to_normal(self, alarm: Alarm) -> None:
        self._apply(alarm, machine.AlarmEvent.RETURNED)

    def come_back(self, alarm: Alarm) -> None:
        self._apply(alarm, machine.AlarmEvent.RAISED)

    def _apply(self, alarm: Alarm, event: machine.AlarmEvent) -> None:
        with self.database.writing() as connection:
            row = connection.execute(rows.alarms_with_cases().where(db.alarms.c.id == alarm.id)).one()
            rows.append(connection, carry(connection, row, [Move(event)], self.now_ms), self.now_ms)

    def beat(self, *, last_reading_at_ms: int | None = None, hears: bool = True) -> None:
        """The engine's pulse, now."""
        last_ms = last_reading_at_ms or self.now_ms
        pulse = Pulse(at_ms=self.now_ms, last_reading_at_ms=last_ms, readings=1000, hears=hears)
        with self.database.writing() as connection:
            connection.execute(delete(db.pulse))
            connection.execute(insert(db.pulse), {"id": 1, **asdict(pulse)})

    def put_edge(self, name: str, *, online: bool = True, last_reading_at_ms: int | None = None) -> None:
        edge = EdgeState(
            site=SITE,
            edge=EdgeId(name),
            online=online,
            since_ms=self.now_ms - 3_600_000 if online else self.now_ms - 90_000,
            last_reading_at_ms=last_reading_at_ms or self.now_ms,
            devices=0,
        )
        row: dict[str, Any] = asdict(edge)
        del row["devices"], row["silent"]
        with self.database.writing() as connection:
            connection.execute(delete(db.edges).where(db.edges.c.edge == name))
            connection.execute(insert(db.edges), row)

    def hear(self, name: str) -> None:
        """A reading of this edge has come, now."""
        with self.database.writing() as connection:
            connection.execute(update(db.edges).where(db.edges.c.edge == name).values(last_reading_at_ms=self.now_ms))

    def add_device(self, name: str, *, edge: str = "pi-1", silent_from_ms: int) -> None:
        key = {"site": SITE, "edge": EdgeId(edge), "device": DeviceId(name)}
        with self.database.writing() as connection:
            connection.execute(
                insert(db.devices),
                key
                | {
                    "kind": "gas_alarm",
                    "model": "m",
                    "place": {"grid": "grid-1", "building": "3", "unit": "2", "text": name},
                    "settings": {},
                    "guards": True,
                },
            )
            connection.execute(insert(db.silences), key | {"from_ms": silent_from_ms})

    def announce(
        self,
        name: str,
        *,
        kind: str = "waste_bin",
        edge: str = "pi-1",
        grid: str = "grid-1",
        guards: bool = False,
        place: str = "",
    ) -> None:
        """A device that is there and says so."""
        where = Place(grid=grid, building="3", text=place or f"{name} of {grid}").model_dump()
        row = {"site": SITE, "edge": edge, "device": name, "kind": kind, "model": "m", "place": where, "settings": {}}
        with self.database.writing() as connection:
            connection.execute(insert(db.devices), row | {"guards": guards})

    def label(self, name: str, *, kind: str = "gas_alarm", grid: str = "grid-1") -> str:
        """The code on a device, which is announced if nobody has done that."""
        if not any(one.device == name for one in plant.devices(self.database, self.now_ms)):
            self.announce(name, kind=kind, grid=grid)
        key = (SITE, DeviceId(name))
        self.desk.make_labels([key], actor="wei", at_ms=self.now_ms)
        return self.desk.labels()[key].code

    def fall_silent(self, name: str, *, edge: str = "pi-1") -> None:
        row = {"site": SITE, "edge": edge, "device": name, "from_ms": self.now_ms - 1}
        with self.database.writing() as connection:
            connection.execute(insert(db.silences), row)

    def overlay(self, alarm: Alarm, **overlays: object) -> None:
        with self.database.writing() as connection:
            connection.execute(update(db.alarms).where(db.alarms.c.id == alarm.id).values(overlays=overlays))

    def rename_device(self, alarm: Alarm, device: str) -> None:
        with self.database.writing() as connection:
            connection.execute(update(db.alarms).where(db.alarms.c.id == alarm.id).values(device=device))

    def measure(self, device: str, channel: str, *samples: tuple[int, Value]) -> None:
        """Readings in the history: (UTC ms, value)."""
        points = [
            Point(
                reading=Reading(device=DeviceId(device), channel=channel, at_ms=at_ms, value=value),
                kind="gas_alarm",
                model="test",
                building="3",
            )
            for at_ms, value in samples
        ]
        self.store.write([Batch(site=SITE, edge=EDGE, points=points, packs=[])])


@contextmanager
def block(folder: Path) -> Iterator[Block]:
    made = Block(folder)
    try:
        yield made
    finally:
        made.store.close()
        made.database.close()
