"""What systemd is told: starting, ready, reloading, alive, stopping. A few datagrams; without systemd nothing happens.

Source: sd_notify(3) and systemd.service(5), Type=notify and WatchdogSec.
"""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServiceManager:
    """Where systemd listens; an empty address is nobody."""

    address: str = ""
    watchdog_s: float | None = None
    """How long it waits for `alive` before it kills and restarts us."""

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "ServiceManager":
        """As the environment says. A watchdog that is meant for another process is none of ours."""
        address = environment.get("NOTIFY_SOCKET", "")
        microseconds = environment.get("WATCHDOG_USEC", "")
        ours = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        watchdog_s = int(microseconds) / 1_000_000 if microseconds.isdigit() and ours else None
        return cls(address, watchdog_s or None)

    def starting(self, still_s: float) -> None:
        """It may take `still_s` more until we are ready: what systemd waits for by itself may be too short."""
        self._say(f"EXTEND_TIMEOUT_USEC={round(still_s * 1_000_000)}\nSTATUS=opening the outbox")

    def ready(self, status: str) -> None:
        self._say(f"READY=1\nSTATUS={status}")

    def reloading(self, monotonic_us: int) -> None:
        self._say(f"RELOADING=1\nMONOTONIC_USEC={monotonic_us}")

    def alive(self) -> None:
        self._say("WATCHDOG=1")

    def stopping(self) -> None:
        self._say("STOPPING=1")

    def _say(self, words: str) -> None:
        if not self.address:
            return
        # an address that begins with @ is in the kernel's abstract namespace
        address = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
                channel.connect(address)
                channel.sendall(words.encode())
        except OSError:
            pass  # whoever started us no longer listens: no reason to stop reading sensors
