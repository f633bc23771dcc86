"""What the tests of a worker's phone share: a case, a link to it, and what the pages' own module sends."""

import re

import httpx
from sqlalchemy import select

from rules.notices import links
from rules.records import Case
from rules.store import tables
from tests.console.block import Block
from tests.pictures import JPEG

JSON = {"accept": "application/json"}


def case_of(block: Block, **about: object) -> Case:
    found = block.raise_alarm(**about).case  # type: ignore[arg-type]
    assert found
    return found


def link_to(block: Block, case: Case, person: str = "lin") -> str:
    with block.database.writing() as connection:
        return "/c/" + links.make(connection, case.id, person, block.now_ms)


def now(block: Block, case: Case) -> Case:
    found = block.desk.case(case.id)
    assert found
    return found


def seen(page: httpx.Response) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page.text))


def events(block: Block, case: Case) -> list[tuple[str, str]]:
    return [(line.event, line.actor) for line in block.desk.log_of_case(case.id) if line.event.startswith("case.")]


async def press(phone: httpx.AsyncClient, base: str, step: str, **fields: object) -> httpx.Response:
    session = (await phone.get(f"{base}/session", headers=JSON)).json()
    return await phone.post(f"{base}/{step}", data={"token": session["token"], **fields}, headers=JSON)


async def send_photo(phone: httpx.AsyncClient, base: str, content: bytes = JPEG, **named: str) -> httpx.Response:
    session = (await phone.get(f"{base}/session", headers=JSON)).json()
    headers = {name.replace("_", "-"): value for name, value in named.items()}
    more = {"content-type": "image/jpeg", "x-form-token": session["token"], **JSON, **headers}
    return await phone.post(f"{base}/photos", content=content, headers=more)


def notices(block: Block) -> list[tuple[str, str]]:
    with block.database.reading() as connection:
        return [(row.person, row.state) for row in connection.execute(select(tables.notices))]
