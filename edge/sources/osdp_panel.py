"""libosdp's control panel over one of our ports."""

from collections.abc import Sequence
from typing import Any

import osdp_sys

from edge.configuration.config import Device
from edge.models.osdp import OsdpModel
from edge.sources.port import Port


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
