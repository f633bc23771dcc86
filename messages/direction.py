"""Words from outside, as they may stand among ours: what a device, a resident or another system says must not turn the words beside it about, nor begin
a line of its own in a message. Pure.

What is kept stays as it came; this is for who shows it.
"""

import re
import unicodedata

_TURNS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Unicode's directional formatting characters (UAX 9): none is needed where everything runs from left to right, and telephones put them round numbers
that are copied."""
_UNSEEN = ("Cc", "Cf", "Cs")
"""Controls, formats, halves of pairs. Not private characters: rare names are written with them."""


def straight(text: str) -> str:
    """Without what turns the direction of reading; lines stay lines."""
    return text if text.isascii() else _TURNS.sub("", text)


def one_line(text: str) -> str:
    """The same in one line, without characters that nobody sees."""
    if text.isprintable():
        return text
    return "".join(one for one in " ".join(text.split()) if unicodedata.category(one) not in _UNSEEN)
