"""What people write by habit in a sentence that can't be read, and what to write instead. Pure.

By the habit of other languages (`AND`, `&&`, `=`), of a Chinese keyboard (`，`, `（`, `“`), of a data sheet (`10 %LEL`, `10min`) or of Chinese (`大于`).
"""

import keyword
import re
import unicodedata
from collections.abc import Collection

from messages.language import Phrase, phrase
from messages.settings import duration_s

LONGEST_UNIT = 8
"""Characters. What is longer after a number is another mistake."""
MOST_SIGNS = 8
"""Of a Chinese keyboard that are named at once."""

Misread = tuple[int, int, Phrase]
"""Line and column, both from 1, and what to say."""

_LINE_END = re.compile(r"\r\n?|\n")
_TEXT = re.compile(r"""\"[^"]*\"|'[^']*'""")
_INSTEAD = {
    "=": "==",
    "=>": ">=",
    "=<": "<=",
    "<>": "!=",
    "> =": ">=",
    "< =": "<=",
    "= =": "==",
    "! =": "!=",
    "!>": "<=",
    "!<": ">=",
    "!": "not",
    "&": "and",
    "&&": "and",
    "|": "or",
    "||": "or",
    "大于等于": ">=",
    "不小于": ">=",
    "小于等于": "<=",
    "不大于": "<=",
    "不等于": "!=",
    "大于": ">",
    "高于": ">",
    "超过": ">",
    "小于": "<",
    "低于": "<",
    "等于": "==",
    "并且": "and",
    "而且": "and",
    "且": "and",
    "或者": "or",
    "或": "or",
    "非": "not",
}
_ELSEWHERE = re.compile(
    r"=>|=<|<>|!>|!<|[<>=!]\s+=|&+|\|+|!(?!=)|(?<![<>=!])=(?!=)|\b(?:AND|OR|NOT|And|Or|Not)\b|"
    + "|".join(word for word in _INSTEAD if word[0] > "\x7f")
)
"""What other languages write for a comparison or a joint."""
_NAMED = re.compile(r"(?<=[(,])\s*(?:within|window)\s*=(?!=)")
"""The one place for a single sign: count_devices(…, within="500m")."""
_MEASURED = re.compile(
    r"(?<![\w.])(?>([0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?))\s*([^\W\d]\w*|[°℃℉]\w*|%(?!\s*[\w(])|%(?=\s*(?:and|or|not)\b)|%\s*[^\W\d]\w*)"
)
"""A number with a word or a sign behind it."""
_TIME = re.compile(r"(?<![\w:.])[0-9]{1,2}:[0-9]{2}(?![\w:.])")
_ZEROS = re.compile(r"(?<![\w.])0+[0-9]+(?![\w.])")
_JOINTS = ("then", "xor", "but", "to", "until", "else", "when", "between")
"""What may follow a number and is no unit."""
_THOUSANDS = re.compile(r"(?<![\w.,(])[1-9][0-9]{0,2}(?:,[0-9]{3})+(?![\w.,])")
_COMMA = re.compile(r"(?<![\w.,(])[0-9]+,[0-9]+(?![\w.,])")
_APART = re.compile(r"(?<!\w)([a-z]\w*)([ -]+)([a-z]\w*)", re.ASCII)
_ASCII = {
    "≥": ">=",
    "≤": "<=",
    "≠": "!=",
    "×": "*",
    "÷": "/",
    "−": "-",
    "‐": "-",
    "‑": "-",
    "–": "-",
    "—": "-",
    "“": '"',
    "”": '"',
    "‘": "'",
    "’": "'",
    "、": ",",
    "。": ".",
    "【": "(",
    "】": ")",
}
_OPEN = re.compile(r"(?:(?<!\w)(?:and|or|not)|[<>=!+*/,(-]+)\s*$")
"""After it something has to follow."""


def habit(source: str, names: Collection[str]) -> Misread | None:
    """The first of them. `names`: those that are known."""
    bare = _NAMED.sub(_blanked, _TEXT.sub(_blanked, source))
    for at, character in enumerate(bare):
        plain = _plain(character)
        if plain != character and plain.isascii():
            if not plain.strip():
                return _at(source, at, phrase("write a blank for `{wrong}`", wrong=character))
            if character == "。" and not bare[at + 1 :].strip():
                return _at(source, at, phrase("take `{wrong}` out: a sentence ends without a stop", wrong=character))
            return _at(source, at, _all_wide(bare[at:]))
        if unicodedata.category(character) == "Cf":
            code = f"{ord(character):04X}"
            return _at(source, at, phrase("take out the invisible character U+{code}", code=code))
    if found := _ELSEWHERE.search(bare):
        word = found[0]
        signs = re.sub(r"\s+", " ", word)
        return _instead(source, found.start(), _INSTEAD.get(signs) or _INSTEAD.get(word[:2]) or word.lower(), word)
    if found := _TIME.search(bare):
        return _instead(source, found.start(), f'"{found[0]}"', found[0])
    if found := _THOUSANDS.search(bare):
        return _instead(source, found.start(), found[0].replace(",", ""), found[0])
    if found := _ZEROS.search(bare):
        return _instead(source, found.start(), found[0].lstrip("0") or "0", found[0])
    if found := _COMMA.search(bare):
        plain = found[0].replace(",", ".")
        words = phrase("write `{plain}` for `{wrong}`: the decimal sign is a point", plain=plain, wrong=found[0])
        return _at(source, found.start(), words)
    return torn(source, names) or _measured(source, bare)


def torn(source: str, names: Collection[str]) -> Misread | None:
    """A name that is written with a hyphen or a blank."""
    for found in _APART.finditer(_TEXT.sub(_blanked, source)):
        joined = f"{found[1]}_{found[3]}"
        if joined in names and not {found[1], found[3]} & {*names}:
            return _instead(source, found.start(), joined, found[0])
    return None


def _plain(character: str) -> str:
    return _ASCII.get(character) or unicodedata.normalize("NFKC", character)


def _all_wide(bare: str) -> Phrase:
    """Each of them once: who has forgotten to switch his keyboard has typed more than one."""
    wide = {one: _plain(one) for one in bare if _plain(one) != one and _plain(one).isascii() and _plain(one).strip()}
    first, *others = wide.items()
    words = phrase("write `{plain}` for `{wrong}`", plain=first[1], wrong=first[0])
    for wrong, plain in others[:MOST_SIGNS]:
        words = phrase("{others}, `{plain}` for `{wrong}`", others=words, plain=plain, wrong=wrong)
    return words


def _measured(source: str, bare: str) -> Misread | None:
    for found in _MEASURED.finditer(bare):
        number, unit = found[1], found[2]
        if keyword.iskeyword(unit):
            continue
        try:
            duration_s(number + unit)
        except ValueError:
            if len(unit) > LONGEST_UNIT or unit in _JOINTS:
                continue
            words = phrase(
                "write `{number}` for `{wrong}`: numbers stand without the unit", number=number, wrong=found[0]
            )
            return _at(source, found.start(), words)
        return _instead(source, found.start(), f'"{number}{unit}"', found[0])
    return None


def ungrammatical(source: str, line: int, column: int, said: str) -> Misread:
    """What Python's parser complains of, for people who don't know it."""
    if not source.strip() or source.strip().startswith("#"):
        return 1, 1, phrase("there is no sentence")
    if open_end := _OPEN.search(source):
        return _at(source, open_end.start(), phrase("nothing follows `{last}`", last=open_end[0].strip()))
    lines = _LINE_END.split(source)
    rest = lines[line - 1][column - 1 :] if line <= len(lines) else ""
    if "was never closed" in said:
        return line, column, phrase("`{sign}` is never closed", sign=rest[:1])
    if said.startswith("unmatched"):
        return line, column, phrase("`{sign}` was never opened", sign=rest[:1])
    if said.startswith("unterminated string"):
        return line, column, phrase("a closing quote is missing")
    if word := re.match(r"\w+|\S", rest):
        return line, column, phrase("`{word}` does not fit here", word=word[0])
    return line, column, phrase("this can't be read")


def _blanked(found: re.Match[str]) -> str:
    return " " * len(found[0])


def _instead(source: str, offset: int, plain: str, wrong: str) -> Misread:
    return _at(source, offset, phrase("write `{plain}` for `{wrong}`", plain=plain, wrong=wrong))


def _at(source: str, offset: int, what: Phrase) -> Misread:
    before = source[:offset]
    return before.count("\n") + 1, offset - before.rfind("\n"), what
