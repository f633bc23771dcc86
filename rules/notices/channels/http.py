"""Requests to providers: a few seconds for the whole of it, no redirects, no retries of their own (those are rows), answers of bounded size."""

from collections.abc import Mapping
from typing import Any

import orjson
import urllib3
from urllib3.exceptions import HTTPError

from rules.notices.channels.base import TIMEOUT_S, Failed
from rules.notices.channels.exchange import POOLS, Exchange

MOST_BYTES = 64 * 1024
_THROTTLED_S = 60.0
"""How long a provider is left alone that says "too often" without saying for how long."""


class Http:
    """One provider's connections. `timeout_s`: for a whole exchange, the search for the address apart."""

    def __init__(self, timeout_s: float = TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        timeout = urllib3.Timeout(connect=timeout_s, read=timeout_s, total=timeout_s)
        self._pool = urllib3.PoolManager(num_pools=4, maxsize=8, timeout=timeout, retries=False)
        self._pool.pool_classes_by_scheme = POOLS

    def ask(
        self, method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> bytes | Failed:
        """The body of an answer below 300. What a network or an HTTP status says by itself is judged here."""
        with Exchange(self._timeout_s) as exchange:
            try:
                answer = self._pool.request(
                    method, url, body=body, headers=dict(headers or {}), redirect=False, preload_content=False
                )
                try:
                    content = answer.read(MOST_BYTES)
                finally:
                    answer.release_conn()
            except (HTTPError, OSError) as error:
                return Failed(f"{type(error).__name__}: no answer")  # an address may hold a key: it is not repeated
        if exchange.cut:  # what ended was the connection, not the answer
            return Failed(f"no whole answer within {self._timeout_s:g} s")
        if answer.status == 429:
            return Failed("429", throttled_s=_retry_after_s(answer.headers.get("retry-after")))
        if answer.status >= 300:
            for_good = answer.status < 500 and answer.status != 408
            return Failed(f"{answer.status}: {content[:200].decode(errors='replace')}", for_good=for_good)
        return content

    def ask_json(self, url: str, content: Any, headers: Mapping[str, str] | None = None) -> dict[str, Any] | Failed:
        """POST and answer as JSON objects."""
        said = self.ask("POST", url, orjson.dumps(content), {"content-type": "application/json", **(headers or {})})
        if isinstance(said, Failed):
            return said
        return as_object(said)


def as_object(body: bytes) -> dict[str, Any] | Failed:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        found = None
    return found if isinstance(found, dict) else Failed(f"no JSON object: {body[:100].decode(errors='replace')}")


def _retry_after_s(text: str | None) -> float:
    return min(float(text), 3600.0) if text and text.isdecimal() else _THROTTLED_S
