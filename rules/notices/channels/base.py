"""What every channel does: take a message for an address, and say what the provider said. Calls block, a few seconds at most."""

from dataclasses import dataclass
from typing import Protocol

from messages.alarm import Level
from messages.language import Language

TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A notice in its reader's language. The parts stand beside the whole for providers that take templates only."""

    key: str
    """The same notice has the same key, however often it is sent."""
    at_ms: int
    level: Level
    language: Language
    title: str
    """What: "燃气泄漏"."""
    place: str
    """Where."""
    left: str
    """How long is left, and for what: "1分钟内接单"."""
    text: str
    """The whole, several lines, without the link."""
    link: str
    """Opens the case without a second login; empty where the console has no address."""
    case: str
    site: str
    person: str
    more: int = 0
    """How many other cases it tells of."""

    def whole(self) -> str:
        return f"{self.text}\n{self.link}" if self.link else self.text


@dataclass(frozen=True, slots=True)
class Taken:
    """The provider has it. `id`: its own name for it, if it gave one."""

    id: str = ""


@dataclass(frozen=True, slots=True)
class Failed:
    """It was not taken. `for_good`: the same will fail again. `throttled_s`: asked too often, for so long."""

    why: str
    for_good: bool = False
    throttled_s: float | None = None


Outcome = Taken | Failed


class Channel(Protocol):
    """One way to reach people, with the provider's limits."""

    def send(self, message: Message, to: str) -> Outcome:
        """Never raises for what a provider or a network does."""
