"""The label on an asset: its code, how that is written, and how it is read from a scan or from fingers. Pure.

Twelve of Crockford's 32 signs (60 bits, random): nobody guesses one, and nothing of site or device can be read from it. Its base 32 has no
I, L, O and U, so what a person mistakes for 1 and 0 is read as they were meant.
"""

import re
from dataclasses import dataclass

from messages.ids import DeviceId, SiteId

SIGNS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH = 12
GROUP = 4
PATH = "/a/"
"""Before the code, in the address that a QR code holds."""
_MEANT = str.maketrans("OIL", "011")


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What is stuck on a device."""

    code: str
    site: SiteId
    device: DeviceId
    made_at_ms: int
    made_by: str
    ended_at_ms: int | None = None
    ended_by: str | None = None
    why: str = ""
    """Why it was replaced."""

    @property
    def holds(self) -> bool:
        return self.ended_at_ms is None


def shown(code: str) -> str:
    """As it stands in letters on a label: K7Q2-M9XD-4TRB."""
    return "-".join(code[at : at + GROUP] for at in range(0, len(code), GROUP))


def read(text: str) -> str:
    """The code in what was scanned, an address of whichever host, or typed; empty where there is none."""
    last = text.strip().partition("?")[0].rpartition(PATH)[2]
    signs = re.sub(r"[\s\-–—]", "", last).upper().translate(_MEANT)
    return signs if len(signs) == LENGTH and set(signs) <= set(SIGNS) else ""
