"""`[webhooks.NAME]` of rules.toml: where news go, which, of which sites, and in which form. And when a failed one is tried again. Pure but for the secret's file."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field

from messages.ids import Identifier
from messages.language import Unfit, why
from messages.settings import ConfigError, Folder, Seconds, Settings
from rules.notices import signing
from rules.notices.channels.base import TIMEOUT_S
from rules.outside.reading import Change

if TYPE_CHECKING:
    from rules.notices.channels.http import Http

_EVENT = re.compile(r"\*|(alarm|case|sla|notify|oncall|device|drill)\.(\*|[a-z_]{1,30})")
_HELD_MS = 86_400_000
"""How long one delivery is tried; then the webhook is disabled."""
_FIRST_S, _MOST_S = 5.0, 3600.0


def _web(text: str) -> str:
    if not text.startswith(("https://", "http://")):
        raise Unfit('an address such as "https://city.example.org/hooks/gridcall" is wanted')
    return text


def _event(text: str) -> str:
    if not _EVENT.fullmatch(text):
        raise Unfit('names of events are wanted, such as "case.accepted", "alarm.*" or "*"')
    return text


class HookText(Settings):
    """One webhook as it is written."""

    url: Annotated[str, AfterValidator(_web)]
    secret_file: Folder
    """Its first line is the key of the signatures, as Standard Webhooks writes it: "whsec_…" in base64."""
    events: Annotated[list[Annotated[str, AfterValidator(_event)]], Field(min_length=1)] = Field(
        default_factory=lambda: ["case.*", "alarm.*"]
    )
    sites: Annotated[list[Identifier], Field(min_length=1)] | None = None
    format: Literal["json", "cap"] = "json"
    timeout_s: Annotated[Seconds, Field(gt=0, le=30)] = Field(default=TIMEOUT_S, alias="timeout")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """One webhook, ready to be served."""

    name: str
    url: str
    key: bytes
    events: tuple[str, ...]
    sites: tuple[str, ...] | None
    format: Literal["json", "cap"]
    http: "Http"

    def wants(self, change: Change) -> bool:
        """Whether its owner has asked for such news."""
        if self.sites is not None and change.site not in self.sites:
            return False
        event = change.line.event
        return any(one in ("*", event) or (one.endswith(".*") and event.startswith(one[:-1])) for one in self.events)


def hooks(written: Mapping[str, HookText], base: Path) -> tuple[Hook, ...]:
    """Raises ConfigError that names the webhook."""
    return tuple(_hook(name, text, base) for name, text in written.items())


def _hook(name: str, text: HookText, base: Path) -> Hook:
    from rules.notices.channels.http import Http  # as rules.notices.config does

    path = base / text.secret_file
    try:
        key = signing.secret(path.read_text(encoding="utf-8").partition("\n")[0].strip())
    except (OSError, ValueError) as error:
        raise ConfigError(
            "webhooks.{name}: secret_file: {path}: {why}", name=name, path=path, why=why(error)
        ) from error
    return Hook(
        name=name,
        url=text.url,
        key=key,
        events=tuple(text.events),
        sites=None if text.sites is None else tuple(text.sites),
        format=text.format,
        http=Http(text.timeout_s),
    )


def again_ms(attempts: int, now_ms: int, asked_s: float | None = None) -> int:
    """When it is tried again after so many failures: doubling from 5 s to an hour, and not before the receiver wants to be asked."""
    pause_s = min(_FIRST_S * (1 << min(attempts - 1, 16)), _MOST_S)
    return now_ms + round(max(pause_s, min(asked_s or 0.0, _MOST_S)) * 1000)


def is_over(queued_at_ms: int, now_ms: int) -> bool:
    """Whether it has been tried for long enough."""
    return now_ms - queued_at_ms >= _HELD_MS
