"""Words, templates and alarms become HTML: whole pages for a browser, pieces of them for the live feed.

The same template draws a row in the page and in the feed. Everything that a device or a person wrote is escaped by
Jinja; no fragment holds a secret of one reader, since all readers of a language get the same bytes.
"""

from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from console import card
from console.board import Tally
from console.called import Called
from console.freshness import Vitals, is_quiet, judge, silent_words
from console.words import Words
from messages.direction import straight
from messages.kind import Channel, Kind, Kinds
from messages.language import Language
from messages.settings import Text
from rules.drills.drill import Drill
from rules.duty.folder import SiteFolder
from rules.records import Alarm

_FOLDER = Path(str(files("console"))) / "pages"


class Fragments:
    """The templates of `pages/`, with the words of each language."""

    def __init__(self, words: Mapping[Language, Words], kinds: Kinds, site_name: Text) -> None:
        self._words = words
        self._kinds = kinds
        self.drills: Callable[[], Sequence[Drill]] = tuple
        """Those that run now; set by who knows."""
        self._templates = Environment(
            loader=FileSystemLoader(_FOLDER),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            finalize=_shown,
        )
        self._templates.filters["path"] = lambda text: quote(text, safe="")
        self._templates.filters["cause"] = _cause
        self._templates.filters["doubt"] = lambda doubt, words: words(f"doubt.{doubt}")
        self._templates.globals |= {
            "site_name": site_name,
            "numerals": card.NUMERALS,
            "next_step": card.next_step,
            "promise": card.promise,
            "promise_of": card.promise_of,
            "calls_out": card.calls_out,
            "marks": card.marks,
            "calling": card.calling,
            "order": card.order,
            "is_quiet": is_quiet,
            "silent_words": silent_words,
            "facts": self._facts,
            "fault": _fault,
            "drills": self._running_drills,
            "is_personal": self.is_personal,
            "kind_of": lambda alarm: self._kinds.get(alarm.kind),
            "kind_name": self.kind_name,
            "called": Called(SiteFolder(None)),  # until somebody offers the sites' files
        }

    def offer(self, **more: Any) -> None:
        """What templates may use besides."""
        self._templates.globals |= more

    def _running_drills(self) -> Sequence[Drill]:
        return self.drills()

    def words(self, language: Language) -> Words:
        return self._words[language]

    def kind(self, name: str) -> Kind | None:
        return self._kinds.get(name)

    def named(self, name: str, words: Words) -> str | None:
        """What a kind is called, or a channel of whichever kind."""
        if name in self._kinds:
            return words.of(self._kinds[name].name)
        found = next((kind.channels[name] for kind in self._kinds.values() if name in kind.channels), None)
        return words.of(found.name) if found else None

    def channel(self, alarm: Alarm, name: str) -> Channel | None:
        kind = self._kinds.get(alarm.kind)
        return kind.channels.get(name) if kind else None

    def page(self, template: str, language: Language, now_ms: int, **values: Any) -> str:
        return self._templates.get_template(template).render(w=self._words[language], now_ms=now_ms, **values)

    def entry(self, alarm: Alarm, language: Language, now_ms: int) -> dict[str, object]:
        """One row for the feed: where it belongs, how it looks, and what is said of it aloud."""
        words = self._words[language]
        level, title, place = words(f"level.{alarm.level}"), words.of(alarm.title), alarm.place.text
        return {
            "id": alarm.id,
            "order": card.order(alarm),
            "html": self.page("row.html", language, now_ms, alarm=alarm),
            "case": alarm.case.id if alarm.case else None,
            "level": alarm.level,
            "calls": card.called_at_ms(alarm) if card.calls_out(alarm) else None,
            "rings": alarm.known_at_ms if alarm.overlays.annunciated and alarm.case else None,
            "say": words("feed.new", level=level, title=title, place=place),
        }

    def beat(
        self, vitals: Vitals | None, language: Language, now_ms: int, rest: Sequence[Tally] = ()
    ) -> dict[str, object]:
        """How far the page may be believed, and the pieces that say so; in a flood, what `rest` there is beside the red alarms."""
        freshness = judge(vitals, self._words[language], now_ms)
        return {
            "verdict": freshness.verdict,
            "reasons": " ".join(freshness.reasons),
            "as_of": self._words[language].time(now_ms, now_ms),
            "strip": self.page("strip.html", language, now_ms, freshness=freshness),
            "edges": self.page("edges.html", language, now_ms, edges=vitals.edges if vitals else None),
            "flood": self.page("flood.html", language, now_ms, vitals=vitals, rest=rest),
            "calm": self.page("calm.html", language, now_ms, vitals=vitals, freshness=freshness),
        }

    def kind_name(self, kind: str, words: Words) -> str:
        """Of a device kind, or of a class of reports, which has no other name."""
        found = self._kinds.get(kind)
        return words.of(found.name) if found else kind

    def is_personal(self, alarm: Alarm) -> bool:
        """Whether its readings tell how somebody lives."""
        kind = self._kinds.get(alarm.kind)
        return kind is not None and kind.personal

    def _facts(self, alarm: Alarm, words: Words) -> list[tuple[str, str]]:
        """The readings that raised it, as far as everybody may see them."""
        return (
            [(words("people.readings"), words("people.hidden"))]
            if self.is_personal(alarm)
            else self.readings(alarm, words)
        )

    def readings(self, alarm: Alarm, words: Words) -> list[tuple[str, str]]:
        """The readings that raised it, the leading channel first, each with its name."""
        names = [name for name in alarm.channels if name in alarm.evidence]
        names += [name for name in alarm.evidence if name not in names]
        return [
            (words.of(channel.name) if channel else name, words.value(alarm.evidence[name], channel))
            for name in names
            for channel in (self.channel(alarm, name),)
        ]


def _shown(value: object) -> object:
    """Whatever a template says. What is markup has been said by one already."""
    return straight(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _fault(word: str, words: Words) -> str:
    """Why something lies in quarantine; a reason that has no words yet keeps its name."""
    return words(f"fault.{word}") if f"fault.{word}" in words else word


def _cause(cause: str, words: Words) -> str:
    """Why an alarm is suppressed, as the alarm says it: a word and an id."""
    word, _, name = cause.partition(" ")
    return words(f"cause.{word}", name=name) if f"cause.{word}" in words else words("cause.other", word=word, name=name)
