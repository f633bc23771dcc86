"""What the collectors say of edges, devices and quarantine, over their own HTTP interface. Blocks, and never for long.

A collector that is away is said so; the rest of the page stands all the same.
"""

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeVar

import httpx
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from messages.language import why
from messages.settings import ConfigError

PATIENCE_S = 2.0
ACTS_WITHIN_S = 60.0
"""A whole quarantine that is taken again takes its time."""
MOST_ANSWER_BYTES = 64 * 1024 * 1024


class CollectorAway(Exception):
    """A collector can't be asked, or doesn't do what it was asked for; the message says why."""


class _Row(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


T = TypeVar("T", bound=_Row)


class Seen(_Row):
    """One device, as a collector hears it."""

    device: str
    state: Literal["online", "late", "silent", "offline"]
    newest_reading_ms: int | None = None


class Present(_Row):
    """One edge, as a collector hears it."""

    site: str
    edge: str
    state: Literal["online", "silent", "offline"]
    heard_ms: int | None = None
    clock_trusted: bool | None = None
    clock_ahead_ms: int = 0
    clock_behind_ms: int = 0
    devices: list[Seen] = []


class Account(_Row):
    """One edge's ledger, in readings; None where the edge has not said."""

    site: str
    edge: str
    produced: int | None = None
    receipted: int | None = None
    pending: int | None = None
    dropped: int | None = None
    dropped_for: dict[str, int] = {}
    rejected_for: dict[str, int] = {}
    outbox_bytes: int | None = None
    software: str | None = None
    set_aside: list[str] = []
    status_at_ms: int | None = None
    stored: int
    quarantined: int
    late: int
    doubled_packs: int
    missing_packs: int
    breach: str | None = None


class Cause(_Row):
    """Why a message lies in quarantine."""

    fault: str
    detail: str
    device: str | None = None
    records: int = 1


class Held(_Row):
    """One message in quarantine."""

    id: int
    topic: str
    true_bytes: int
    kept_bytes: int
    received_at_ms: int
    reasons: list[Cause]

    @property
    def site(self) -> str | None:
        """Of the topic gridcall/1/<site>/…; None for one that is no edge's."""
        parts = self.topic.split("/")
        return parts[2] if len(parts) > 4 and parts[:2] == ["gridcall", "1"] else None


class _Whole(Held):
    payload: str


class _Count(_Row):
    messages: int


class Collector:
    """One of them. Any thread may ask. Every method raises CollectorAway."""

    def __init__(self, address: str, token: str | None) -> None:
        self.address = address
        self.opens = token is not None
        """Whether it lets us see what lies in quarantine."""
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self._client = httpx.Client(base_url=address, headers=headers, timeout=PATIENCE_S, trust_env=False)

    def presence(self) -> list[Present]:
        return self._rows("/presence", Present)

    def ledger(self) -> list[Account]:
        return self._rows("/ledger", Account)

    def held(self, after: int, most: int, *, reason: str = "", edge: str = "", device: str = "") -> list[Held]:
        asked = {"reason": reason, "edge": edge, "device": device}
        query = {"after": str(after), "most": str(most)} | {name: value for name, value in asked.items() if value}
        return self._rows("/quarantine/messages", Held, query)

    def whole(self, number: int) -> tuple[Held, bytes] | None:
        """One message with its bytes; None if it is not there any more."""
        answer = self._ask("GET", f"/quarantine/messages/{number}", missing_is_fine=True)
        if answer is None:
            return None
        try:
            found = _Whole.model_validate_json(answer)
            return found, base64.b64decode(found.payload)
        except ValueError as error:
            raise CollectorAway(f"{self.address}: what it answers can't be read") from error

    def act(self, what: Literal["retry", "drop"], ids: Sequence[int], actor: str) -> int:
        """How many messages left the quarantine."""
        content = {"ids": list(ids), "actor": actor}
        answer = self._ask("POST", f"/quarantine/{what}", content=content, within_s=ACTS_WITHIN_S)
        assert answer is not None
        return self._read(_Count, answer).messages

    def close(self) -> None:
        self._client.close()

    def _rows(self, path: str, of: type[T], query: dict[str, str] | None = None) -> list[T]:
        answer = self._ask("GET", path, query=query)
        assert answer is not None
        try:
            return TypeAdapter(list[of]).validate_json(answer)  # type: ignore[valid-type]
        except ValidationError as error:
            raise CollectorAway(f"{self.address}: what it answers can't be read") from error

    def _read(self, of: type[T], answer: bytes) -> T:
        try:
            return of.model_validate_json(answer)
        except ValidationError as error:
            raise CollectorAway(f"{self.address}: what it answers can't be read") from error

    def _ask(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, str] | None = None,
        content: object = None,
        within_s: float = PATIENCE_S,
        missing_is_fine: bool = False,
    ) -> bytes | None:
        try:
            answer = self._client.request(method, path, params=query, json=content, timeout=within_s)
        except httpx.HTTPError as error:
            raise CollectorAway(f"{self.address}: {type(error).__name__} {error}") from error
        if answer.status_code == 404 and missing_is_fine:
            return None
        if answer.status_code == 401:
            raise CollectorAway(f"{self.address}: it does not take our token")
        if answer.status_code != 200 or len(answer.content) > MOST_ANSWER_BYTES:
            raise CollectorAway(f"{self.address}: {answer.status_code} {answer.text[:200].strip()}")
        return answer.content


def token_in(path: Path | None) -> str | None:
    """Raises ConfigError when the file can't be read."""
    if path is None:
        return None
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("collector_token_file: {path}: {why}", path=path, why=why(error)) from error
