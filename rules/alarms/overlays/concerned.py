"""Which open alarms something may be due for, as the database can tell without reading them: in a flood nearly all lie there with nothing over
them and nothing around them, and only time will do something to them.

It may name too many, never too few: whatever `rules.alarms.overlays.oversight.due` answers to is asked for here, wider where it has to be.
`tests/rules/test_concerned.py` holds the two against each other.
"""

from collections.abc import Collection, Iterator
from dataclasses import asdict

from sqlalchemy import Text, and_, cast, false, or_, tuple_
from sqlalchemy.sql import ColumnElement

from messages.ids import DeviceId, SiteId
from rules.alarms.condition import ACTIVE
from rules.alarms.figures import Figures
from rules.alarms.overlays import chatter
from rules.alarms.overlays.oversight import AHEAD_MS, STALE_MS, Around
from rules.alarms.standing import NOTHING
from rules.store import tables as db
from rules.store.words import content

_PLAIN = (content({}), content(asdict(NOTHING)))
"""How overlays are written where there are none. A database that writes them otherwise has all its alarms looked at."""
MOST_NAMED = 500
"""Devices that are named one by one; of more, their whole sites are looked at."""

_A = db.alarms.c


def concerned(around: Around, now_ms: int, figures: Figures) -> ColumnElement[bool]:
    """True of every open alarm for which something may be due."""
    return or_(
        cast(_A.overlays, Text).not_in(_PLAIN), _A.rule == chatter.RULE, *_by_time(now_ms, figures), _near(around)
    )


def _by_time(now_ms: int, figures: Figures) -> Iterator[ColumnElement[bool]]:
    changed, active = _A.changed_at_ms, _A.state.in_(sorted(ACTIVE))
    yield and_(active, _A.since_ms <= now_ms - STALE_MS)
    yield and_(active, _A.level == "red", changed > now_ms + AHEAD_MS)
    for level in ("red", "orange", "yellow", "blue"):
        yield and_(active, _A.level == level, changed <= now_ms - figures.realarm.after_ms(level))


def _near(around: Around) -> ColumnElement[bool]:
    sites = {parent.site for parent in around.parents} | {site for site, _ in (*around.away, *around.guessing)}
    sites |= {hold.site for hold in around.holds if hold.device is None}
    devices = {(hold.site, DeviceId(hold.device)) for hold in around.holds if hold.device is not None}
    devices |= {(site, device) for site, _, device in around.silent}
    if len(devices) > MOST_NAMED:
        sites, devices = sites | {site for site, _ in devices}, set()
    return or_(_of_sites(sites), _of_devices(devices))


def _of_sites(sites: Collection[SiteId]) -> ColumnElement[bool]:
    return _A.site.in_(sorted(sites)) if sites else false()


def _of_devices(devices: Collection[tuple[SiteId, DeviceId]]) -> ColumnElement[bool]:
    return tuple_(_A.site, _A.device).in_(sorted(devices)) if devices else false()
