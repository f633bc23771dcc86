"""What pydantic and the TOML parser complain of, in the words of whoever writes TOML. Pure."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from tomllib import TOMLDecodeError
from typing import Any

from pydantic import BaseModel, ValidationError

from messages.ids import IDENTIFIER, ONE_LINE
from messages.language import LONGEST, NOTHING, Phrase, phrase, why
from messages.spot import Where
from messages.suggestion import foreign_letter, nearest, suggest

_SECRET = {"password", "store", "database"}
"""Fields that hold a password, or an address that may: what stands there is for nobody's screen or log."""
_WIDE = {
    **dict.fromkeys("“”„〝〞", '"'),
    **dict.fromkeys("‘’", "'"),
    "＝": "=",
    "，": ",",
    "、": ",",
    "．": ".",
    "。": ".",
    "［": "[",
    "］": "]",
    "【": "[",
    "】": "]",
    "｛": "{",
    "｝": "}",
    "＃": "#",
    "－": "-",
    "\u3000": '" "',
    "\u00a0": '" "',
}
"""Signs that a Chinese keyboard has in the place of TOML's, and what is meant."""
_NOTHING = object()


def _should_be(template: str, /, **slots: object) -> Phrase:
    return phrase("should be {what}", what=phrase(template, **slots))


_NOUNS: Mapping[str, Phrase] = {
    "model_type": phrase("a table"),
    "dict_type": phrase("a table"),
    "list_type": phrase("an array"),
    "string_type": phrase("text in quotes"),
    "int_type": phrase("a whole number"),
    "int_from_float": phrase("a whole number"),
    "int_parsing_size": phrase("a number that is not so large"),
    "float_type": phrase("a number"),
    "float_parsing": phrase("a number"),
    "is_instance_of": phrase("text in quotes"),
    "bool_type": phrase("true or false"),
    "finite_number": phrase("a finite number"),
    "date_type": phrase("a date such as 2026-10-01"),
}
"""What pydantic calls things, in the words of TOML."""
_BOUNDS: Mapping[str, Callable[..., Phrase]] = {
    "greater_than": lambda gt: _should_be("greater than {gt}", gt=_round(gt)),
    "greater_than_equal": lambda ge: _should_be("greater than or equal to {ge}", ge=_round(ge)),
    "less_than": lambda lt: _should_be("less than {lt}", lt=_round(lt)),
    "less_than_equal": lambda le: _should_be("less than or equal to {le}", le=_round(le)),
    "string_too_short": lambda min_length: phrase("should have at least {n} characters", n=min_length),
    "string_too_long": lambda max_length: phrase("should have at most {n} characters", n=max_length),
    "literal_error": lambda expected: _should_be("{expected}", expected=_listed(expected)),
    "union_tag_invalid": lambda expected_tags, **_: _should_be("one of {tags}", tags=Phrase(expected_tags)),
    "string_pattern_mismatch": lambda pattern: phrase("should match the pattern {pattern}", pattern=pattern),
}
"""The same for what has a bound, of what pydantic calls its context."""
_PATTERNS = {
    IDENTIFIER: phrase("1 to 63 lower-case letters, digits, hyphens and underscores"),
    ONE_LINE: phrase("text of one line, without control characters"),
}
_TOML_QUOTES = re.compile(
    r"(Illegal character|Found invalid character|Expected character|Duplicate inline table key|Cannot declare|Cannot mutate immutable namespace) (.+)"
)
_QUOTED = re.compile(r"""\"[^"]*\"|'[^']*'""")
_TOML_HINTS = {
    "Illegal character '\\n'": phrase("; is a closing quote missing?"),
    "Unterminated string": phrase("; is a closing quote missing?"),
    "Cannot overwrite a value": phrase("; is the same name given twice?"),
    "Cannot declare": phrase("; is the same table written twice?"),
    "Found invalid character '\\n'": phrase("; is a closing quote missing?"),
    "Invalid value": phrase("; text stands in double quotes, and true or false are written small"),
}


def _round(bound: float) -> float:
    """As a person writes it: 5, not 5.0."""
    return int(bound) if bound == int(bound) else bound


def not_toml(error: Exception, source: str, *, column_said: bool = True) -> tuple[int, int, Phrase]:
    """Line and column of what is no TOML, and what to say of it."""
    if isinstance(error, RecursionError):
        return 1, 1, phrase("not TOML: tables or arrays too deep in one another")
    message, lines = str(error), source.removesuffix("\n").split("\n")
    if not isinstance(error, TOMLDecodeError):
        return _line_of_longest_number(lines), 1, phrase("not TOML: a number with too many digits")
    found = re.search(r" \(at line (\d+), column (\d+)\)", message)
    line = int(found[1]) if found else max(1, len(lines))
    said = message[: found.start()] if found else message
    hint = next((hint for words, hint in _TOML_HINTS.items() if words in said), NOTHING)
    written = lines[line - 1] if line <= len(lines) else ""
    if said.startswith("Expected newline") and written.count('"') > 2:
        hint = phrase("; around a text that holds double quotes write '…'")
    bare = _QUOTED.sub("", written).partition("#")[0]
    if wide := next((one for one in bare if one in _WIDE), ""):
        hint = phrase("; `{wide}` is a sign of a Chinese keyboard: type {plain}", wide=wide, plain=_WIDE[wide])
    column = int(found[2]) if found else 1
    at = phrase(" at column {n}", n=column) if found and column_said else NOTHING
    return line, column, phrase("not TOML{column}: {said}{hint}", column=at, said=_toml_words(said), hint=hint)


def _line_of_longest_number(lines: list[str]) -> int:
    """Python converts no more than some thousand digits, and does not say where they stand."""
    return 1 + max(range(len(lines)), key=lambda at: max(map(len, re.findall(r"\d+", lines[at])), default=0))


def _toml_words(said: str) -> Phrase:
    """What the parser complains of; the character that it quotes stays out of the table's way."""
    found = _TOML_QUOTES.fullmatch(said)
    return phrase("{text} {rest}", text=Phrase(found[1]), rest=found[2]) if found else Phrase(said)


@dataclass(frozen=True, slots=True)
class Complaint:
    where: Where
    what: Phrase
    of_key: bool
    """Not the value is wrong, but that it is there, or isn't, or what it is called."""


def complaints(error: ValidationError, content: Any, model: type[BaseModel]) -> list[Complaint]:
    """Each mistake once, the one to mend first at the beginning."""
    # A name that is not known comes first: a misspelt one is missing too, and only the former says what to mend.
    found = sorted(error.errors(include_url=False), key=lambda one: one["type"] != "extra_forbidden")
    meant = {
        (*one["loc"][:-1], nearest(str(one["loc"][-1]), _fields_at(model, one["loc"][:-1])))
        for one in found
        if one["type"] == "extra_forbidden"
    }
    # One value that might have been several things is reported once for each of them.
    places: dict[Where, list[Any]] = {}
    for one in found:
        if one["type"] != "missing" or one["loc"] not in meant:
            places.setdefault(_place(one, content)[0], []).append(one)
    return [_of_place(some, content, model) for some in places.values()]


def _of_place(some: list[Any], content: Any, model: type[BaseModel]) -> Complaint:
    where, value = _place(some[0], content)
    words = _any_of(list(dict.fromkeys(_complaint(one, model) for one in some)))
    of_key = some[0]["type"] in ("missing", "extra_forbidden") or "[key]" in some[0]["loc"]
    if value is _NOTHING or _is_secret(where, value) or shown(value) in str(words):
        return Complaint(where, words, of_key)
    letter = foreign_letter(value) if isinstance(value, str) else NOTHING
    words = phrase("{what}, not {value}{letter}", what=words, value=Phrase(shown(value)), letter=letter)
    return Complaint(where, words, of_key)


def _any_of(complaints: list[Phrase]) -> Phrase:
    """ "should be a number or true or false"."""
    first, *others = complaints
    nouns = [dict(one.slots)["what"] for one in complaints if one.template == _should_be("").template]
    if not others or len(nouns) < len(complaints):
        return first
    words, *others_ = nouns
    for other in others_:
        words = phrase("{some} or {last}", some=words, last=other)
    return phrase("should be {what}", what=words)


def _is_secret(where: tuple[Any, ...], value: Any) -> bool:
    return not _SECRET.isdisjoint(where) or (isinstance(value, str) and "://" in value and "@" in value)


def _place(error: Any, content: Any) -> tuple[tuple[Any, ...], Any]:
    """The keys that lead to the mistake, and the value there. pydantic's own marks for unions and keys are left out."""
    where: list[Any] = []
    here = content
    for part in error["loc"]:
        if (isinstance(here, dict) and part in here) or (isinstance(here, list) and isinstance(part, int)):
            where.append(part)
            here = here[part]
    match error["type"]:
        case "missing":
            return (*where, error["loc"][-1]), _NOTHING
        case "union_tag_not_found":
            return (*where, _discriminator(error)), _NOTHING
        case "union_tag_invalid":
            return (*where, _discriminator(error)), error["ctx"]["tag"]
        case "extra_forbidden" | "too_short" | "too_long":
            return tuple(where), _NOTHING
        case "value_error" | "string_pattern_mismatch" if isinstance(here, dict | list):
            return tuple(where), _NOTHING  # its content or its name is wrong, not that it is a table
    return tuple(where), here


def _discriminator(error: Any) -> str:
    return str(error["ctx"]["discriminator"]).strip("'")


def _complaint(error: Any, model: type[BaseModel]) -> Phrase:
    context = error.get("ctx", {})
    match error["type"]:
        case "missing" | "union_tag_not_found":
            return phrase("is missing")
        case "extra_forbidden":
            near = suggest(str(error["loc"][-1]), _fields_at(model, error["loc"][:-1]))
            return phrase("is not known here{near}", near=near)
        case "string_pattern_mismatch" if context["pattern"] in _PATTERNS:
            return phrase("should be {what}", what=_PATTERNS[context["pattern"]])
        case "list_type" if isinstance(error["input"], dict):
            return _should_be("an array of tables, [[{name}]]", name=error["loc"][-1])
        case "too_short" if context["min_length"] == 1:
            return phrase("should have at least 1 entry")
        case "too_short":
            return phrase("should have at least {n} entries", n=context["min_length"])
        case "too_long":
            return phrase("should have at most {n} entries", n=context["max_length"])
        case "model_type" if context["class_name"] == "Text":
            return _should_be('{ zh = "…", en = "…" }')
        case "value_error" if isinstance(context.get("error"), ValueError):
            return why(context["error"])
        case kind if kind in _NOUNS:
            return phrase("should be {what}", what=_NOUNS[kind])
        case kind if kind in _BOUNDS:
            return _BOUNDS[kind](**context)
    return Phrase(str(error["msg"]).removeprefix("Value error, ").removeprefix("Input "))


def _listed(expected: str) -> Phrase:
    """ "'N', 'E' or 'O'", as pydantic lists the words that may stand there."""
    some, mark, last = expected.rpartition(" or ")
    return phrase("{some} or {last}", some=Phrase(some), last=Phrase(last)) if mark else Phrase(expected)


def shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "an array"
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _fields_at(model: type[BaseModel], where: tuple[Any, ...]) -> list[str]:
    """The names that a table may hold, for a suggestion."""
    schema = model.model_json_schema()
    node: Any = schema
    for part in where:
        node = _below(_resolved(node, schema), part)
    return list(_resolved(node, schema).get("properties", {}))


def _below(node: Any, part: Any) -> Any:
    if part in node.get("discriminator", {}).get("mapping", {}):
        return {"$ref": node["discriminator"]["mapping"][part]}
    any_key = next(iter(node.get("patternProperties", {}).values()), None)
    named = node.get("properties", {}).get(part)
    return named or any_key or node.get("additionalProperties") or node.get("items") or {}


def _resolved(node: Any, schema: Any) -> Any:
    while reference := next((one["$ref"] for one in (node, *node.get("anyOf", ())) if "$ref" in one), None):
        node = schema["$defs"][reference.rsplit("/", 1)[1]]
    return node
