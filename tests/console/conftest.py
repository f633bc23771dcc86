"""A block with a rules' database, a history and one operator's account, fresh for each test."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from tests.console.block import PASSWORD, Block, block


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
