"""What the collectors could not store: shown as text that nothing obeys, taken again, or dropped for good.

A message whose topic names no site is shown to accounts that count everywhere alone.
"""

from typing import Annotated, Literal

from fastapi import APIRouter, Form
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from console.plant.collectors import Collector, CollectorAway, Held
from console.plant.frame import show
from console.visit import LoggedIn, Number, OurForm, Visit, elsewhere, needs
from rules import chronicle

MOST = 50
ROW_BYTES = 16
MOST_SHOWN_BYTES = 16 * 1024
FAULTS = (
    "malformed",
    "oversized",
    "wrong-edge",
    "unknown-device",
    "unknown-channel",
    "wrong-type",
    "wrong-unit",
    "out-of-range",
    "in-the-future",
    "too-old",
    "refused-by-store",
)

router = APIRouter(dependencies=[needs("plant")])


@router.get("/quarantine")
def quarantine(
    visit: LoggedIn,
    of: Number = 0,
    after: Number = 0,
    reason: str = "",
    edge: str = "",
    device: str = "",
    said: str = "",
) -> Response:
    asked = {"reason": reason if reason in FAULTS else "", "edge": edge[:63], "device": device[:63]}
    collectors, held, away = visit.parts.plant.collectors, list[Held](), ""
    last = 0
    if of < len(collectors) and collectors[of].opens:
        try:
            found = collectors[of].held(max(after, 0), MOST, **asked)
            last = found[-1].id if len(found) == MOST else 0
            held = [one for one in found if _may_see(visit, one)]
        except CollectorAway as error:
            away = str(error)
    return show(
        visit,
        "quarantine.html",
        collectors=collectors,
        of=of,
        held=held,
        last=last,
        asked=asked,
        faults=FAULTS,
        away=away,
        said=visit.words("quarantine.done", n=said) if said.isdecimal() and len(said) < 9 else "",
        opens=of < len(collectors) and collectors[of].opens,
    )


@router.get("/quarantine/{of}/{number}")
def message(visit: LoggedIn, of: int, number: int) -> Response:
    try:
        found = _collector(visit, of).whole(number)
    except CollectorAway as error:
        return show(visit, "message.html", 503, complaint=str(error), held=None, of=of)
    if found is None or not _may_see(visit, found[0]):
        raise HTTPException(404)
    held, content = found
    part = content[:MOST_SHOWN_BYTES]
    return show(
        visit,
        "message.html",
        held=held,
        of=of,
        text=readable(part),
        dump="\n".join(hex_rows(part)),
        cut=len(part) < held.true_bytes,
    )


@router.post("/quarantine/{of}/{what}", dependencies=[OurForm])
def act(
    visit: LoggedIn, of: int, what: Literal["retry", "drop"], ids: Annotated[list[int] | None, Form()] = None
) -> Response:
    """Only what was on the page and may be seen is touched; it stands in the log."""
    collector = _collector(visit, of)
    if not ids:
        return elsewhere(f"/quarantine?of={of}")
    try:
        seen = [found[0] for number in ids[:MOST] if (found := collector.whole(number)) is not None]
        mine = [one for one in seen if _may_see(visit, one)]
        count = collector.act(what, [one.id for one in mine], visit.user.name) if mine else 0
    except CollectorAway as error:
        return show(visit, "message.html", 503, complaint=str(error), held=None, of=of)
    sites = " ".join(sorted({one.site or "?" for one in mine}))
    event = "quarantine.retried" if what == "retry" else "quarantine.dropped"
    words = f"{sites}: {count} of {len(mine)}: {' '.join(str(one.id) for one in mine)}"
    chronicle.write(visit.parts.desk.database, event, visit.user.name, words, visit.now_ms)
    return elsewhere(f"/quarantine?of={of}&said={count}")


def _collector(visit: Visit, of: int) -> Collector:
    collectors = visit.parts.plant.collectors
    if not 0 <= of < len(collectors):
        raise HTTPException(404)
    return collectors[of]


def _may_see(visit: Visit, held: Held) -> bool:
    return visit.user.may_at("plant", held.site) if held.site else not visit.user.scope.sites


def readable(content: bytes) -> str:
    """As text, with everything that is none as an escape: no control character, no direction mark reaches the page."""
    text = content.decode("utf-8", "backslashreplace")
    return "".join(one if one.isprintable() or one == "\n" else one.encode("unicode_escape").decode() for one in text)


def hex_rows(content: bytes) -> list[str]:
    """Offset, bytes, and what of them is ASCII."""
    rows = []
    for at in range(0, len(content), ROW_BYTES):
        row = content[at : at + ROW_BYTES]
        letters = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in row)
        rows.append(f"{at:06x}  {row.hex(' '):<{3 * ROW_BYTES}} {letters}")
    return rows
