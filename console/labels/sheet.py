"""Labels as they are printed: a QR code with the address that opens the asset, the same code in letters, and what it is stuck on. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import segno
from markupsafe import Markup

from messages.ids import DeviceId, SiteId
from messages.settings import Text
from rules.assets.label import PATH, Label, shown
from rules.plant import PlantDevice

MOST = 400
"""Labels on one page of a browser: fifty pages of paper. Further pages hold the rest."""
QUIET = 4
"""Empty cells around a code (ISO/IEC 18004, 7.3.7)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed:
    """One label of a sheet."""

    place: str
    device: DeviceId
    kind: Text
    letters: str
    picture: Markup
    """The QR code, as SVG of no size of its own."""


def labelled(devices: Iterable[PlantDevice], labels: Mapping[tuple[SiteId, DeviceId], Label]) -> list[PlantDevice]:
    """Those of the devices that have a label, in the order in which somebody would walk."""
    found = {(one.site, one.device): one for one in devices if (one.site, one.device) in labels}
    return sorted(found.values(), key=lambda one: (one.site, one.place.grid, one.place.building, one.place.text))


def printed(
    walk: Iterable[PlantDevice],
    labels: Mapping[tuple[SiteId, DeviceId], Label],
    address: str,
    kinds: Mapping[str, Text],
) -> list[Printed]:
    """A label for each, of those that have one. `address`: of the console, without a stroke."""
    return [
        Printed(
            place=one.place.text,
            device=one.device,
            kind=kinds.get(one.kind, Text(zh=one.kind, en=one.kind)),
            letters=shown(labels[one.site, one.device].code),
            picture=picture(link(address, labels[one.site, one.device].code)),
        )
        for one in walk
    ]


def link(address: str, code: str) -> str:
    """What a phone's camera opens."""
    return f"{address}{PATH}{code}"


def picture(text: str) -> Markup:
    """A QR code of which a quarter may be scratched or dirty."""
    code = segno.make(text, error="q", boost_error=False, micro=False)
    return Markup(code.svg_inline(border=QUIET, omitsize=True, dark="#000", light="#fff", svgclass="qr"))  # noqa: S704 - drawn here
