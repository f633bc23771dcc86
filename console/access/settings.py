"""`[access]` in console.toml: before what the console stands, how long passwords hold, and when what is personal is forgotten."""

import ipaddress
import re
from typing import Annotated

from pydantic import AfterValidator, Field

from messages.settings import Settings


def _proxy(text: str) -> str:
    try:
        ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(f'an address such as "127.0.0.1" or a net such as "10.0.0.0/24" is wanted: {error}') from error
    return text


def _host(text: str) -> str:
    if not re.fullmatch(r"(\*\.)?[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:]+\]", text):
        raise ValueError(f'a name such as "console.example.org" is wanted, without scheme and port, not {text!r}')
    return text.lower()


class Access(Settings):
    """Who may come in, and by which way."""

    hosts: list[Annotated[str, AfterValidator(_host)]] = Field(default_factory=list)
    """The names under which browsers reach the console; others are refused, but for this machine's own. None: any."""
    trusted_proxies: list[Annotated[str, AfterValidator(_proxy)]] = Field(default_factory=list)
    """Reverse proxies whose X-Forwarded-For and X-Forwarded-Proto are believed. None: nobody's."""
    hsts: bool = False
    """Tell browsers for a year that this name is reached by https alone."""
    password_days: Annotated[int, Field(ge=1, le=3650)] | None = None
    """After so many days a password must be changed. None: never by its age alone."""
    forget_after_days: Annotated[int, Field(ge=30, le=3650)] | None = None
    """After so many days what is personal in closed cases and in the journal is erased. None: never."""

    @property
    def known_hosts(self) -> list[str]:
        """As Starlette's TrustedHostMiddleware wants them."""
        return [*self.hosts, "localhost", "127.0.0.1", "::1"] if self.hosts else ["*"]
