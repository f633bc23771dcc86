"""What axe-core complains of on a page, by the rules of WCAG 2.1 A and AA (and the AA of 2.2), in the looks that people choose.

Every page is judged in four looks, in which each two of language, ground and screen meet once: what is wrong in one
pair only is found, at half the time of all eight.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from console.words import Language

WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
OPTIONS = {"runOnly": {"type": "tag", "values": WCAG}, "resultTypes": ["violations"]}

Ground = Literal["light", "dark"]
PHONE, WALL = (390, 844), (1920, 1080)


@dataclass(frozen=True, slots=True)
class Look:
    """How somebody reads a page. `screen`: width and height."""

    language: Language
    ground: Ground
    screen: tuple[int, int]

    def __str__(self) -> str:
        return f"{self.language} {self.ground} {self.screen[0]}x{self.screen[1]}"


LOOKS = (Look("zh", "light", PHONE), Look("zh", "dark", WALL), Look("en", "dark", PHONE), Look("en", "light", WALL))


def violations(page: Page, address: str, looks: Iterable[Look] = LOOKS) -> list[str]:
    """Opens the page in each look; answers a line for each element that breaks a rule."""
    found, shown = [], ""
    for look in looks:
        put_on(page, look)
        if look.language != shown:
            page.goto(f"{address}{'&' if '?' in address else '?'}language={look.language}")
            shown = look.language
        found += [f"{look}: {line}" for line in complaints(page)]
    return found


def put_on(page: Page, look: Look) -> None:
    """The ground and the screen; the language is the server's."""
    page.set_viewport_size({"width": look.screen[0], "height": look.screen[1]})
    page.emulate_media(color_scheme=look.ground, reduced_motion="reduce")


def complaints(page: Page) -> list[str]:
    """Of the page as it stands: the rule, the element, and what is wrong with it."""
    results = Axe().run(page, options=OPTIONS)
    return [
        f"{rule['id']}: {' '.join(node['html'].split())[:160]} - {' '.join(node['failureSummary'].split())}"
        for rule in results.response["violations"]
        for node in rule["nodes"]
    ]
