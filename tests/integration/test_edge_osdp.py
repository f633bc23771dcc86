"""Doors: libosdp's own peripheral device at the far end of a pseudo-terminal, in clear and over the secure channel."""

import asyncio
import contextlib
import os
import threading
import tty
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import structlog

from edge.configuration.check import parse
from edge.configuration.config import Device
from edge.configuration.tables import LineSettings
from edge.models.osdp import OsdpModel
from edge.models.product import load_models
from edge.protocols import osdp
from edge.sources.source import CannotAct
from messages.announcement import Announcement, Place
from messages.ids import DeviceId
from messages.kind import load_kinds
from messages.reading import Reading, Value
from messages.settings import ConfigError

osdp_sys = pytest.importorskip("osdp_sys")
from edge.installer.provision import Outcome, provision  # noqa: E402
from edge.sources.osdp_line import OsdpLine  # noqa: E402

KINDS = load_kinds()
NOW_MS = 1_763_700_000_000
LIMIT_S = 10.0
SITES_KEY, READERS_KEY = b"k" * 32, bytes(range(16))
DOOR = DeviceId("door-1")


class Reader:
    """libosdp's peripheral device on its own thread, on one end of a pseudo-terminal; `path` is the other."""

    def __init__(
        self, path: Path, address: int = 1, key: bytes | None = None, *, inputs: int = 0, installing: bool = False
    ) -> None:
        self._link = path
        self.told: list[dict[str, Any]] = []
        self._stopped = threading.Event()
        self.spoil: list[Callable[[bytes], bytes]] = []
        """What becomes of the next answers on the wire."""
        self._events: list[dict[str, Any]] = []
        self._lock = threading.Lock()
        self.neighbours: list[Neighbour] = []
        self.plug_in()
        description = {
            "name": "reader",
            "address": address,
            "flags": osdp_sys.FLAG_INSTALL_MODE if installing else osdp_sys.FLAG_ENFORCE_SECURE if key else 0,
            "scbk": key,
            "channel": self,
            **dict.fromkeys(("version", "model", "vendor_code", "serial_number", "firmware_version"), 1),
        }
        capabilities = [
            {"function_code": code, "compliance_level": 1, "num_items": items}
            for code, items in (
                (osdp_sys.CAP_OUTPUT_CONTROL, 1),
                (osdp_sys.CAP_COMMUNICATION_SECURITY, 1),
                (osdp_sys.CAP_CONTACT_STATUS_MONITORING, inputs),
            )
            if items
        ]
        self._device = osdp_sys.PeripheralDevice(description, capabilities=capabilities)
        self._device.set_command_callback(self._obey)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    id = 0

    def read(self, most: int) -> bytes:
        try:
            data = os.read(self._near, most)
        except OSError:
            return b""
        for neighbour in self.neighbours:
            neighbour.overhear(data)
        return data

    def write(self, data: bytes) -> int:
        on_the_wire = self.spoil.pop()(data) if self.spoil else data
        with contextlib.suppress(OSError):
            os.write(self._near, on_the_wire)
        return len(data)

    def flush(self) -> None:
        pass

    def plug_in(self) -> None:
        self._near, self._far = os.openpty()
        tty.setraw(self._far)
        os.set_blocking(self._near, False)
        self._link.symlink_to(os.ttyname(self._far))

    def pull_out(self) -> None:
        self._link.unlink()
        os.close(self._far)
        os.close(self._near)

    def happens(self, **event: Any) -> None:
        with self._lock:
            self._events.append(event)

    def card(self, number: int) -> None:
        self.happens(
            event=osdp.CARD_READ, reader_no=0, direction=0, format=1, length=26, data=number.to_bytes(4, "big")
        )

    def contact(self, *inputs: int) -> None:
        self.happens(event=osdp.STATUS, type=osdp.INPUTS, report=bytes(inputs))

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()
        with contextlib.suppress(OSError):
            self.pull_out()

    def _obey(self, command: dict[str, Any]) -> tuple[int, dict[str, Any] | None]:
        self.told.append(command)
        return 0, None

    def _run(self) -> None:
        while not self._stopped.wait(0.005):
            with self._lock:
                while self._events and self._device.submit_event(self._events[0]):
                    del self._events[0]
                self._device.refresh()
                for neighbour in self.neighbours:
                    neighbour.step()


class Neighbour(Reader):
    """Another reader on the wire of `first`, whose thread runs both: the pair is a bus, on which all hear the panel."""

    def __init__(self, first: Reader, address: int) -> None:
        self.told: list[dict[str, Any]] = []
        self._events: list[dict[str, Any]] = []
        self._lock = first._lock
        self._heard = bytearray()
        description = {
            "name": "neighbour",
            "address": address,
            "flags": 0,
            "scbk": None,
            "channel": self,
            **dict.fromkeys(("version", "model", "vendor_code", "serial_number", "firmware_version"), 1),
        }
        capabilities = [{"function_code": osdp_sys.CAP_OUTPUT_CONTROL, "compliance_level": 1, "num_items": 1}]
        self._wire = first
        with self._lock:
            self._device = osdp_sys.PeripheralDevice(description, capabilities=capabilities)
            self._device.set_command_callback(self._obey)
            first.neighbours.append(self)

    id = 1

    def overhear(self, data: bytes) -> None:
        self._heard += data

    def read(self, most: int) -> bytes:
        taken = bytes(self._heard[:most])
        del self._heard[:most]
        return taken

    def write(self, data: bytes) -> int:
        return self._wire.write(data)

    def step(self) -> None:
        while self._events and self._device.submit_event(self._events[0]):
            del self._events[0]
        self._device.refresh()


@pytest.fixture
def port(tmp_path: Path) -> Path:
    osdp_sys.set_loglevel(osdp_sys.LOG_EMERG)
    return tmp_path / "ttyUSB0"


def door(key: bytes = b"", unit: int = 1, name: str = DOOR) -> Device[OsdpModel]:
    model = load_models(KINDS)["osdp-reader-with-inputs"]
    assert isinstance(model, OsdpModel)
    announcement = Announcement(kind="door_access", model="m", place=Place(grid="grid-1", text=""))
    return Device(
        id=DeviceId(name),
        kind=KINDS["door_access"],
        model=model,
        announcement=announcement,
        line="doors",
        unit=unit,
        key=key,
    )


class Heard:
    """What the line delivers."""

    def __init__(self, line: OsdpLine, readings: asyncio.Queue[Reading]) -> None:
        self.line = line
        self._readings = readings

    async def until(self, channel: str) -> Reading:
        while (reading := await self._readings.get()).channel != channel:
            pass
        return reading

    async def online(self, name: DeviceId = DOOR, *, away: bool = False) -> None:
        while self.line.vitals.devices[name].heard_at_ms is None or self.line.vitals.devices[name].away is not away:
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def doors(port: Path, *devices: Device[OsdpModel]) -> AsyncIterator[Heard]:
    readings: asyncio.Queue[Reading] = asyncio.Queue()

    async def deliver(some: list[Reading], then: Callable[[], None] | None = None, /) -> None:
        for reading in some:
            readings.put_nowait(reading)

    settings = LineSettings.model_validate({"name": "doors", "port": str(port), "baudrate": 9600})
    line = OsdpLine(settings, devices, SITES_KEY, deliver, clock_ms=lambda: NOW_MS)
    task = asyncio.create_task(line.run())
    try:
        async with asyncio.timeout(LIMIT_S):
            yield Heard(line, readings)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@contextlib.contextmanager
def running(reader: Reader) -> Any:
    try:
        yield reader
    finally:
        reader.stop()


@pytest.mark.parametrize("key", [b"", READERS_KEY], ids=["clear", "secure"])
async def test_every_card_arrives_in_its_order_and_as_a_hash(port: Path, key: bytes) -> None:
    numbers = [1, 2, 2, 3, 1, *range(100, 115)]
    with structlog.testing.capture_logs() as said, running(Reader(port, key=key or None)) as reader:
        async with doors(port, door(key)) as heard:
            await heard.online()
            for number in numbers:
                reader.card(number)
            cards = [(await heard.until("card")).value for _ in numbers]
    expected: list[Value] = [
        osdp.keyed_hash(SITES_KEY, b"card" + (26).to_bytes(4, "big") + number.to_bytes(4, "big")) for number in numbers
    ]
    assert cards == expected
    assert [entry["event"] for entry in said] == ["port is there", "reader is there"]


async def test_a_reader_that_nobody_uses_is_heard_all_the_same(port: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.sources.osdp_line.HEARD_EVERY_S", 0.05)
    with running(Reader(port)):
        async with doors(port, door()) as heard:
            await heard.online()
            vitals = heard.line.vitals.devices[DOOR]
            while vitals.answers < 5:
                await asyncio.sleep(0.01)
    assert (vitals.latency_s, vitals.asked, vitals.away) == (None, True, False)


async def test_contacts_arrive_and_the_door_is_released(port: Path) -> None:
    with running(Reader(port, key=READERS_KEY, inputs=2)) as reader:
        async with doors(port, door(READERS_KEY)) as heard:
            heard.line._queried.add(
                0
            )  # libosdp 3.2.9 can't answer that question from Python: it frees the report twice
            await heard.online()
            reader.contact(1, 0)
            while (await heard.until("door_open")).value is not True:
                pass
            await heard.line.act(DOOR, "release", None)
            assert (await heard.until("released")).value is True, "or the rules would call the door forced"
    outputs = [command for command in reader.told if command["command"] == osdp_sys.CMD_OUTPUT]
    assert [(each["output_no"], each["control_code"], each["timer_count"]) for each in outputs] == [(0, 5, 50)]


async def test_a_code_is_one_hash_and_its_digits_are_none(port: Path) -> None:
    with structlog.testing.capture_logs() as said, running(Reader(port, key=READERS_KEY)) as reader:
        async with doors(port, door(READERS_KEY)) as heard:
            await heard.online()
            for keys in (b"12", b"34", b"\r", b"1\x7f", b"1234\r"):
                reader.happens(event=osdp.KEY_PRESS, reader_no=0, data=keys)
            codes = [(await heard.until("keypad")).value for _ in range(2)]
    assert codes == [osdp.keyed_hash(SITES_KEY, b"keypad1234")] * 2
    assert "1234" not in str(said)


async def test_readers_that_share_a_line_are_told_apart(port: Path) -> None:
    """Two of libosdp's devices on one wire: each hears both, and answers when its address is called."""
    other = DeviceId("door-2")
    with running(Reader(port, key=READERS_KEY)) as first:
        second = Neighbour(first, address=2)
        async with doors(port, door(READERS_KEY), door(unit=2, name=other)) as heard:
            await heard.online()
            await heard.online(other)
            for number in range(5):
                first.card(number)
                second.card(number)
            cards = [await heard.until("card") for _ in range(10)]
            await heard.line.act(other, "release", None)
    assert [card.device for card in cards].count(other) == 5
    for name in (DOOR, other):
        values = [card.value for card in cards if card.device == name]
        assert values == [
            osdp.keyed_hash(SITES_KEY, b"card" + (26).to_bytes(4, "big") + number.to_bytes(4, "big"))
            for number in range(5)
        ]
    assert [command["command"] for command in second.told if command["command"] == osdp_sys.CMD_OUTPUT]
    assert not [command for command in first.told if command["command"] == osdp_sys.CMD_OUTPUT]


@pytest.mark.parametrize(
    "damage",
    [
        lambda frame: frame[:-1] + bytes([frame[-1] ^ 4]),
        lambda frame: frame[:5] + bytes([frame[5] ^ 1]) + frame[6:],
        lambda frame: b"",
        lambda frame: bytes(range(40)),
        lambda frame: frame[:-3],
    ],
    ids=["a bit of the check", "a bit of the number", "nothing", "noise", "a half"],
)
async def test_a_reader_whose_answer_was_damaged_is_back_in_seconds_and_keeps_its_cards(
    port: Path, damage: Callable[[bytes], bytes]
) -> None:
    with running(Reader(port, key=READERS_KEY)) as reader:
        async with doors(port, door(READERS_KEY)) as heard:
            await heard.online()
            reader.spoil.append(damage)
            while reader.spoil:
                await asyncio.sleep(0.01)
            reader.card(7)
            await heard.until("card")


async def provisioned(port: Path, *, key: bytes = READERS_KEY) -> Outcome:
    settings = LineSettings.model_validate({"name": "doors", "port": str(port), "baudrate": 9600})
    return await provision(settings, door(key))


async def test_a_reader_in_installation_mode_is_given_its_key_once(port: Path) -> None:
    with running(Reader(port, installing=True)) as reader:
        assert await provisioned(port) is Outcome.GIVEN
        keys = [command["data"] for command in reader.told if command["command"] == osdp_sys.CMD_KEYSET]
        assert keys == [READERS_KEY]
        assert await provisioned(port) is Outcome.HAS_IT
        async with doors(port, door(READERS_KEY)) as heard:
            await heard.online()
            reader.card(7)
            await heard.until("card")


async def test_a_reader_that_takes_no_key_is_said(port: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.installer.provision.ANSWER_LIMIT_S", 2.0)
    other = port.with_name("other")
    with running(Reader(port, key=b"x" * 16)), running(Reader(other, address=5)):
        one, another = await asyncio.gather(provisioned(port), provisioned(other))
    assert one in (Outcome.CLEAR, Outcome.SILENT)
    assert another is Outcome.SILENT


async def test_a_line_that_is_pulled_and_returned_needs_no_restart(port: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.sources.port.FIRST_BACKOFF_S", 0.05)
    with running(Reader(port, key=READERS_KEY)) as reader:
        async with doors(port, door(READERS_KEY)) as heard:
            await heard.online()
            reader.card(1)
            await heard.until("card")
            reader.pull_out()
            while heard.line.vitals.open:
                await asyncio.sleep(0.01)
            with pytest.raises(CannotAct, match="away"):
                await heard.line.act(DOOR, "release", None)
            reader.plug_in()
            while heard.line.vitals.opened < 2:
                await asyncio.sleep(0.01)
            reader.card(2)
            assert (await heard.until("card")).device == DOOR


async def test_a_reader_with_another_key_never_comes_online(port: Path) -> None:
    with running(Reader(port, key=b"x" * 16)) as reader:
        async with doors(port, door(READERS_KEY)) as heard:
            reader.card(1)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(2):
                    await heard.until("card")
            assert heard.line.vitals.devices[DOOR].heard_at_ms is None


GOOD = """site = "junmen"
edge = "pi-1"
folder = "state"
[uplink]
[osdp]
card_key_file = "card.key"
[[lines]]
name = "doors"
port = "/dev/null"
baudrate = 9600
[[devices]]
id = "door-1"
model = "osdp-reader-with-inputs"
line = "doors"
unit = 0
key_file = "door.key"
place = { grid = "grid-1", text = "北门" }
"""


def configured(folder: Path, text: str = GOOD) -> Path:
    for name, length in (("card.key", 32), ("door.key", 16)):
        path = folder / name
        path.write_text("ab" * length)
        path.chmod(0o600)
    (folder / "edge.toml").write_text(text, encoding="utf-8")
    return folder / "edge.toml"


def test_a_reader_is_one_table_and_two_keys(tmp_path: Path) -> None:
    config = parse(configured(tmp_path))
    assert (config.devices[0].unit, config.devices[0].key, config.card_key) == (0, b"\xab" * 16, b"\xab" * 32)


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = configured(tmp_path)
    (tmp_path / "card.key").chmod(0o644)
    with pytest.raises(ConfigError, match="others may read this key"):
        parse(path)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("unit = 0", "unit = 127", "edge.toml:15: devices.0.unit: 127 is not in 0 to 126, the units of osdp"),
        ('[osdp]\ncard_key_file = "card.key"\n', "", "edge.toml:1: osdp: is missing: cards that `door-1` reads leave"),
        ('"card.key"', '"door.key"', "64 hexadecimal digits are wanted, e.g. by `openssl rand -hex 32`"),
        ('key_file = "door.key"', 'key_file = "none.key"', "no key can be read: No such file or directory"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(configured(tmp_path, GOOD.replace(old, new)))
    assert said in str(caught.value)
    assert "abab" not in str(caught.value)
