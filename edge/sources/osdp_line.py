"""One OSDP line with its readers: libosdp's control panel, stepped by our loop, on our port.

A reader that goes offline and comes back is said once each; so is a line that is pulled. A reader that has a key is spoken
to over the secure channel alone, never in clear. No event's content is ever logged here: cards and PINs are in it.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import osdp_sys
import structlog

from edge.configuration.config import Device
from edge.configuration.tables import LineSettings
from edge.models.osdp import OsdpModel
from edge.protocols import osdp
from edge.sources import osdp_panel
from edge.sources.port import LinkError, Port, backoff_s, open_port
from edge.sources.source import CannotAct, Deliver
from edge.vitals import Vitals
from messages.ids import DeviceId
from messages.reading import Reading, Value

STEP_S = 0.01
HEARD_EVERY_S = 1.0
"""libosdp asks each reader many times a second, and says only whether it answers: that is noted so often."""
CONFIRM_LIMIT_S = 5.0
TENTH_S = 0.1
"""The unit of an output's timer (SIA OSDP v2.2 section 6.11)."""
ON, OFF, PULSE = 2, 1, 5
"""Control codes of an output: permanent on, permanent off, on until the timer is over (section 6.11, table 18)."""
RELEASE = "release"
"""The command after which a door may be opened: the rules have to know, or they would call it forced."""
LOCAL_QUERY, INPUT_QUERY = 2, 0

log = structlog.get_logger("doors")


class OsdpLine:
    """A `Source`. `deliver` may wait: then the line waits."""

    def __init__(
        self,
        settings: LineSettings,
        readers: Sequence[Device[OsdpModel]],
        card_key: bytes,
        deliver: Deliver,
        *,
        clock_ms: Callable[[], int],
    ) -> None:
        self._settings = settings
        self._readers = list(readers)
        self._card_key = card_key
        self._deliver = deliver
        self._clock_ms = clock_ms
        self.vitals = Vitals.of(settings.name, [reader.id for reader in readers])
        for vitals in self.vitals.devices.values():
            vitals.asked = True
        self._events: deque[tuple[int, Mapping[str, Any]]] = deque()
        self._told: dict[int, deque[asyncio.Future[int]]] = {place: deque() for place in range(len(self._readers))}
        self._panel: Any = None
        self._queried: set[int] = set()
        self._keypads = [osdp.Keypad() for _ in self._readers]

    async def run(self) -> NoReturn:
        osdp_sys.set_loglevel(osdp_sys.LOG_EMERG)
        failures = 0
        while True:
            try:
                port = await open_port(self._settings)
                try:
                    log.info("port is there", line=self._settings.name, port=self._settings.where)
                    failures = 0
                    self.vitals.is_open()
                    await self._step(port)
                finally:
                    self._panel = None
                    await port.close()
            except LinkError as error:
                failures += 1
                if self.vitals.is_closed(error.why):
                    log.warning("port is away", line=self._settings.name, port=self._settings.where, why=str(error))
            await asyncio.sleep(backoff_s(failures) * random.uniform(0.7, 1.3))

    async def act(self, device: DeviceId, command: str, value: Value | None) -> None:
        place = next(place for place, reader in enumerate(self._readers) if reader.id == device)
        if self._panel is None or not self._panel.status() >> place & 1:
            raise CannotAct("the reader is away")
        how = self._readers[place].model.commands[command]
        code = PULSE if how.for_s is not None else ON if value in (None, True) else OFF
        timer = round((how.for_s or 0) / TENTH_S)
        order = {"command": osdp_sys.CMD_OUTPUT, "output_no": how.output, "control_code": code, "timer_count": timer}
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        if not self._panel.submit_command(place, order):
            raise CannotAct("the reader takes no command now")
        self._told[place].append(done)
        try:
            async with asyncio.timeout(CONFIRM_LIMIT_S):
                status = await done
        except TimeoutError as error:
            raise CannotAct(f"not confirmed in {CONFIRM_LIMIT_S:g} s; it may have been done") from error
        if status != osdp_sys.COMPLETION_OK:
            raise CannotAct("the reader refuses it")
        if command == RELEASE:
            at_ms = self._clock_ms()
            await self._deliver([Reading(device=device, channel="released", at_ms=at_ms, value=True)])

    async def _step(self, port: Port) -> NoReturn:
        self._panel = panel = osdp_panel.panel(self._readers, port)
        panel.set_event_callback(self._happened)
        panel.set_command_completion_callback(self._completed)
        online, recall, loop, heard_s = 0, osdp_panel.Recall(), asyncio.get_running_loop(), 0.0
        while True:
            panel.refresh()
            port.check()
            if (now := panel.status()) != online:
                self._say(online, now)
                self._query(panel, now & ~online)
                online = now
            if loop.time() - heard_s >= HEARD_EVERY_S:
                heard_s = loop.time()
                self._note_heard(online)
            recall.look(panel, len(self._readers), online, loop.time())
            while self._events:
                place, event = self._events.popleft()
                await self._hear(place, event)
            await asyncio.sleep(STEP_S)

    def _query(self, panel: Any, arrived: int) -> None:
        """How a reader that has just come stands. Once: one that knows no such question takes it for an offence and leaves."""
        for place in range(len(self._readers)):
            if arrived >> place & 1 and place not in self._queried:
                self._queried.add(place)
                _, inputs = panel.check_capability(place, osdp_sys.CAP_CONTACT_STATUS_MONITORING)
                for query in (LOCAL_QUERY, INPUT_QUERY) if inputs else (LOCAL_QUERY,):
                    order = {"command": osdp_sys.CMD_STATUS, "type": query, "report": b""}
                    if panel.submit_command(place, order):
                        self._told[place].append(asyncio.get_running_loop().create_future())

    def _happened(self, place: int, event: Mapping[str, Any]) -> int:
        self._events.append((place, event))
        return 0

    def _completed(self, place: int, _command: object, status: int) -> None:
        if self._told[place]:
            done = self._told[place].popleft()
            if not done.done():
                done.set_result(status)

    async def _hear(self, place: int, event: Mapping[str, Any]) -> None:
        reader, at_ms = self._readers[place], self._clock_ms()
        self.vitals.devices[reader.id].heard(at_ms)
        said = list(osdp.values(event, reader.model, self._card_key))
        if event.get("event") == osdp.KEY_PRESS:
            for keyed in self._keypads[place].press(bytes(event.get("data") or b""), at_ms):
                said += osdp.code(keyed, reader.model, self._card_key)
        if said:
            await self._deliver(
                [Reading(device=reader.id, channel=name, at_ms=at_ms, value=value) for name, value in said]
            )

    def _note_heard(self, online: int) -> None:
        for place, reader in enumerate(self._readers):
            if online >> place & 1:
                self.vitals.devices[reader.id].heard(self._clock_ms())

    def _say(self, before: int, now: int) -> None:
        for place, reader in enumerate(self._readers):
            was, is_ = before >> place & 1, now >> place & 1
            vitals = self.vitals.devices[reader.id]
            if is_ and not was:
                vitals.heard(self._clock_ms())
                log.info("reader is there", device=reader.id, secure=bool(reader.key))
            elif was and not is_:
                vitals.failed("no answer")
                vitals.away = True
                log.warning("reader is away", device=reader.id)
