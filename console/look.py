"""How the pages look to one reader: the ground, and on the phone the size of the letters. Kept in cookies, so that the server
draws a page right from the first byte, and it works without scripts. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

Theme = Literal["auto", "light", "dark"]
Letters = Literal["plain", "large"]
THEMES: tuple[Theme, ...] = get_args(Theme)
LETTERS: tuple[Letters, ...] = get_args(Letters)
THEME_COOKIE, LETTERS_COOKIE = "gridcall_theme", "gridcall_letters"


@dataclass(frozen=True, slots=True)
class Look:
    """What somebody chose. `auto`: as the system is set."""

    theme: Theme = "auto"
    letters: Letters = "plain"

    def changed(self, fields: Mapping[str, str]) -> "Look":
        """With what the fields of an address choose; what isn't known changes nothing."""
        return replace(
            self,
            theme=next((one for one in THEMES if one == fields.get("theme")), self.theme),
            letters=next((one for one in LETTERS if one == fields.get("letters")), self.letters),
        )


def look_of(cookies: Mapping[str, str]) -> Look:
    """What isn't known is as if nothing had been chosen."""
    return Look().changed({"theme": cookies.get(THEME_COOKIE, ""), "letters": cookies.get(LETTERS_COOKIE, "")})
