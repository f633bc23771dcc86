"""libosdp's control panel over one of our ports, and what calls a reader again that it has given up."""

from collections.abc import Sequence
from typing import Any

import osdp_sys

from edge.configuration.config import Device
from edge.models.osdp import OsdpModel
from edge.sources.port import Port

FIRST_RECALL_S, MOST_RECALL_S = 1.0, 30.0


class _Channel:
    """Our port in the shape that libosdp asks for."""

    id = 0

    def __init__(self, port: Port) -> None:
        self._port = port

    def read(self, most: int) -> bytes:
        return self._port.take(most)

    def write(self, data: bytes) -> int:
        self._port.write(data)
        return len(data)

    def flush(self) -> None:
        pass


def panel(readers: Sequence[Device[OsdpModel]], port: Port, *, installing: bool = False) -> Any:
    """An `osdp_sys.ControlPanel`; its peripheral devices have the places of `readers`.

    A reader that has a key is spoken to over the secure channel alone. `installing`: one that is in its installation mode is
    given its key instead, over the channel that everybody's default key opens (SIA OSDP v2.2 annex D.2).
    """
    channel = _Channel(port)
    return osdp_sys.ControlPanel(
        [
            {
                "name": reader.id,
                "address": reader.unit,
                "flags": osdp_sys.FLAG_ENFORCE_SECURE if reader.key and not installing else 0,
                "scbk": reader.key,
                "channel": channel,
                # of this side they mean nothing
                **dict.fromkeys(("version", "model", "vendor_code", "serial_number", "firmware_version"), 0),
            }
            for reader in readers
        ]
    )


class Recall:
    """One damaged answer, on the secure channel at least, and libosdp leaves a reader alone for minutes, with its cards.

    Switched off and on again, it is spoken to at once: after a second, then less and less often. Seconds are arguments.
    """

    def __init__(self) -> None:
        self._tries: dict[int, int] = {}
        self._due_s: dict[int, float] = {}

    def look(self, panel: Any, places: int, online: int, now_s: float) -> None:
        """`online`: a bit for each of the `places` readers that is there."""
        for place in range(places):
            if online >> place & 1:
                self._tries[place] = 0
                self._due_s.pop(place, None)
            elif not panel.is_pd_enabled(place):  # it takes a step of the panel to be off
                panel.enable_pd(place)
            elif now_s >= self._due_s.setdefault(place, now_s + self._wait_s(place)):
                panel.disable_pd(place)
                self._tries[place] = self._tries.get(place, 0) + 1
                self._due_s[place] = now_s + self._wait_s(place)

    def _wait_s(self, place: int) -> float:
        return min(FIRST_RECALL_S * 2.0 ** min(self._tries.get(place, 0), 16), MOST_RECALL_S)
