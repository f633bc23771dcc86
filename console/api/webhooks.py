"""How the webhooks stand, for who keeps them: enable one again, or have it tell again. Where they go is written in rules.toml, by who may write files."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from console.api.caller import Admin, Caller
from console.api.problem import Problem, nothing_here
from console.api.shapes import MOST_MS
from messages.ids import IDENTIFIER

router = APIRouter(tags=["webhooks"])

Name = Annotated[str, Path(pattern=IDENTIFIER)]


class WebhookOut(BaseModel):
    """`seq`: up to which line of the log it was written out; `why` of the latest failure."""

    name: str
    seq: int
    sent: int
    sent_at_ms: int | None
    disabled_at_ms: int | None
    why: str
    waiting: int


class Webhooks(BaseModel):
    """All that were ever served."""

    webhooks: list[WebhookOut]


class Since(BaseModel):
    """From when on it is told again."""

    model_config = ConfigDict(extra="forbid")

    since_ms: Annotated[int, Field(ge=0, le=MOST_MS)]


class Replayed(BaseModel):
    """How many lines of the log are gone through again."""

    lines: int


@router.get("/webhooks", summary="How the webhooks stand")
def list_webhooks(caller: Admin) -> Webhooks:
    _everywhere(caller)
    return Webhooks(webhooks=[WebhookOut(**asdict(one)) for one in caller.desk.webhooks()])


@router.post("/webhooks/{name}/enable", summary="Serve a disabled one again", status_code=204)
def enable(caller: Admin, name: Name) -> None:
    _everywhere(caller)
    if not caller.desk.enable_webhook(name, actor=caller.actor, at_ms=caller.now_ms):
        raise nothing_here()


@router.post("/webhooks/{name}/replay", summary="Tell again what happened since")
def replay(caller: Admin, name: Name, since: Since) -> Replayed:
    _everywhere(caller)
    lines = caller.desk.replay_webhook(name, since.since_ms, actor=caller.actor, at_ms=caller.now_ms)
    if lines is None:
        raise nothing_here()
    return Replayed(lines=lines)


def _everywhere(caller: Caller) -> None:
    """A webhook may tell of every site."""
    if caller.sites is not None:
        caller.refused("webhooks, which are of every site")
        raise Problem(403, "webhooks are for tokens of every site", reason="right-admin")
