"""What of a broker is too small for a collector: said at every connect, since it loses readings or holds them up. Pure."""

from messages.bus import SESSION_EXPIRY_S, Welcome
from messages.pack import LIMIT_BYTES

PACKET_BYTES = LIMIT_BYTES + 1024
"""A pack with its topic and head."""
UNANSWERED = 20
"""Receipts at the same time: one for each edge of a small town's block is more than one at a time."""
DAY_S = 24 * 3600


def too_small(welcome: Welcome, *, shares: bool) -> list[str]:
    """One sentence each; `shares`: the work is shared by a group. How much it keeps for the absent no broker tells: queue_probe.py."""
    found = []
    if welcome.highest_qos < 1 or welcome.granted_qos == 0:
        found.append("it grants QoS 0 only: every message that is under way when a link breaks is lost")
    if welcome.session_expiry_s is not None and welcome.session_expiry_s < SESSION_EXPIRY_S:
        found.append(
            f"it forgets us {_span(welcome.session_expiry_s)} after we have gone, and what it keeps for us with it;"
            f" {_span(SESSION_EXPIRY_S)} were asked for"
        )
    if welcome.packet_bytes is not None and welcome.packet_bytes < PACKET_BYTES:
        found.append(f"it takes packets of {welcome.packet_bytes} bytes at most; a pack may need {PACKET_BYTES}")
    if welcome.receive_maximum < UNANSWERED:
        found.append(
            f"it takes {welcome.receive_maximum} unanswered messages at a time; {UNANSWERED} or more keep receipts swift"
        )
    if not welcome.retains:
        found.append("it retains nothing: whoever starts after the edges does not hear which devices there are")
    if not welcome.wildcards:
        found.append("it knows no wildcards: we hear of no edge")
    if shares and not welcome.shared_subscriptions:
        found.append("it knows no shared subscriptions: a group can't share the work")
    return found


def _span(seconds: int) -> str:
    return f"{seconds / DAY_S:g} days" if seconds >= DAY_S else f"{seconds} s"
