"""How long an outage the outbox can bridge, before which readings are lost. Pure.

An estimate for the worst day, on which every channel of every device moves at every reading; quiet channels are sent once an
interval, so that most outages can be much longer.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from edge.configuration.config import Device
from edge.models.product import Model
from messages.settings import duration_words

BYTES_PER_READING = 13.2
"""On disk, in a pack of many, compressed: `python -m tests.bench outage`."""
DAY_S = 24 * 3600


@dataclass(frozen=True, slots=True)
class Bridging:
    """Readings a second, and seconds until the outbox is full."""

    quiet_s: float
    """When nothing moves: one reading an interval."""
    busy_s: float
    """When all moves at every poll."""


def bridging(devices: Iterable[Device[Model]], limit_bytes: int) -> Bridging:
    quiet = busy = 0.0
    for device in devices:
        poll_every_s = getattr(device.model, "poll_every_s", None)
        for name in device.model.channels:
            interval_s = device.kind.channels[name].interval_s
            quiet += 1 / interval_s
            busy += 1 / (min(poll_every_s, interval_s) if poll_every_s else interval_s)
    room = limit_bytes / BYTES_PER_READING
    return Bridging(room / quiet, room / busy)


def words(found: Bridging) -> str:
    """ "9d4h until the first loss if every channel moves at every reading, 80d if none does"."""
    busy, quiet = _rounded(found.busy_s), _rounded(found.quiet_s)
    how_long = busy if busy == quiet else f"{busy} if every channel moves at every reading, of {quiet} if none does"
    return f"bridges an outage of {how_long}; after that the oldest periodic readings go, alarms last"


def _rounded(seconds: float) -> str:
    """Two units at most, and nothing beyond what a disk lives."""
    if seconds > 3650 * DAY_S:
        return "more than ten years"
    step_s = 3600 if seconds >= DAY_S else 60
    return duration_words(max(seconds // step_s * step_s, 60))
