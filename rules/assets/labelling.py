"""The labels of assets, as the pages ask for them and change them: a part of the desk (rules.desk)."""

from collections.abc import Collection, Iterable

from messages.ids import DeviceId, SiteId
from rules.assets import register
from rules.assets.label import Label, read
from rules.store.database import Database


class Labelling:
    """Every method may raise `DatabaseAway`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def label(self, text: str) -> Label | None:
        """Of a code as it was scanned or typed; also one that has been replaced."""
        if not (code := read(text)):
            return None
        with self._database.reading() as connection:
            return register.find(connection, code)

    def labels(self, sites: Collection[str] = ()) -> dict[tuple[SiteId, DeviceId], Label]:
        """Those that hold, by device."""
        with self._database.reading() as connection:
            return register.holding(connection, sites)

    def make_labels(self, devices: Iterable[tuple[SiteId, DeviceId]], *, actor: str, at_ms: int) -> list[Label]:
        """For each known device that has none."""
        with self._database.writing() as connection:
            return register.make(connection, devices, actor=actor, now_ms=at_ms)

    def replace_label(self, site: SiteId, device: DeviceId, *, why: str, actor: str, at_ms: int) -> Label:
        """Ends the one that was stolen, copied or worn. Raises `rules.assets.register.LabelRefused`."""
        with self._database.writing() as connection:
            return register.replace(connection, site, device, why=why, actor=actor, now_ms=at_ms)
