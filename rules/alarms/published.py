"""An alarm as any other system may read it: on its MQTT topic, by the REST interface, in a webhook. Pure."""

from messages.alarm import PublishedAlarm
from rules.records import Alarm

UNSAID = "notify."
"""How the events begin that change nothing of what is published: what becomes of calls."""


def published(alarm: Alarm) -> PublishedAlarm:
    over = alarm.overlays
    return PublishedAlarm(
        id=alarm.id,
        site=alarm.site,
        device=alarm.device,
        kind=alarm.kind,
        rule=alarm.rule,
        level=alarm.level,
        state=alarm.state,
        raised_at_ms=alarm.raised_at_ms,
        changed_at_ms=alarm.changed_at_ms,
        title=alarm.title,
        place=alarm.place,
        values=dict(alarm.evidence),
        occurrences=alarm.occurrences,
        shelved_until_ms=over.shelved.until_ms if over.shelved else None,
        out_of_service_until_ms=over.out_of_service.until_ms if over.out_of_service else None,
        suppressed_by=list(over.suppressed),
        uncertain=list(over.uncertain),
        chattering=over.chattering,
        case=alarm.case.id if alarm.case else None,
        case_state=alarm.case.state if alarm.case else None,
    )
