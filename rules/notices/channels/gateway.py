"""SMS and voice through whatever provider a city has a contract with: its request is written in the settings, and how its answer is read.

The body is a template with $to $text $title $place $left $level $link $key $secret; values are escaped for JSON or for a form,
by `content_type`, so nothing that a device is called can break out.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from string import Template
from typing import Any
from urllib.parse import quote

import orjson

from messages.language import Phrase, phrase
from rules.notices.channels.base import Failed, Message, Outcome, Taken
from rules.notices.channels.http import Http, as_object

JSON, FORM = "application/json", "application/x-www-form-urlencoded"
WORDS = ("to", "text", "title", "place", "left", "level", "link", "key", "secret", "language")


@dataclass(slots=True, kw_only=True)
class Gateway:
    """One provider."""

    url: str
    method: str = "POST"
    content_type: str = JSON
    body: str
    headers: Mapping[str, str] = field(default_factory=dict)
    secret: str = ""
    ok_field: str = ""
    """Where in a JSON answer it says that it was taken ("code", "result.status"); empty: a status below 300 says so."""
    ok_values: tuple[Any, ...] = (0, "0", "OK")
    throttled_values: tuple[Any, ...] = ()
    again_values: tuple[Any, ...] = ()
    """What means: try again."""
    id_field: str = ""
    http: Http = field(default_factory=Http)

    def send(self, message: Message, to: str) -> Outcome:
        words = _words(message, to, self.secret)
        body = Template(self.body).substitute(
            {name: _escaped(value, self.content_type) for name, value in words.items()}
        )
        url = Template(self.url).substitute({name: quote(value, safe="") for name, value in words.items()})
        headers = {name: Template(value).substitute(words) for name, value in self.headers.items()}
        said = self.http.ask(self.method, url, body.encode(), {"content-type": self.content_type, **headers})
        return said if isinstance(said, Failed) else self._judged(said)

    def _judged(self, body: bytes) -> Outcome:
        if not self.ok_field and not self.id_field:
            return Taken()
        said = as_object(body)
        if isinstance(said, Failed):
            return said
        name = str(_at(said, self.id_field) or "") if self.id_field else ""
        if not self.ok_field or _is_one_of(code := _at(said, self.ok_field), self.ok_values):
            return Taken(name)
        why = body[:200].decode(errors="replace")
        if _is_one_of(code, self.throttled_values):
            return Failed(why, throttled_s=60.0)
        return Failed(why, for_good=not _is_one_of(code, self.again_values))


def _words(message: Message, to: str, secret: str) -> dict[str, str]:
    return {
        "to": to,
        "text": message.whole(),
        "title": message.title,
        "place": message.place,
        "left": message.left,
        "level": message.level,
        "link": message.link,
        "key": message.key,
        "secret": secret,
        "language": message.language,
    }


def _escaped(value: str, content_type: str) -> str:
    return orjson.dumps(value).decode()[1:-1] if content_type == JSON else quote(value, safe="")


def _is_one_of(code: Any, values: Iterable[Any]) -> bool:
    """False is no 0: "success": false is no yes where 0 is one."""
    return any(code == one and isinstance(code, bool) == isinstance(one, bool) for one in values)


def _at(content: Any, path: str) -> Any:
    for part in path.split("."):
        content = content.get(part) if isinstance(content, dict) else None
    return content


def wrong_template(text: str) -> Phrase | None:
    """What is wrong with a template; None if nothing is."""
    template = Template(text)
    if not template.is_valid():
        return phrase("a $ that begins no word; write $$ for the character")
    unknown = [name for name in template.get_identifiers() if name not in WORDS]
    words = ", ".join(f"${word}" for word in WORDS)
    return phrase("no word ${name}; there are: {words}", name=unknown[0], words=Phrase(words)) if unknown else None
