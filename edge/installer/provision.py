"""A reader gets its own key for the secure channel: once, on the ladder, with nobody else at the line.

The key travels over a channel that the standard's default key opens, which everybody knows; so do it before the line
leaves the room, or trust the line for that second. Then the agent speaks to that reader by its own key alone.
"""

import asyncio
from collections.abc import Callable
from enum import StrEnum
from typing import Any

import osdp_sys

from edge.configuration.config import Device
from edge.configuration.tables import LineSettings
from edge.models.osdp import OsdpModel
from edge.sources import osdp_panel
from edge.sources.port import Port, open_port

STEP_S = 0.01
ANSWER_LIMIT_S = 6.0
"""A reader is asked, refuses the key it doesn't have, and is asked again by the default one: a few seconds."""


class Outcome(StrEnum):
    """How it ended."""

    GIVEN = "the reader has its own key now"
    HAS_IT = "the reader has this key already"
    CLEAR = "the reader answers in clear only: it is not in its installation mode, or has another key"
    SILENT = "no answer: address, speed, wiring?"


CHINESE = {
    Outcome.GIVEN: "读卡器已换用自己的密钥",
    Outcome.HAS_IT: "读卡器已有此密钥",
    Outcome.CLEAR: "读卡器只用明文应答：没有进入安装模式，或已有别的密钥",
    Outcome.SILENT: "没有应答：检查地址、波特率、接线",
}


async def provision(line: LineSettings, reader: Device[OsdpModel]) -> Outcome:
    """Put the reader's key into it, and see that it works. Raises LinkError if the port is away or somebody has it."""
    osdp_sys.set_loglevel(osdp_sys.LOG_EMERG)
    port = await open_port(line)
    try:
        if await _secure(port, reader, installing=False):
            return Outcome.HAS_IT
        if not await _secure(port, reader, installing=True):
            return Outcome.CLEAR if await _answers(port, reader) else Outcome.SILENT
        return Outcome.GIVEN if await _secure(port, reader, installing=False) else Outcome.CLEAR
    finally:
        await port.close()


async def _secure(port: Port, reader: Device[OsdpModel], *, installing: bool) -> bool:
    """Whether the secure channel comes up."""
    panel = osdp_panel.panel([reader], port, installing=installing)
    panel.set_event_callback(lambda _place, _event: 0)  # cards that are held up meanwhile are nobody's
    return await _until(panel, port, lambda: bool(panel.sc_status()))


async def _answers(port: Port, reader: Device[OsdpModel]) -> bool:
    panel = osdp_panel.panel([reader], port, installing=True)
    return await _until(panel, port, lambda: bool(panel.status()))


async def _until(panel: Any, port: Port, so: Callable[[], bool]) -> bool:
    try:
        async with asyncio.timeout(ANSWER_LIMIT_S):
            while not so():
                panel.refresh()
                port.check()
                await asyncio.sleep(STEP_S)
    except TimeoutError:
        return False
    return True
