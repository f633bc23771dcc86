"""100,000 devices fall silent within one second: how late the timers are handled, alarms and all but the database, and how long the burst lasts.

Late is what comes after the moment at which a device has been silent for long enough, until its alarm is decided and the engine knows what
else to do. The clock is the core's own: it counts what the engine works and jumps over the time in between, so other work on the machine
makes nothing late. The collector of garbage runs as it does in the program.
"""

import gc
import time
from collections.abc import Iterator

from rules.engine.work import Work
from rules.language.change import Raised
from rules.shell.commands import GARBAGE
from tests.bench import _rules
from tests.bench.figure import Figure, percentile

DEVICES, SILENCE_S, SPREAD_MS, BATCH = 100_000, 600, 1_000, 10_000
RULE = f'raise = "silent_for(fill) > {SILENCE_S}"\nclear = "silent_for(fill) < 5"'


def run() -> Iterator[Figure]:
    gc.set_threshold(*GARBAGE)
    devices = _rules.bins(DEVICES)
    facts = _rules.facts(_rules.rules(RULE), devices)
    for at in range(0, DEVICES, BATCH):
        some = enumerate(devices[at : at + BATCH], at)
        readings = [_rules.said(device, _rules.T0 + index * SPREAD_MS // DEVICES, 20.0) for index, device in some]
        work = Work(facts)
        work.collect(_rules.SITE, _rules.EDGE, readings)
        work.settle(readings[-1].at_ms)
        facts.adopt(work)
    work = Work(facts)
    work.wake(_rules.T0 + (SILENCE_S - 1) * 1000, most=DEVICES)  # the timers of the sentence that clears
    facts.adopt(work)
    silent_ms = {device: _rules.T0 + at * SPREAD_MS // DEVICES + SILENCE_S * 1000 for at, device in enumerate(devices)}
    first_ms = facts.next_wake_ms()
    assert first_ms is not None
    late, jumped_ms = list[float](), first_ms - time.process_time() * 1000

    def clock_ms() -> int:
        return round(jumped_ms + time.process_time() * 1000)

    while (due_ms := facts.next_wake_ms()) is not None and len(late) < DEVICES:
        jumped_ms += max(0, due_ms - clock_ms())
        work = Work(facts)
        work.wake(clock_ms())
        facts.adopt(work)
        done_ms = clock_ms()
        raised = [found.device.id for found in work.found if isinstance(found.change, Raised)]
        late += [(done_ms - silent_ms[device]) / 1000 for device in raised]
    if len(late) != DEVICES:
        raise AssertionError(f"{len(late)} of {DEVICES} devices were found silent")
    yield Figure("devices", len(late), "alarms")
    yield Figure("lateness_p50", percentile(late, 0.5), "s")
    yield Figure("lateness_p99", percentile(late, 0.99), "s")
    yield Figure("burst", (clock_ms() - first_ms) / 1000, "s")
