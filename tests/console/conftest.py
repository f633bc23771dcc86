"""A block with a rules' database, a history and one operator's account, fresh for each test."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from argon2 import PasswordHasher

from console.access import passwords
from console.rights import Scope
from tests.console.block import PASSWORD, Block, block
from tests.console.browsing import log_in

WITH_REAL_PASSWORDS = "test_accounts"
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture(autouse=True, scope="module")
def cheap_passwords(request: pytest.FixtureRequest) -> Iterator[None]:
    """Hundreds of accounts are made here, and each hash and each login would take 50 ms: but for one file, they take none."""
    with pytest.MonkeyPatch.context() as patch:
        if request.path.stem != WITH_REAL_PASSWORDS:
            patch.setattr(passwords, "_HASHER", CHEAP)
            patch.setattr(passwords, "NOBODYS_HASH", CHEAP.hash("nobody's"))
        yield


@pytest.fixture
def junmen(tmp_path: Path) -> Iterator[Block]:
    with block(tmp_path) as made:
        made.accounts.add("chen", PASSWORD)
        made.beat()
        made.put_edge("pi-1")
        yield made


@pytest.fixture
async def browser(junmen: Block) -> AsyncIterator[httpx.AsyncClient]:
    """A browser that nobody has logged in with: keeps cookies, follows nothing by itself."""
    transport = httpx.ASGITransport(junmen.console())
    headers = {"accept": "text/html", "accept-language": "zh-CN,zh;q=0.9,en;q=0.5"}
    async with httpx.AsyncClient(transport=transport, base_url="http://console", headers=headers) as client:
        yield client


@pytest.fixture
def lin(junmen: Block) -> Block:
    """A worker of the first grid, whom the roster calls lin; and one of the second."""
    junmen.accounts.add("linxm", PASSWORD, "worker", Scope(("junmen",), ("grid-1",)), "lin")
    junmen.accounts.add("wu", PASSWORD, "worker", Scope(("junmen",), ("grid-1",)))
    junmen.accounts.add("zheng", PASSWORD, "worker", Scope(("junmen",), ("grid-2",)))
    return junmen


@pytest.fixture
async def phone(browser: httpx.AsyncClient, lin: Block) -> httpx.AsyncClient:
    await log_in(browser, "linxm")
    return browser


@pytest.fixture
async def stranger(lin: Block) -> AsyncIterator[httpx.AsyncClient]:
    """A browser that nobody is logged in with."""
    transport = httpx.ASGITransport(lin.console())
    headers = {"accept": "text/html", "accept-language": "zh-CN"}
    async with httpx.AsyncClient(transport=transport, base_url="http://console", headers=headers) as client:
        yield client
