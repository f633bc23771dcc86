"""Which devices the edges have announced, kept across restarts.

A broker may forget its retained messages, and does not send them again inside a kept session; a collector that
started without them would put good readings into quarantine. So each announcement is written here before it is
acknowledged.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from collector.intake.delivery import Announced
from collector.intake.judge import DeviceKey
from collector.stores.sqlite_file import SqliteFile
from messages import announcement as announcements
from messages.announcement import Announcement, AnnouncementError
from messages.ids import DeviceId, EdgeId, SiteId

DEVICES_PER_EDGE = 10_000
"""An edge that announces more is broken; it must not fill our memory."""
MOST_EDGES = 10_000
"""Nor must one that announces itself under ever new names, where a broker lets it."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS devices (
    site TEXT NOT NULL, edge TEXT NOT NULL, device TEXT NOT NULL,
    announcement BLOB NOT NULL,  -- as on the wire
    PRIMARY KEY (site, edge, device)
) WITHOUT ROWID;
"""


class Devices:
    """The announced devices. `known` changes with `hear`; `save` makes it last."""

    def __init__(self, path: Path) -> None:
        self._file = SqliteFile(path, _SCHEMA, replaceable=True)
        self._known: dict[DeviceKey, Announcement] = {}
        self._of_edge: dict[tuple[SiteId, EdgeId], int] = {}
        self.changes = 0
        """Counts what `hear` changed: who remembers anything of a device looks here."""

    @property
    def known(self) -> Mapping[DeviceKey, Announcement]:
        return self._known

    def load(self) -> None:
        """Raises StoreAway."""
        with self._file.writing() as database:
            rows = database.execute("SELECT site, edge, device, announcement FROM devices").fetchall()
        for site, edge, device, payload in rows:
            key = (SiteId(site), EdgeId(edge), DeviceId(device))
            try:
                self.hear(Announced(key, announcements.decode(payload)))
            except AnnouncementError:  # of an older release: better to know one device less than to know none
                continue

    def room_for(self, device: DeviceKey) -> bool:
        edge = device[:2]
        if edge not in self._of_edge and len(self._of_edge) >= MOST_EDGES:
            return False
        return device in self._known or self._of_edge.get(edge, 0) < DEVICES_PER_EDGE

    def hear(self, announced: Announced) -> None:
        """From now on the device is what it was announced as."""
        before = announced.device in self._known
        self.changes += self._known.get(announced.device) != announced.announcement
        if announced.announcement is None:
            self._known.pop(announced.device, None)
        else:
            self._known[announced.device] = announced.announcement
        edge = announced.device[:2]
        held = self._of_edge.pop(edge, 0) + (announced.device in self._known) - before
        if held:
            self._of_edge[edge] = held

    def save(self, changes: Sequence[Announced]) -> None:
        """Durable when it returns. Raises StoreAway."""
        with self._file.writing() as database:
            for announced in changes:
                if announced.announcement is None:
                    database.execute("DELETE FROM devices WHERE site = ? AND edge = ? AND device = ?", announced.device)
                else:
                    database.execute(
                        "INSERT OR REPLACE INTO devices VALUES (?, ?, ?, ?)",
                        (*announced.device, announcements.encode(announced.announcement)),
                    )

    def close(self) -> None:
        self._file.close()
