"""What may have been meant by a name that is not known, and which of its letters only looks right. Pure."""

import difflib
import unicodedata
from collections.abc import Iterable

from messages.language import LONGEST, NOTHING, Phrase, phrase


def suggest(wrong: str, known: Iterable[str]) -> Phrase:
    """ "; did you mean `x`?", or the known names when none is near, ready to follow a complaint."""
    names = sorted(known)
    if near := nearest(wrong, names):
        return phrase("; did you mean `{near}`?{letter}", near=near, letter=foreign_letter(wrong, near))
    return phrase("; known: {names}", names=Phrase(", ".join(names))) if names else NOTHING


def nearest(wrong: str, names: Iterable[str]) -> str:
    """The name that may have been meant, however it is capitalised; empty if none is near."""
    plain = {name.lower(): name for name in names}
    near = difflib.get_close_matches(wrong[:LONGEST].lower(), plain, n=1)
    return plain[near[0]] if near else ""


def foreign_letter(wrong: str, meant: str = "") -> Phrase:
    """Of a text that looks right: the first character of another script, or as wide as a Chinese one, by its name."""
    odd = next((one for one in wrong if one not in meant and _looks_plain(one)), "")
    if not odd:
        return NOTHING
    return phrase(
        " (`{odd}` in it is U+{code}, {name})",
        odd=odd,
        code=f"{ord(odd):04X}",
        name=unicodedata.name(odd, "?").lower(),
    )


def _looks_plain(one: str) -> bool:
    if one.isascii():
        return False
    name = unicodedata.name(one, "")
    return unicodedata.normalize("NFKC", one).isascii() or name.startswith(("CYRILLIC", "GREEK"))
