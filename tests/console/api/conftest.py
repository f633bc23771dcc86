"""A block whose interface other systems come to: one reads at junmen, one at another site, and so on."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import httpx
import pytest

from console.tokens import Tokens
from tests.console.block import SITE, Block, block

Calls = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
def junmen(tmp_path: Path) -> Iterator[Block]:
    with block(tmp_path) as made:
        yield made


@pytest.fixture
def tokens(junmen: Block) -> Tokens:
    return Tokens(junmen.config.accounts)


@pytest.fixture
def calls(junmen: Block, tokens: Tokens) -> Calls:
    """`async with calls("read") as client`: a system with a new token of these rights."""
    web, made = junmen.console(), [0]

    @asynccontextmanager
    async def client(
        *rights: str, sites: tuple[str, ...] = (SITE,), person: str | None = None, name: str = ""
    ) -> AsyncIterator[httpx.AsyncClient]:
        made[0] += 1
        secret = (
            tokens.add(name or f"system-{made[0]}", rights, junmen.now_ms, days=30, sites=sites, person=person)
            if rights
            else ""
        )
        headers = {"authorization": f"Bearer {secret}"} if rights else {}
        transport = httpx.ASGITransport(web)
        base_url = "http://console/api/v1"
        async with httpx.AsyncClient(transport=transport, base_url=base_url, headers=headers) as one:
            yield one

    return client
