"""How long a device may say nothing, and how often it is noted that it speaks."""

from messages.kind import Kind

SILENT_INTERVALS = 2.5
"""A device is silent that has said nothing for so many of its shortest intervals: every channel is sent at least once
in its own (section 4 of the field notes)."""
UNKNOWN_INTERVAL_S = 600.0
"""Of a kind that we don't know; nothing that such a device says is understood."""
NOTE_EVERY_MS = 60_000
"""How often it is written down that a device speaks, where its intervals don't ask for more."""


def patience_ms(kind: Kind | None) -> int:
    """How long a device of a kind may say nothing."""
    interval_s = min(one.interval_s for one in kind.channels.values()) if kind else UNKNOWN_INTERVAL_S
    return round(SILENT_INTERVALS * interval_s * 1000)


def spoken_before_ms(patience_ms: int) -> int:
    """How long before a device would count as silent its next word is worth noting."""
    return patience_ms - min(NOTE_EVERY_MS, patience_ms // 5)
