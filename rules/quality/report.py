"""The figures of a site in words, for a terminal, and as plain data."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from rules.quality.figures import FLOODED_SLOTS, PER_DAY, PER_SLOT, PRIORITIES, STANDING, Quality, Rate, Times


def page(found: Quality) -> Iterator[str]:
    days = (found.to_ms - found.from_ms) / 86_400_000
    yield f"{found.site}: {found.alarms} alarms in {days:.3g} days, {found.operators} operator{'s' * (found.operators > 1)}"
    if found.quiet:
        yield f"  {found.quiet} of them called nobody: shelved, suppressed or out of service"
    yield from _rate("per operator", found.rate)
    for grid, rate in found.grids.items():
        yield f"  grid {grid}: {rate.per_day:.3g} a day, at most {rate.most_in_slot:.3g} in ten minutes"
    if found.priorities:
        mix = (f"{name} {share:.0%} ({PRIORITIES[name]:.0%})" for name, share in found.priorities.items())
        yield f"  priorities (guidance): {', '.join(mix)}"
    yield f"  floods: {found.floods}"
    yield f"  standing for a day or longer: {found.standing_count} (guidance: fewer than {STANDING})"
    for one in found.standing:
        yield f"    {one.device} {one.rule}, {one.level}, {one.hours:.0f} h"
    if found.repeaters:
        yield "  most repeated"
    for again in found.repeaters:
        chattered = f", chattered {again.chattered} times" if again.chattered else ""
        yield f"    {again.device} {again.rule}: {again.occurrences} times{chattered}"
    if found.false:
        yield "  false alarms, by model"
    for false in found.false:
        yield f"    {false.model}: {false.false} of {false.closed} closed cases, {false.share:.0%}"
    for name, times in (("acknowledge", found.acknowledge), ("accept", found.accept), ("close", found.close)):
        yield f"  to {name}: {_times(times)}"


def _rate(whose: str, rate: Rate) -> Iterator[str]:
    yield f"  rings {whose}: {rate.per_day:.3g} a day (guidance: {PER_DAY:.0f}), {rate.per_slot:.2g} in ten minutes ({PER_SLOT:.0f})"
    yield (
        f"  ten-minute slots with more than ten: {rate.flooded:.2%} (guidance: {FLOODED_SLOTS:.0%});"
        f" the fullest had {rate.most_in_slot:.3g}"
    )


def _times(times: Times) -> str:
    if times.median_s is None or times.p95_s is None:
        return "never happened"
    return f"median {_span(times.median_s)}, p95 {_span(times.p95_s)}, {times.count} times"


def _span(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


def as_json(found: Quality) -> dict[str, Any]:
    content = asdict(found)
    content["false"] = [{**asdict(one), "share": one.share} for one in found.false]
    content["guidance"] = {
        "per_day": PER_DAY,
        "per_slot": PER_SLOT,
        "flooded": FLOODED_SLOTS,
        "standing_below": STANDING,
        "priorities": dict(PRIORITIES),
    }
    return content
