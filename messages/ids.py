"""Names of things. A `NewType` each, so that a device is never passed where an edge is meant."""

import hashlib
import re
from functools import lru_cache
from typing import Annotated, NewType

from pydantic import StringConstraints

SiteId = NewType("SiteId", str)
EdgeId = NewType("EdgeId", str)
DeviceId = NewType("DeviceId", str)
StreamId = NewType("StreamId", str)

COLLECTOR = EdgeId("collector")
"""What the collector speaks as where it speaks of itself and of the edges' ledgers; no edge may be called so."""

IDENTIFIER = r"^[a-z0-9][a-z0-9_-]{0,62}$"
"""An id is part of an MQTT topic, of a SenML name (RFC 8428 section 4.5.1) and of a line-protocol tag:
lower-case letters, digits, hyphen and underscore are safe in all three."""

Identifier = Annotated[str, StringConstraints(pattern=IDENTIFIER)]

ONE_LINE = r"^[^\x00-\x1f\x7f]*$"
"""Text without control characters: it may stand in a log, a page and a line-protocol tag."""

_IDENTIFIER = re.compile(IDENTIFIER)


LONGEST = 63


def part_of(edge: EdgeId, word: str) -> DeviceId:
    """The device by which somebody else speaks of a part of an edge, e.g. `pi-1-link`. A very long name is cut and marked, so that no two edges
    share one."""
    end = f"-{word}"
    if len(edge) + len(end) <= LONGEST:
        return DeviceId(f"{edge}{end}")
    mark = hashlib.blake2b(edge.encode(), digest_size=4).hexdigest()
    return DeviceId(f"{edge[: LONGEST - len(mark) - len(end)]}{mark}{end}")


def ledger_of(edge: EdgeId) -> DeviceId:
    """By which the collector speaks of the ledger that it keeps of an edge."""
    return part_of(edge, "ledger")


def is_identifier(text: str) -> bool:
    return len(text) <= LONGEST and _is_identifier(text)


@lru_cache(maxsize=16384)
def _is_identifier(text: str) -> bool:
    """The same few are asked for again and again; what is long is never remembered."""
    return _IDENTIFIER.fullmatch(text) is not None
