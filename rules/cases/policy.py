"""What is promised of a case by its level, and when whom is called: settled once, at the opening. Pure."""

from dataclasses import dataclass

from messages.alarm import Level


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """All times in seconds from the opening of the case; None: not promised."""

    accept_s: int | None
    arrive_s: int | None


POLICIES: dict[Level, Policy] = {
    "red": Policy(
        accept_s=60, arrive_s=600
    ),  # 「1分钟接单,10分钟到场」, the field's own figure (1d of the field notes)
    "orange": Policy(accept_s=180, arrive_s=1800),  # engineering default, section 4
    "yellow": Policy(accept_s=1800, arrive_s=None),  # engineering default, section 4
    "blue": Policy(accept_s=None, arrive_s=None),  # a daily list
}
