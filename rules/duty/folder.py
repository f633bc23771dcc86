"""The folder of sites: `<site>.toml` for each, and beside it `<site>.people.csv` if its people are kept in a sheet.

The sheet takes the place of the people and posts of the TOML file, so that a community desk may keep them in a spreadsheet. Both are read
again when they change; a wrong one is refused and the last good one goes on, over a restart too (rules.duty.last_good).
"""

import contextlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from messages.ids import SiteId, is_identifier
from messages.language import NOTHING, why
from messages.settings import ConfigError
from rules.duty.routing import shipped_routes
from rules.duty.sheets import SheetError, from_sheet
from rules.duty.site import Route, Site, load_site

SHEET = ".people.csv"

Sites = Mapping[SiteId, Site]


def load_sites(folder: Path) -> dict[SiteId, Site]:
    """All sites in `folder`. Raises ConfigError that names file, line and field."""
    return {SiteId(path.stem): _load(path) for path in _paths(folder)}


def _paths(folder: Path) -> list[Path]:
    """Raises ConfigError."""
    if not folder.is_dir():
        raise ConfigError("{folder}: no such folder of sites", folder=folder)
    return [path for path in sorted(folder.glob("*.toml")) if is_identifier(path.stem)]


def _load(path: Path) -> Site:
    site, sheet = load_site(path), path.with_suffix(SHEET)
    if not sheet.exists():
        return site
    try:
        return from_sheet(sheet.read_text(encoding="utf-8"), site)
    except SheetError as error:
        raise ConfigError("{sheet}:{line}: {why}", sheet=sheet, line=error.line, why=error.phrase) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("{sheet}: {why}", sheet=sheet, why=why(error)) from error


def put_sheet(folder: Path, site: SiteId, text: str) -> Site:
    """Keep a sheet as the people of a site, whole or not at all. What it makes of the site. Raises SheetError, ConfigError.

    Whoever may read the site's file may read the sheet: root, who brings it in, is not the engine's user.
    """
    path = folder / f"{site}.toml"
    if not is_identifier(site) or not path.exists():
        raise ConfigError("{folder}: no site `{site}`{near}", folder=folder, site=site, near=NOTHING)
    found = from_sheet(text, load_site(path))
    handle, name = tempfile.mkstemp(dir=folder, prefix=f".{site}", suffix=SHEET)
    with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    like = path.stat()
    with contextlib.suppress(PermissionError):  # it is given away by root alone; another's own stays his
        os.chown(name, like.st_uid, like.st_gid)
    Path(name).chmod(like.st_mode & 0o664)
    Path(name).replace(path.with_suffix(SHEET))
    return found


@dataclass(slots=True)
class SiteFolder:
    """The sites as they are on disk now, or were when they last could be read, each for itself: one that is wrong costs no other its people.

    One whose file has gone goes on too, until somebody says that it is to be forgotten: it may have been renamed by mistake.
    """

    folder: Path | None
    """None: no sites are kept, and everything concerns the desk."""
    sites: dict[SiteId, Site] = field(default_factory=dict)
    routes: tuple[Route, ...] = field(default_factory=shipped_routes)
    faults: dict[SiteId, str] = field(default_factory=dict)
    """Of which sites what lies on disk is not what is used, and why."""
    complaint: str = ""
    """All of them in one line, or why the whole folder can't be read."""
    _marks: frozenset[tuple[str, int, int]] = frozenset()

    def look(self) -> bool:
        """Read again what has changed. Whether anything is different now: the sites, or the complaint. Blocks shortly."""
        if self.folder is None or (marks := _marks(self.folder)) == self._marks:
            return False
        self._marks = marks
        try:
            self.sites, self.faults = self._read(self.folder)
        except ConfigError as error:
            self.faults = {site: str(error) for site in self.sites}
            self.complaint = str(error)
        else:
            self.complaint = "; ".join(self.faults.values())
        return True

    def good(self) -> dict[SiteId, Site]:
        """Those that are used as they lie on disk."""
        return {name: site for name, site in self.sites.items() if name not in self.faults}

    def stand_in(self, name: SiteId, last_good: Site) -> None:
        """Use what is known from before, for a site of which the disk has nothing that can be read."""
        self.faults = {name: _gone(self.folder, name), **self.faults}
        self.sites = {**self.sites, name: last_good}

    def forget(self, name: SiteId) -> None:
        """Its file is gone on purpose."""
        self.sites = {other: site for other, site in self.sites.items() if other != name}
        self.faults = {other: why for other, why in self.faults.items() if other != name}

    def _read(self, folder: Path) -> tuple[dict[SiteId, Site], dict[SiteId, str]]:
        """What can be read now or was before, and what is wrong."""
        found, faults = dict(self.sites), {name: _gone(folder, name) for name in self.sites}
        for path in _paths(folder):
            site = SiteId(path.stem)
            try:
                found[site] = _load(path)
                faults.pop(site, None)
            except ConfigError as error:
                faults[site] = str(error)
        return found, faults


def _gone(folder: Path | None, site: SiteId) -> str:
    return f"{folder}/{site}.toml: there is no such file any more"


def _marks(folder: Path) -> frozenset[tuple[str, int, int]]:
    """By which a change is seen."""
    found = set()
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith((".toml", SHEET)) and not entry.name.startswith("."):
                    stat = entry.stat()
                    found.add((entry.name, stat.st_mtime_ns, stat.st_size))
    except OSError:
        return frozenset({(str(folder), 0, 0)})
    return frozenset(found)
