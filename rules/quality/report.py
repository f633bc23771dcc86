"""The figures of a site in words, for a terminal, and as plain data."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from messages.language import NOTHING, Phrase, phrase
from rules.quality.figures import DAY_MS, FLOODED_SLOTS, PER_DAY, PER_SLOT, PRIORITIES, STANDING, Quality, Rate, Times


def page(found: Quality, asked_ms: int, begins: str) -> Iterator[Phrase]:
    """`asked_ms`: from when on figures were wanted. `begins`: when they do begin, by the site's clock."""
    span_ms = found.to_ms - found.from_ms
    yield phrase(
        "{site}: {alarms} alarms in {span}, {operators}",
        site=found.site,
        alarms=found.alarms,
        span=phrase("{n:.3g} days", n=span_ms / DAY_MS) if span_ms >= DAY_MS else _span(span_ms / 1000),
        operators=phrase("{n} operators", n=found.operators) if found.operators > 1 else phrase("1 operator"),
    )
    if found.from_ms > asked_ms:
        yield phrase("  the log begins on {begins} only: rates are of the time since", begins=begins)
    if found.quiet:
        yield phrase("  {n} of them called nobody: shelved, suppressed or out of service", n=found.quiet)
    if span_ms < DAY_MS:
        yield phrase("  less than a day of the log: too short for rates")
    else:
        yield from _rate(found.rate)
    for grid, rate in found.grids.items():
        day = phrase("{n} a day", n=few(rate.per_day)) if span_ms >= DAY_MS else phrase("{n} rings", n=rate.rings)
        yield phrase(
            "  grid {grid}: {rate}, at most {most} in ten minutes", grid=grid, rate=day, most=few(rate.most_in_slot)
        )
    if found.priorities:
        mix = (f"{name} {share:.0%} ({PRIORITIES[name]:.0%})" for name, share in found.priorities.items())
        yield phrase("  priorities (guidance): {mix}", mix=", ".join(mix))
    yield phrase("  floods: {n}", n=found.floods)
    yield phrase(
        "  standing for a day or longer: {n} (guidance: fewer than {most})", n=found.standing_count, most=STANDING
    )
    for one in found.standing:
        yield phrase(
            "    {device} {rule}, {level}, {hours:.0f} h",
            device=one.device,
            rule=one.rule,
            level=Phrase(one.level),
            hours=one.hours,
        )
    if found.repeaters:
        yield phrase("  most repeated")
    for again in found.repeaters:
        chattered = phrase(", chattered {n} times", n=again.chattered) if again.chattered else NOTHING
        yield phrase(
            "    {device} {rule}: {n} times{chattered}",
            device=again.device,
            rule=again.rule,
            n=again.occurrences,
            chattered=chattered,
        )
    if found.false:
        yield phrase("  false alarms, by model")
    for false in found.false:
        yield phrase(
            "    {model}: {false} of {closed} closed cases, {share:.0%}",
            model=false.model,
            false=false.false,
            closed=false.closed,
            share=false.share,
        )
    yield phrase("  to acknowledge: {times}", times=_times(found.acknowledge))
    yield phrase("  to accept: {times}", times=_times(found.accept))
    yield phrase("  to close: {times}", times=_times(found.close))


def _rate(rate: Rate) -> Iterator[Phrase]:
    yield phrase(
        "  rings per operator: {day} a day (guidance: {per_day:.0f}), {slot} in ten minutes ({per_slot:.0f})",
        day=few(rate.per_day),
        per_day=PER_DAY,
        slot=few(rate.per_slot),
        per_slot=PER_SLOT,
    )
    yield phrase(
        "  ten-minute slots with more than ten: {flooded:.2%} (guidance: {most:.0%}); the fullest had {fullest}",
        flooded=rate.flooded,
        most=FLOODED_SLOTS,
        fullest=few(rate.most_in_slot),
    )


def _times(times: Times) -> Phrase:
    if times.median_s is None or times.p95_s is None:
        return phrase("never happened")
    return phrase(
        "median {median}, p95 {p95}, {n} times", median=_span(times.median_s), p95=_span(times.p95_s), n=times.count
    )


def _span(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


def few(number: float) -> str:
    """A rate as a person reads it: three digits of what is small, whole numbers of what is not."""
    if 0 < number < 0.01:
        return "< 0.01"
    return f"{number:.3g}" if number < 100 else f"{number:,.0f}"


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
