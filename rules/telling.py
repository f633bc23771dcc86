"""A command from the server to one device, and what became of it; each word of it is a line of the log, with its actor.

The command is in the log before it leaves. Nothing is repeated by us: a broker keeps it for an edge that is away, and
the edge refuses it when it comes after its expiry.
"""

import asyncio
import random
import string
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from sqlalchemy import select

from messages import command as commands
from messages import topics
from messages.bus import Bus, Disconnected, Refused
from messages.command import Command, CommandError, Outcome, Result
from messages.ids import DeviceId, EdgeId, SiteId
from messages.kind import Kinds
from messages.language import phrase, why
from messages.reading import Value
from messages.settings import ConfigError
from messages.suggestion import suggest
from rules.store import rows
from rules.store import tables as db
from rules.store.database import Database

GRACE_S = 10.0
"""How long after its expiry a result may still come."""


@dataclass(frozen=True, slots=True)
class Told:
    """A device that can be told something, as it was announced."""

    site: SiteId
    edge: EdgeId
    device: DeviceId
    kind: str


def addressed(database: Database, device: str) -> Told:
    """The device "site/id", or "id" where only one site has it. Raises ConfigError."""
    site, _, name = device.rpartition("/")
    with database.reading() as connection:
        every = connection.execute(select(db.devices)).all()
    found = [row for row in every if row.device == name and site in ("", row.site)]
    if not found:
        near = suggest(name, [row.device for row in every])
        raise ConfigError("no device `{device}` has been announced{near}", device=device, near=near)
    if len(found) > 1:
        names = ", ".join(sorted(f"{row.site}/{row.device} of {row.edge}" for row in found))
        raise ConfigError("`{device}` is more than one: {names}", device=device, names=names)
    row = found[0]
    return Told(SiteId(row.site), EdgeId(row.edge), DeviceId(row.device), row.kind)


def command(
    told: Told, kinds: Kinds, name: str, value: Value | None, actor: str, now_ms: int, expires_s: float
) -> Command:
    """A new command. Raises ConfigError if the kind can't be told this; model and value are judged by the edge."""
    known = kinds[told.kind].commands if told.kind in kinds else {}
    if name not in known:
        raise ConfigError(
            "a {kind} can't be told to {name}{near}", kind=told.kind, name=name, near=suggest(name, known)
        )
    if (known[name].type == "none") != (value is None):
        if value is not None:
            raise ConfigError("{name} takes no value", name=name)
        takes = phrase("true or false") if known[name].type == "boolean" else phrase("a number")
        raise ConfigError("{name} takes {what}", name=name, what=takes)
    return Command(
        id="".join(random.SystemRandom().choices(string.ascii_lowercase + string.digits, k=16)),
        actor=actor,
        command=name,
        value=value,
        issued_at_ms=now_ms,
        expires_at_ms=now_ms + round(expires_s * 1000),
    )


async def tell(
    bus: Bus, database: Database, told: Told, given: Command, clock_ms: Callable[[], int]
) -> AsyncIterator[Result]:
    """Give it, and pass on what the edge says until a word is final or nothing more can come. `bus` hears the results."""
    _log(database, told, given, "command.given", "" if given.value is None else str(given.value), clock_ms())
    topic = topics.command(told.site, told.edge, told.device)
    left_s = (given.expires_at_ms - clock_ms()) / 1000
    try:
        async with asyncio.timeout(left_s + GRACE_S):
            await _publish(bus, topic, commands.encode(given))
            async for result in _results(bus, topics.result(told.site, told.edge, told.device), given.id):
                _log(database, told, given, f"command.{result.outcome}", result.detail, clock_ms())
                yield result
                if result.outcome.final:
                    return
    except TimeoutError:
        _log(database, told, given, "command.unanswered", "", clock_ms())


async def _publish(bus: Bus, topic: str, payload: bytes) -> None:
    """Raises ConfigError if the broker refuses it."""
    while True:
        await bus.up()
        try:
            await bus.publish(topic, payload)
        except Disconnected:
            await asyncio.sleep(0)
        except Refused as error:
            raise ConfigError(
                "the broker refuses {topic}: {why}; may this user write there?", topic=topic, why=why(error)
            ) from error
        else:
            return


async def _results(bus: Bus, topic: str, command_id: str) -> AsyncIterator[Result]:
    accepted = False
    async for message in bus.messages():
        message.ack()
        if message.topic != topic:
            continue
        try:
            result = commands.decode_result(message.payload)
        except CommandError:
            continue
        if result.id == command_id and not (accepted and result.outcome is Outcome.ACCEPTED):
            accepted = accepted or result.outcome is Outcome.ACCEPTED
            yield result


def _log(database: Database, told: Told, given: Command, event: str, detail: str, at_ms: int) -> None:
    words = f"{told.site}/{told.device}: {given.command}" + (f": {detail}" if detail else "")
    with database.writing() as connection:
        rows.append(connection, [rows.Line(event, None, None, given.actor, words)], at_ms)
