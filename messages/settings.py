"""TOML files, read strictly: every mistake is one line that names file, line and field.

Kinds, models, rules, scenarios and the programs' own settings all come in through `read`. It opens one
file and nothing else, so that a wrong setting ends a program before any port is opened.
"""

import os
import re
import stat
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError

from messages.language import NOTHING, Language, Phrase, Unfit, phrase, why
from messages.owner import other_owner
from messages.spot import Where, place, spots
from messages.wording import complaints, not_toml, shown

_UNITS_S = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_UNITS_AS_SAID = {
    "ms": ("ms", "msec", "毫秒"),
    "s": ("s", "sec", "secs", "second", "seconds", "秒", "秒钟"),
    "min": ("m", "min", "mins", "minute", "minutes", "分", "分钟"),
    "h": ("h", "hr", "hrs", "hour", "hours", "时", "小时", "个小时"),
    "d": ("d", "day", "days", "天", "日"),
}
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|min|h|d)")


LIMIT_BYTES = 8 * 1024 * 1024
"""Of a file: more is none that a person wrote, and would keep a Pi busy for minutes."""


class ConfigError(Exception):
    """The operator must change a file; retrying cannot help. The message names file, line and field, in the reader's language by `said`."""

    def __init__(self, template: str | Phrase, /, **slots: object) -> None:
        self.phrase = template if isinstance(template, Phrase) else phrase(template, **slots)
        super().__init__(str(self.phrase))

    def said(self, language: Language) -> str:
        return self.phrase.said(language)


class Settings(BaseModel):
    """Base of everything that is read from TOML: frozen, strict, no unknown keys, no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def duration_s(text: object) -> float:
    """Seconds in a duration such as "500ms", "10min" or "1h30min". Raises ValueError for anything else."""
    parts = _DURATION.findall(text) if isinstance(text, str) else []
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise Unfit(
            'a duration such as "500ms", "10s", "5min" or "1h30min" is wanted, not {text}{near}',
            text=shown(text),
            near=_near_duration(text),
        )
    return sum(float(number) * _UNITS_S[unit] for number, unit in parts)


def _near_duration(text: object) -> Phrase:
    """Of what people call the units."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([^\W\d]+)", text) if isinstance(text, str) else None
    unit = next((unit for unit, words in _UNITS_AS_SAID.items() if found and found[2].lower() in words), "")
    return (
        phrase("; did you mean `{near}`?{letter}", near=f"{found[1]}{unit}", letter=NOTHING)
        if found and unit
        else NOTHING
    )


def duration_words(seconds: float) -> str:
    """The duration as a file would have it: "10min", "1h30min"."""
    left, words = round(seconds * 1000), ""
    for unit, unit_s in reversed(_UNITS_S.items()):
        count, left = divmod(left, round(unit_s * 1000))
        words += f"{count}{unit}" if count else ""
    return words or "0s"


Seconds = Annotated[float, BeforeValidator(duration_s)]
"""A duration in seconds, written "10min" in TOML."""


def _path(text: object) -> object:
    if isinstance(text, str) and not text.isprintable():
        raise Unfit("a path has no control characters, and {text!r} has some", text=text)
    return Path(text) if isinstance(text, str) else text


Folder = Annotated[Path, BeforeValidator(_path)]
"""A path, written as text in TOML."""


def shaped(pattern: str, words: Phrase) -> AfterValidator:
    """For a text that has to be like `pattern`, which is said in words: "should be 16 hexadecimal digits"."""
    form = re.compile(pattern)

    def check(text: str) -> str:
        if not form.fullmatch(text):
            raise Unfit(words)
        return text

    return AfterValidator(check)


class Text(Settings):
    """One text in both languages."""

    zh: str
    en: str


M = TypeVar("M", bound=BaseModel)


def read(path: Path, model: type[M]) -> M:
    """The settings in `path`. Raises ConfigError("file:line: field: what is wrong")."""
    return understood(path, text_of(path), model)


def text_of(path: Path) -> str:
    """What stands in the file. Raises ConfigError; waits for nobody, as a pipe would have it."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(number, "rb") as file:
            if not stat.S_ISREG(os.fstat(number).st_mode):
                raise ConfigError("{path}: is no file", path=path)
            content = file.read(LIMIT_BYTES + 1)
    except (OSError, ValueError) as error:
        if isinstance(error, PermissionError) and (user := other_owner(path)):
            raise ConfigError(
                "{path}: {why}; it is another user's: sudo -u {user} gridcall …", path=path, why=why(error), user=user
            ) from error
        raise ConfigError("{path}: {why}", path=path, why=why(error)) from error
    if len(content) > LIMIT_BYTES:
        raise ConfigError("{path}: larger than {most} MB: is it the right file?", path=path, most=LIMIT_BYTES >> 20)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ConfigError(
            "{path}:{line}: not UTF-8 text at byte {at} of the file; save it as UTF-8",
            path=path,
            line=line,
            at=error.start,
        ) from error


def understood(path: Path, source: str, model: type[M]) -> M:
    """The settings in `source`, which stood at `path`. Raises ConfigError("file:line: field: what is wrong")."""
    try:
        content = tomllib.loads(source)
    except (ValueError, RecursionError) as error:
        line, _, words = not_toml(error, source)
        raise ConfigError("{path}:{line}: {what}", path=path, line=line, what=words) from error
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = complaints(error, content, model)[0]
        raise mistake(path, source, first.where, first.what) from error


def mistake(path: Path, source: str, where: Where, what: Phrase) -> ConfigError:
    """`source`: what stood at `path` when it was read, which may be another text by now."""
    field = phrase("{field}", field=".".join(map(str, where))) if where else phrase("the file")
    return ConfigError("{path}:{line}: {field}: {what}", path=path, line=line_of(source, where), field=field, what=what)


def line_of(source: str, where: Where) -> int:
    """The line (from 1) on which the key path `where` stands, or the nearest key above it that is written."""
    known = spots(source)
    near = next((spot for end in range(len(where), 0, -1) if (spot := known.get(where[:end]))), None)
    return 1 if near is None else place(source, near.key)[0]


def folders(path: Path, field: str, written: Iterable[Path]) -> list[Path]:
    """The folders that the list `field` of the file at `path` names, absolute; relative ones start at the file's own.

    Raises ConfigError that names file and line if one isn't there.
    """
    found = [path.absolute().parent / folder for folder in written]
    for folder in found:
        if not folder.is_dir():
            raise mistake(
                path, text_of(path), (field,), phrase("{folder}: no such folder of {field}", folder=folder, field=field)
            )
    return found


def replacements(shipped: Path, own: Iterable[Path], table: str) -> list[Phrase]:
    """For each of the user's files that stands in for a shipped one: what to tell people, who may not have meant it.

    `table` is the one whose entries count: what the shipped file has in it and the user's hasn't is gone.
    """
    notes = []
    for file in {path.name: path for path in own}.values():  # the last of a name is the one that counts
        if (old := shipped / file.name).exists() and not old.samefile(file):
            entries, left = (tomllib.loads(text_of(one))[table] for one in (old, file))
            gone = ", ".join(name for name in entries if name not in left)
            lost = phrase("; gone: {gone}", gone=gone) if gone else NOTHING
            notes.append(phrase("{file} replaces the shipped one{gone}", file=file, gone=lost))
    return notes
