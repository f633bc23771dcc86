"""Readings of devices that nobody has announced: they wait for the announcement, as long as there is room."""

from messages.reading import Reading
from rules.engine.draft import Draft
from rules.engine.memory.plant import TellerKey

MOST_WAITING, MOST_WAITING_OF_EDGE = 10_000, 1_000
"""Readings of unannounced devices that are kept. The first ones stay; what comes after is dropped and counted."""


def strand(draft: Draft, teller: TellerKey, reading: Reading) -> None:
    """Keep a reading, or count that there was no room."""
    edge = teller[:2]
    if draft.waiting < MOST_WAITING and draft.waiting_of[edge] < MOST_WAITING_OF_EDGE:
        draft.stranded.setdefault(teller, []).append(reading)
        draft.waiting_of[edge] += 1
        draft.waiting += 1
    else:
        draft.dropped += 1


def awaited(draft: Draft, teller: TellerKey) -> list[Reading]:
    """What waited for this announcement, and waits no longer."""
    readings = draft.stranded.pop(teller, [])
    if teller in draft.facts.waiting and teller not in draft.awaited:
        draft.awaited.append(teller)
        readings = draft.facts.waiting[teller] + readings
    draft.waiting_of[teller[:2]] -= len(readings)
    draft.waiting -= len(readings)
    return readings
