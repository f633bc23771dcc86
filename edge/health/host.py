"""The machine that the agent runs on, read from the files that Linux keeps about it. A file that isn't there says nothing.

Sources: Linux Documentation/filesystems/proc.rst and Documentation/ABI/testing/sysfs-class-thermal; the Raspberry Pi's
`get_throttled` bits: Raspberry Pi documentation, vcgencmd.
"""

import os
from dataclasses import dataclass
from pathlib import Path

_UNDERVOLTAGE, _CAPPED, _THROTTLED, _SOFT_LIMIT = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_NOW = _UNDERVOLTAGE | _CAPPED | _THROTTLED | _SOFT_LIMIT


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFigures:
    """What could be read; None for the rest."""

    temperature_cel: float | None = None
    throttled: bool | None = None
    memory_free_percent: float | None = None
    disk_free_percent: float | None = None
    load_per_core: float | None = None
    uptime_s: float | None = None


def figures(folder: Path, root: Path = Path("/")) -> HostFigures:
    """Of this machine now. `folder`: where the outbox is. Raises nothing."""
    return HostFigures(
        temperature_cel=_temperature_cel(root),
        throttled=_throttled(root),
        memory_free_percent=_memory_free_percent(root),
        disk_free_percent=_disk_free_percent(folder),
        load_per_core=_load_per_core(root),
        uptime_s=_first_number(root / "proc/uptime"),
    )


def _temperature_cel(root: Path) -> float | None:
    """The hottest zone: in thousandths of a degree."""
    zones = (root / "sys/class/thermal").glob("thermal_zone*/temp")
    found = [number / 1000 for zone in zones if (number := _first_number(zone)) is not None]
    return max(found, default=None)


def _throttled(root: Path) -> bool | None:
    """As the Pi's firmware says it in hexadecimal; other machines say nothing."""
    try:
        bits = int((root / "sys/devices/platform/soc/soc:firmware/get_throttled").read_text(), 16)
    except (OSError, ValueError):
        return None
    return bool(bits & _NOW)


def _memory_free_percent(root: Path) -> float | None:
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
        kilobytes = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines) if rest}
        return round(100 * kilobytes["MemAvailable"] / kilobytes["MemTotal"], 1)
    except (OSError, ValueError, LookupError, ZeroDivisionError):
        return None


def _disk_free_percent(folder: Path) -> float | None:
    try:
        found = os.statvfs(folder)
    except OSError:
        return None
    return round(100 * found.f_bavail / found.f_blocks, 1) if found.f_blocks else None


def _load_per_core(root: Path) -> float | None:
    load = _first_number(root / "proc/loadavg")
    return None if load is None else round(load / (os.cpu_count() or 1), 2)


def _first_number(path: Path) -> float | None:
    try:
        return float(path.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None
