"""What axe-core complains of on a page, by the rules of WCAG 2.1 A and AA (and the AA of 2.2), in the looks that people choose.

Every page is judged in all eight looks of language, screen and ground. It is loaded once in each language; another screen or ground is put on the page
as it stands, as somebody does who turns his phone or whose system goes dark, and of another ground only the colours are judged anew.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from messages.language import Language

WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
OPTIONS = {"runOnly": {"type": "tag", "values": WCAG}, "resultTypes": ["violations"]}
COLOURS = {"runOnly": {"type": "rule", "values": ["color-contrast"]}, "resultTypes": ["violations"]}

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


LOOKS = tuple(
    Look(language, ground, screen)
    for language in get_args(Language)
    for screen in (PHONE, WALL)
    for ground in get_args(Ground)
)
_SOURCE = Axe().axe_script


def violations(page: Page, address: str) -> list[str]:
    """Opens the page in each look; answers a line for each element that breaks a rule, and for a page that is wider than its screen."""
    found = list[str]()
    for language in get_args(Language):
        put_on(page, next(look for look in LOOKS if look.language == language))
        page.goto(f"{address}{'&' if '?' in address else '?'}language={language}")
        found += violations_in(page, language)
    return found


def violations_in(page: Page, language: Language) -> list[str]:
    """The same of the page as it stands, which is in this language: for one that is shown once."""
    page.wait_for_load_state("load")  # without its style sheets nothing has its size
    assert page.evaluate("document.documentElement.lang").startswith(language)
    found, before = list[str](), None
    for look in (look for look in LOOKS if look.language == language):
        put_on(page, look)
        colours = before is not None and look.screen == before.screen
        found += [f"{look}: {line}" for line in complaints(page, COLOURS if colours else OPTIONS)]
        if page.evaluate("document.documentElement.scrollWidth") > look.screen[0]:
            found.append(f"{look}: wider than the screen")
        before = look
    return found


def put_on(page: Page, look: Look) -> None:
    """The ground and the screen; the language is the server's."""
    page.set_viewport_size({"width": look.screen[0], "height": look.screen[1]})
    page.emulate_media(color_scheme=look.ground, reduced_motion="reduce")


def complaints(page: Page, options: Mapping[str, object] = OPTIONS) -> list[str]:
    """Of the page as it stands: the rule, the element, and what is wrong with it."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(_SOURCE)
    results = page.evaluate("(options) => axe.run(document, options)", options)
    return [
        f"{rule['id']}: {' '.join(node['html'].split())[:160]} - {' '.join(node['failureSummary'].split())}"
        for rule in results["violations"]
        for node in rule["nodes"]
    ]
