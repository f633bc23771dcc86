"""`gridcall collector quarantine`: what could not be stored, and what becomes of it."""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from collector.config import QUARANTINE, desk_of, load
from collector.intake.desk import Desk
from collector.quarantine.kept import Count, Entry, Quarantine, Which
from collector.stores.base import StoreError
from messages.ids import DeviceId, EdgeId
from messages.language import NOTHING, Language, Phrase, phrase, why
from messages.pack import Fault
from messages.settings import ConfigError
from messages.terminal import In, language_of

PAGE = 100
ROW_BYTES = 16
"""Of a hex dump."""

_ENTRIES = phrase("    ID  ARRIVED (UTC)           BYTES  TOPIC")
_COUNTS = phrase("MESSAGES   RECORDS  REASON            DEVICE")
"""The headings of both tables, as wide as their columns; a Chinese sign is two wide."""

app = typer.Typer(no_args_is_help=True, help="What could not be stored, and why.", rich_markup_mode=None)

ConfigPath = Annotated[Path, typer.Argument(metavar="CONFIG", help="The collector's TOML file.")]
Ids = Annotated[list[int] | None, typer.Argument(metavar="[ID]...", help="As in the list.")]
Reason = Annotated[Fault | None, typer.Option(help="Only what is there for this reason.")]
Edge = Annotated[str | None, typer.Option(metavar="EDGE", help="Only what came from this edge.")]
Device = Annotated[str | None, typer.Option(metavar="DEVICE", help="Only what is there because of this device.")]


@app.command("list")
def list_entries(
    config: ConfigPath,
    ids: Ids = None,
    reason: Reason = None,
    edge: Edge = None,
    device: Device = None,
    wanted: In = "",
) -> None:
    """How much there is by reason and device, then every message with its reasons, the oldest first."""
    spoken, which = language_of(wanted, os.environ), _which(ids, reason, edge, device)
    with _looking(config) as desk:
        counts = desk.quarantine.counts(which)
        if not counts:
            empty = phrase("the quarantine is empty")
            print((empty if which == Which() else phrase("nothing of that kind is in quarantine")).said(spoken))
        else:
            _print_counts(counts, spoken)
            print(f"\n{_ENTRIES.said(spoken)}")
        for entry in _all(desk.quarantine, which):
            print(f"{entry.id:>6}  {_when(entry)}  {entry.true_bytes:>7}  {printable(entry.topic)}")
            for one in entry.reasons:
                times = f" ({one.records}×)" if one.records > 1 else ""
                print(f"        {one.fault}: {printable(one.detail)}{times}")
        for number, words in (
            (desk.quarantine.dropped(), phrase("older ones had to make room")),
            (desk.quarantine.dropped_by_hand(), phrase("were dropped by hand")),
        ):
            if number:
                print(number, words.said(spoken), file=sys.stderr)


@app.command()
def show(
    config: ConfigPath,
    entry: Annotated[int, typer.Argument(metavar="ID", help="As in the list.")],
    *,
    raw: Annotated[
        bool, typer.Option("--raw", help="Nothing but the bytes as they came: for a file or a pipe.")
    ] = False,
    hexadecimal: Annotated[bool, typer.Option("--hex", help="The bytes in hexadecimal.")] = False,
    wanted: In = "",
) -> None:
    """One message as it came, with every reason. What is no UTF-8 text is shown in hexadecimal."""
    with _looking(config) as desk:
        found = desk.quarantine.entry(entry)
    if found is None:
        raise ConfigError("no message {id} in quarantine", id=entry)
    if raw:
        sys.stdout.buffer.write(found.payload)
        return
    spoken = language_of(wanted, os.environ)
    kept = NOTHING if found.whole else phrase(", of which {n} are kept", n=len(found.payload))
    print(phrase("topic     {topic}", topic=Phrase(printable(found.topic))).said(spoken))
    print(phrase("arrived   {at}", at=_when(found)).said(spoken))
    print(phrase("bytes     {n}{kept}", n=found.true_bytes, kept=kept).said(spoken))
    for one in found.reasons:
        words = phrase(
            "reason    {fault}, {n} records: {detail}",
            fault=one.fault,
            n=one.records,
            detail=Phrase(printable(one.detail)),
        )
        print(words.said(spoken))
    print()
    try:
        text = None if hexadecimal else found.payload.decode()
    except UnicodeDecodeError:
        text = None
    print("\n".join(hex_rows(found.payload)) if text is None else printable(text))


@app.command()
def retry(
    config: ConfigPath,
    ids: Ids = None,
    reason: Reason = None,
    edge: Edge = None,
    device: Device = None,
    wanted: In = "",
) -> None:
    """Take messages in again, by the kinds, devices and time of now; what is good now is stored and leaves.

    For after a kind was corrected, or when the time has come that a clock which ran ahead had written. All of them, unless ids
    or options say which. The collector may run meanwhile. Devices that are announced late need no retry.
    """
    which = _which(ids, reason, edge, device)
    with _looking(config) as desk:
        before = sum(1 for _ in _all(desk.quarantine, which))
        desk.devices.load()
        desk.take_all_again(time.time_ns() // 1_000_000, which)
        after = sum(1 for _ in _all(desk.quarantine, which))
    left = phrase("{n} of {all} messages left the quarantine", n=before - after, all=before)
    print(left.said(language_of(wanted, os.environ)))


@app.command()
def drop(
    config: ConfigPath,
    ids: Ids = None,
    reason: Reason = None,
    edge: Edge = None,
    device: Device = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="All there is.")] = False,
    wanted: In = "",
) -> None:
    """Forget messages for good. Which ones must be said: by ids, by options, or --all."""
    which = _which(ids, reason, edge, device)
    if everything == (which != Which()):
        raise ConfigError("which messages? Say ids, --reason, --edge or --device; or --all, and nothing else")
    with _looking(config) as desk:
        dropped = phrase("{n} messages dropped", n=desk.quarantine.drop(which))
    print(dropped.said(language_of(wanted, os.environ)))


def _which(ids: Sequence[int] | None, reason: Fault | None, edge: str | None, device: str | None) -> Which:
    return Which(
        ids=tuple(ids or ()),
        reason=reason,
        edge=EdgeId(edge) if edge is not None else None,
        device=DeviceId(device) if device is not None else None,
    )


@contextmanager
def _looking(config: Path) -> Iterator[Desk]:
    """The desk of a collector that may be running beside us. What is away ends the command in one line."""
    configuration = load(config)
    if not (configuration.folder / QUARANTINE).exists():
        raise ConfigError("no quarantine yet; has the collector run?")
    desk = desk_of(configuration)
    try:
        yield desk
    except StoreError as error:
        raise ConfigError(why(error)) from error
    finally:
        desk.close()


def _all(quarantine: Quarantine, which: Which) -> Iterator[Entry]:
    last = 0
    while entries := quarantine.entries(last, PAGE, which):
        yield from entries
        last = entries[-1].id


def _print_counts(counts: Sequence[Count], spoken: Language) -> None:
    print(_COUNTS.said(spoken))
    for count in counts:
        whose = "/".join(part or "?" for part in (count.site, count.edge, count.device))
        print(f"{count.messages:>8}  {count.records:>8}  {count.reason:<16}  {printable(whose)}")


def _when(entry: Entry) -> str:
    return f"{datetime.fromtimestamp(entry.received_at_ms / 1000, tz=UTC):%Y-%m-%dT%H:%M:%SZ}"


def hex_rows(payload: bytes) -> Iterator[str]:
    """Offset, bytes, and what of them is ASCII."""
    for at in range(0, len(payload), ROW_BYTES):
        row = payload[at : at + ROW_BYTES]
        letters = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in row)
        yield f"{at:08x}  {row.hex(' '):<{3 * ROW_BYTES}} {letters}"


def printable(text: str) -> str:
    """Without what a terminal would obey: whoever is in quarantine must not write on the operator's screen."""
    return "".join(
        character if character.isprintable() or character == "\n" else f"\\x{ord(character):02x}" for character in text
    )
