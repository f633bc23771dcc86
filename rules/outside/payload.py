"""What a webhook says in JSON, by Standard Webhooks 1.0: type, timestamp, data. Pure."""

from datetime import UTC, datetime
from typing import Any

import orjson

from rules.alarms.published import published
from rules.outside.reading import Change
from rules.records import Alarm, Case

CONTENT_TYPE = "application/json"


def news(change: Change, case: Case | None, alarm: Alarm | None, upstream: tuple[str, str] | None) -> bytes:
    """One line of the log, and its case and alarm as they were when it was queued."""
    line = change.line
    moment = datetime.fromtimestamp(line.at_ms / 1000, UTC)
    return orjson.dumps(
        {
            "type": line.event,
            "timestamp": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "data": {
                "position": str(change.position),
                "seq": line.seq,
                "number": line.number,
                "at_ms": line.at_ms,
                "device_at_ms": line.device_at_ms,
                "site": change.site,
                "actor": line.actor,
                "detail": line.detail,
                "case": case_of(case, upstream) if case else None,
                "alarm": published(alarm).model_dump() if alarm else None,
            },
        }
    )


_PLAIN = (
    *("id", "site", "kind", "subject", "owner", "level", "origin", "lat", "lon", "rung", "outcome", "reason", "parent"),
    *("opened_at_ms", "accept_by_ms", "arrive_by_ms", "handle_by_ms", "dispatched_at_ms", "dispatched_to"),
    *("accepted_at_ms", "accepted_by", "checked_in_at_ms", "checked_in_by", "on_site_at_ms", "on_site_by"),
    *("handling_at_ms", "feedback_at_ms", "feedback_by", "verified_by", "closed_at_ms", "closed_by", "archived_at_ms"),
)


def case_of(case: Case, upstream: tuple[str, str] | None) -> dict[str, Any]:
    """As GET /api/v1/cases/{case} has it, without what it holds."""
    return {name: getattr(case, name) for name in _PLAIN} | {
        "state": str(case.state),
        "title": case.title.model_dump(),
        "place": case.place.model_dump(),
        "upstream": {"system": upstream[0], "reference": upstream[1]} if upstream else None,
    }
