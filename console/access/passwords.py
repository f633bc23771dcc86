"""Which passwords are taken, and how they are kept. What is refused is what guessers try first: section 3.1.1 of NIST SP 800-63B-4 asks
for length and a list of what is common, and for no rule of signs and capitals.
"""

import re
import secrets
from functools import cache
from importlib.resources import files

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

LEAST, MOST = 10, 200
ONE_TIME_MS = 3 * 86_400_000
"""How long a password for one login holds."""

_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
NOBODYS_HASH = _HASHER.hash(secrets.token_hex())
"""Verified for unknown names, so that they take as long as known ones."""
_SIGNS = "23456789abcdefghjkmnpqrstuvwxyz"
"""None that is taken for another."""
_ROWS = (
    "0123456789",
    "1234567890",
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiopasdfghjklzxcvbnm",
    "1qaz2wsx3edc4rfv5tgb6yhn",
)
_LEET = str.maketrans("013457@$!", "oieastasi")


class PasswordError(ValueError):
    """It can't be taken; the word says why: "length", "common", "name", "same"."""


def check(password: str, name: str) -> None:
    """Raises PasswordError."""
    if not LEAST <= len(password) <= MOST:
        raise PasswordError("length")
    plain = password.casefold()
    if len(name) > 2 and name.casefold() in plain and len(plain) - len(name) < LEAST - 2:
        raise PasswordError("name")
    if plain == name.casefold():
        raise PasswordError("name")
    core = re.sub(r"^[\W\d_]+|[\W\d_]+$", "", plain)
    if not core:  # a birthday, a telephone number
        raise PasswordError("common")
    if (
        {plain, core, core.translate(_LEET), plain.translate(_LEET)} & common()
        or _is_a_row(plain)
        or len(set(plain)) < 4
    ):
        raise PasswordError("common")
    if any(core == word * (len(core) // len(word)) for word in common()):
        raise PasswordError("common")


@cache
def common() -> frozenset[str]:
    """What people choose who were not asked to think, in small letters."""
    text = files("console.access").joinpath("common.txt").read_text(encoding="utf-8")
    return frozenset(word for line in text.splitlines() if not line.startswith("#") for word in line.split())


def one_time() -> str:
    """A password to be told once and changed at once: 59 bits, easy to read aloud."""
    return "-".join("".join(secrets.choice(_SIGNS) for _ in range(4)) for _ in range(3))


def hashed(password: str) -> str:
    """Takes some 50 ms and 19 MiB, as does `matches`."""
    return _HASHER.hash(password)


def matches(stored: str, password: str) -> bool:
    if len(password) > MOST:
        return False
    try:
        return _HASHER.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False


def _is_a_row(plain: str) -> bool:
    """12345…, abcdef…, qwertyuiop…, there and back, once or again."""
    doubled = [row * 3 for row in _ROWS]
    return any(plain in row or plain[::-1] in row for row in doubled)
