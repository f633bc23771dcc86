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

_UNITS_S = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|min|h|d)")


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


Seconds = Annotated[float, BeforeValidator(duration_s)]
"""A duration in seconds, written "10min" in TOML."""

Folder = Annotated[Path, BeforeValidator(lambda text: Path(text) if isinstance(text, str) else text)]
"""A path, written as text in TOML."""


class Text(Settings):
    """One text in both languages."""

    zh: str
    en: str


M = TypeVar("M", bound=BaseModel)


def read(path: Path, model: type[M]) -> M:
    """The settings in `path`. Raises ConfigError("file:line: field: what is wrong")."""
    try:
        source = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text at byte {error.start}") from error
    try:
        content = tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}{_position(str(error), source)}") from error
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=True)[0]
        where = tuple(part for part in first["loc"] if not _is_tag(part))
        field = ".".join(str(part) for part in where)
        raise ConfigError(
            f"{path}:{line_of(source, where)}: {field or 'the file'}: {_complaint(first, model)}"
        ) from error


def line_of(source: str, where: tuple[Any, ...]) -> int:
    """The line (from 1) on which the key path `where` stands, or the nearest key above it that is written.

    Knows table headers, arrays of tables and dotted keys; a key inside an inline table is found by the line
    of the table. Good enough to put a cursor there; it is not a TOML parser.
    """
    best, best_depth = 1, 0
    table: tuple[Any, ...] = ()
    counts: dict[tuple[str, ...], int] = {}
    for number, line in enumerate(source.splitlines(), start=1):
        text = line.strip()
        if header := re.match(r"(\[\[?)\s*([^\]]+?)\s*\]", text):
            names = tuple(_key(part) for part in header[2].split("."))
            if header[1] == "[[":
                counts[names] = counts.get(names, -1) + 1
            table = _indexed(names, counts)
            path = table
        elif key := re.match(r"""((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"))*)\s*=""", text):
            path = (*table, *(_key(part) for part in key[1].split(".")))
        else:
            continue
        depth = _shared(path, where)
        if depth == len(path) and depth > best_depth:
            best, best_depth = number, depth
    return best


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


def _key(part: str) -> str:
    return part.strip().strip("\"'")


def _is_tag(part: object) -> bool:
    return isinstance(part, str) and ("[" in part or part.startswith("function-"))


def _position(message: str, source: str) -> str:
    if found := re.search(r"\(at line (\d+), column (\d+)\)", message):
        return f":{found[1]}: not TOML at column {found[2]}: {message[: found.start()].strip()}"
    return f":{len(source.splitlines())}: not TOML: {message}"


def _complaint(error: Any, model: type[BaseModel]) -> str:
    if error["type"] == "missing":
        return "is missing"
    if error["type"] == "extra_forbidden":
        return f"is not known here{suggest(str(error['loc'][-1]), _fields_at(model, error['loc'][:-1]))}"
    message = str(error["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    value = error["input"]
    return message if isinstance(value, dict | list) or repr(value) in message else f"{message}, not {value!r}"


def _fields_at(model: type[BaseModel], where: tuple[Any, ...]) -> list[str]:
    schema = model.model_json_schema()
    node: Any = schema
    for part in (None, *where):
        if part is not None:
            node = node.get("properties", {}).get(part) or node.get("additionalProperties") or node.get("items") or {}
        for option in (node, *node.get("anyOf", ())):
            if "$ref" in option:
                node = schema["$defs"][option["$ref"].rsplit("/", 1)[1]]
    return list(node.get("properties", {}))
