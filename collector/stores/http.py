"""HTTP as the stores need it: connections that are kept, errors in the store's words, gzip where the line is slow."""

import gzip
import json
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import NamedTuple

import urllib3

from collector.stores.base import WRITERS, StoreAway, StoreLocked

CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 5.0, 30.0
GZIP_LEVEL = 1
"""docs/decisions/0026: 9 costs ten times the processor for a fifth less to send."""
MOST_RETRY_AFTER_S = 300.0
"""A database that asks for more is asked again earlier."""

NOT_LET_IN = (401, 403)
CONTENT_REFUSED = (400, 413, 422)
"""What was sent is at fault, or too much: of a write, a half of it may be taken."""


class Answer(NamedTuple):
    status: int
    text: str
    headers: Mapping[str, str]


class Http:
    """One database server. Any thread may use it."""

    def __init__(
        self,
        url: str,
        *,
        username: str | None = None,
        password: str | None = None,
        token: str | None = None,
        packed: bool = False,
    ) -> None:
        """`packed`: what is written travels as gzip."""
        self.url = url
        self._headers: dict[str, str] = {"Authorization": f"Bearer {token}"} if token else {}
        if username:
            self._headers |= urllib3.make_headers(basic_auth=f"{username}:{password or ''}")
        self._packed = packed
        timeout = urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=READ_TIMEOUT_S)
        self._pool = urllib3.PoolManager(maxsize=WRITERS + 1, timeout=timeout, retries=False)

    def get(self, path: str) -> Answer:
        """Raises StoreAway if nobody answers."""
        return self._ask("GET", path, None, {})

    def post(self, path: str, body: bytes, content_type: str) -> Answer:
        """Raises StoreAway if nobody answers."""
        return self._ask("POST", path, body, {"Content-Type": content_type})

    def json(self, path: str, content: object) -> Answer:
        """Raises StoreAway if nobody answers."""
        return self.post(path, json.dumps(content).encode(), "application/json")

    def write(self, path: str, body: bytes) -> Answer:
        """Line protocol, packed if that is wished for. Raises StoreAway if nobody answers."""
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        if self._packed:
            headers["Content-Encoding"] = "gzip"
            body = gzip.compress(body, GZIP_LEVEL)
        return self._ask("POST", path, body, headers)

    def away(self, answer: Answer, words: str) -> StoreAway:
        """The error for an answer that asks us to come again."""
        return away(answer.status, f"{self.url}: answers {answer.status}: {words}", answer.headers)

    def close(self) -> None:
        self._pool.clear()

    def _ask(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        try:
            answer = self._pool.request(method, self.url + path, body=body, headers={**self._headers, **headers})
        except urllib3.exceptions.HTTPError as error:
            raise StoreAway(f"{self.url}: {error}") from error
        return Answer(answer.status, answer.data.decode(errors="replace"), answer.headers)


def away(status: int, words: str, headers: Mapping[str, str]) -> StoreAway:
    """The error for a status that is no fault of what was written."""
    error = StoreLocked if status in NOT_LET_IN else StoreAway
    return error(words, retry_after_s=retry_after_s(headers))


def retry_after_s(headers: Mapping[str, str]) -> float:
    """What an answer's Retry-After asks for, in seconds or as a date; 0 if there is none that can be read."""
    text = headers.get("Retry-After", "")
    if text.strip().isdecimal():
        return min(float(text), MOST_RETRY_AFTER_S)
    try:
        until, now = parsedate_to_datetime(text), parsedate_to_datetime(headers.get("Date", ""))
    except (ValueError, TypeError):
        return 0.0
    return min(max((until - now).total_seconds(), 0.0), MOST_RETRY_AFTER_S)
