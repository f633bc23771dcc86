"""TOML files, read strictly: every mistake is one line that names file, line and field.

Kinds, models, rules, scenarios and the programs' own settings all come in through `read`. It opens one
file and nothing else, so that a wrong setting ends a program before any port is opened.
"""

import difflib
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from messages.ids import IDENTIFIER

_UNITS_S = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_KEY = r"""[\w-]+|"[^"]*"|'[^']*'"""
_DOTTED = rf"(?:{_KEY})(?:\s*\.\s*(?:{_KEY}))*"
_HEADER = re.compile(rf"\s*(\[\[?)\s*({_DOTTED})\s*\]")
_ASSIGNMENT = re.compile(rf"\s*({_DOTTED})\s*=")
_SECRET = {"password", "store", "database"}
"""Fields that hold a password, or an address that may: what stands there is for nobody's screen or log."""
_LONG_QUOTE = re.compile(r"\"\"\"|'''")
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|min|h|d)")


class ConfigError(Exception):
    """The operator must change a file; retrying cannot help. The message names file, line and field."""


class Settings(BaseModel):
    """Base of everything that is read from TOML: frozen, strict, no unknown keys, no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def duration_s(text: object) -> float:
    """Seconds in a duration such as "500ms", "10min" or "1h30min". Raises ValueError for anything else."""
    parts = _DURATION.findall(text) if isinstance(text, str) else []
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f'a duration such as "500ms", "10s", "5min" or "1h30min" is wanted, not {text!r}')
    return sum(float(number) * _UNITS_S[unit] for number, unit in parts)


def duration_words(seconds: float) -> str:
    """The duration as a file would have it: "10min", "1h30min"."""
    left, words = round(seconds * 1000), ""
    for unit, unit_s in reversed(_UNITS_S.items()):
        count, left = divmod(left, round(unit_s * 1000))
        words += f"{count}{unit}" if count else ""
    return words or "0s"


Seconds = Annotated[float, BeforeValidator(duration_s)]
"""A duration in seconds, written "10min" in TOML."""

Folder = Annotated[Path, BeforeValidator(lambda text: Path(text) if isinstance(text, str) else text)]
"""A path, written as text in TOML."""


class Text(Settings):
    """One text in both languages."""

    zh: str
    en: str


M = TypeVar("M", bound=BaseModel)

_NOTHING = object()
_TOML_WORDS = {
    "model_type": "should be a table",
    "dict_type": "should be a table",
    "list_type": "should be an array",
    "string_type": "should be text in quotes",
    "int_type": "should be a whole number",
    "int_from_float": "should be a whole number",
    "float_type": "should be a number",
    "bool_type": "should be true or false",
}
"""What pydantic calls things, in the words of TOML."""
_TOML_HINTS = {
    "Illegal character '\\n'": "; is a closing quote missing?",
    "Unterminated string": "; is a closing quote missing?",
    "Cannot overwrite a value": "; is the same name given twice?",
    "Cannot declare": "; is the same table written twice?",
    "Invalid value": "; text stands in double quotes",
}


def read(path: Path, model: type[M]) -> M:
    """The settings in `path`. Raises ConfigError("file:line: field: what is wrong")."""
    try:
        source = path.read_bytes().decode("utf-8-sig")
    except PermissionError as error:
        raise ConfigError(f"{path}: {error.strerror}; it is another user's: sudo -u gridcall gridcall …") from error
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError(
            f"{path}:{line}: not UTF-8 text at byte {error.start} of the file; save it as UTF-8"
        ) from error
    try:
        content = tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}{_not_toml(str(error), source)}") from error
    try:
        return model.model_validate(content)
    except ValidationError as error:
        where, words = _worst(error, content, model)
        field = ".".join(str(part) for part in where) or "the file"
        raise ConfigError(f"{path}:{line_of(source, where)}: {field}: {words}") from error


def line_of(source: str, where: tuple[Any, ...]) -> int:
    """The line (from 1) on which the key path `where` stands, or the nearest key above it that is written.

    Knows table headers, arrays of tables, dotted keys and texts of several lines; a key inside an inline table is
    found by the line of the table. Good enough to put a cursor there; it is not a TOML parser.
    """
    best, best_depth = 1, 0
    table: tuple[Any, ...] = ()
    counts: dict[tuple[str, ...], int] = {}
    inside_text = False
    for number, line in enumerate(source.splitlines(), start=1):
        was_inside, inside_text = inside_text, inside_text ^ (len(_LONG_QUOTE.findall(line)) % 2 == 1)
        if was_inside:
            continue
        if header := _HEADER.match(line):
            names = _keys(header[2])
            if header[1] == "[[":
                counts = {other: count for other, count in counts.items() if other[: len(names)] != names} | {
                    names: counts.get(names, -1) + 1  # a new entry begins its own arrays anew
                }
            table = _indexed(names, counts)
            path = table
        elif key := _ASSIGNMENT.match(line):
            path = (*table, *_keys(key[1]))
        else:
            continue
        depth = _shared(path, where)
        if depth == min(len(path), len(where)) and depth > best_depth:
            best, best_depth = number, depth
    return best


def folders(path: Path, field: str, written: Iterable[Path]) -> list[Path]:
    """The folders that the list `field` of the file at `path` names, absolute; relative ones start at the file's own.

    Raises ConfigError that names file and line if one isn't there.
    """
    found = [path.absolute().parent / folder for folder in written]
    for folder in found:
        if not folder.is_dir():
            line = line_of(path.read_text(encoding="utf-8-sig"), (field,))
            raise ConfigError(f"{path}:{line}: {field}: {folder}: no such folder of {field}")
    return found


def replacements(shipped: Path, own: Iterable[Path], table: str) -> list[str]:
    """For each of the user's files that stands in for a shipped one: what to tell people, who may not have meant it.

    `table` is the one whose entries count: what the shipped file has in it and the user's hasn't is gone.
    """
    notes = []
    for file in {path.name: path for path in own}.values():  # the last of a name is the one that counts
        if (old := shipped / file.name).exists() and not old.samefile(file):
            entries, left = (tomllib.loads(one.read_text(encoding="utf-8-sig"))[table] for one in (old, file))
            gone = ", ".join(name for name in entries if name not in left)
            notes.append(f"{file} replaces the shipped one" + (f"; gone: {gone}" if gone else ""))
    return notes


def suggest(wrong: str, known: Iterable[str]) -> str:
    """ "; did you mean `x`?", or the known names when none is near, ready to follow a complaint."""
    names = sorted(known)
    if near := difflib.get_close_matches(wrong, names, n=1):
        return f"; did you mean `{near[0]}`?"
    return f"; known: {', '.join(names)}" if names else ""


def _indexed(names: tuple[str, ...], counts: dict[tuple[str, ...], int]) -> tuple[Any, ...]:
    path: list[Any] = []
    for end in range(1, len(names) + 1):
        path.append(names[end - 1])
        if names[:end] in counts:
            path.append(counts[names[:end]])
    return tuple(path)


def _shared(path: tuple[Any, ...], where: tuple[Any, ...]) -> int:
    depth = 0
    for mine, theirs in zip(path, where, strict=False):
        if mine != theirs:
            break
        depth += 1
    return depth


def _keys(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in re.findall(_KEY, dotted))


def _not_toml(message: str, source: str) -> str:
    hint = next((hint for words, hint in _TOML_HINTS.items() if words in message), "")
    if found := re.search(r" \(at line (\d+), column (\d+)\)", message):
        return f":{found[1]}: not TOML at column {found[2]}: {message[: found.start()]}{hint}"
    return f":{max(1, len(source.splitlines()))}: not TOML: {message}{hint}"


def _worst(error: ValidationError, content: Any, model: type[BaseModel]) -> tuple[tuple[Any, ...], str]:
    """Where the first mistake is, as keys of the file, and what to say of it."""
    # A name that is not known comes first: a misspelt one is missing too, and only the former says what to mend.
    found = sorted(error.errors(include_url=False), key=lambda one: one["type"] != "extra_forbidden")
    where, value = _place(found[0], content)
    # One value that might have been several things is reported once for each of them.
    same = [other for other in found if _place(other, content)[0] == where]
    first, *others = dict.fromkeys(_complaint(one, model) for one in same)
    words = " or ".join([first, *(other.removeprefix("should be ") for other in others)])
    silent = value is _NOTHING or _is_secret(where, value) or _shown(value) in words
    return where, words if silent else f"{words}, not {_shown(value)}"


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


def _complaint(error: Any, model: type[BaseModel]) -> str:
    context = error.get("ctx", {})
    match error["type"]:
        case "missing" | "union_tag_not_found":
            return "is missing"
        case "extra_forbidden":
            return f"is not known here{suggest(str(error['loc'][-1]), _fields_at(model, error['loc'][:-1]))}"
        case "union_tag_invalid":
            return f"should be one of {context['expected_tags']}"
        case "string_pattern_mismatch" if context["pattern"] == IDENTIFIER:
            return "should be 1 to 63 lower-case letters, digits, hyphens and underscores"
        case "list_type" if isinstance(error["input"], dict):
            return f"should be an array of tables, [[{error['loc'][-1]}]]"
        case "too_short":
            return f"should have at least {context['min_length']} entr{'y' if context['min_length'] == 1 else 'ies'}"
        case "too_long":
            return f"should have at most {context['max_length']} entries"
        case "model_type" if context["class_name"] == Text.__name__:
            return 'should be { zh = "…", en = "…" }'
        case kind if kind in _TOML_WORDS:
            return _TOML_WORDS[kind]
    return str(error["msg"]).removeprefix("Value error, ").removeprefix("Input ")


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "an array"
    return str(value).lower() if isinstance(value, bool) else repr(value)


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
