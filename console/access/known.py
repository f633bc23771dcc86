"""Whether a site, a grid or a person is there at all, before somebody is let in by that name: a typing error would shut out whom it was made for.

By the sites' files, and beside them what the rules' database knows: the last good files, and the sites whose devices have come. What neither can
tell is a doubt and no error.
"""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from console.config import Config
from messages.ids import SiteId
from messages.language import Phrase, phrase
from messages.settings import ConfigError
from messages.suggestion import suggest
from rules.duty.folder import SiteFolder
from rules.duty.last_good import LastGood
from rules.duty.site import Site
from rules.store.database import Database, DatabaseAway, is_there


def doubts(
    file: Path, config: Config, *, sites: Collection[str] = (), grids: Collection[str] = (), person: str | None = None
) -> list[Phrase]:
    """Of the names given, those of which nobody can tell. No sites: all. Raises ConfigError for one that is surely nobody's."""
    folder = SiteFolder(config.site_files)
    folder.look()
    known = _Known(file, folder, {*_besides(config, folder), *folder.sites, *folder.faults})
    return [*known.sites(sites), *known.grids(sites, grids), *(known.person(sites, person) if person else ())]


def _besides(config: Config, folder: SiteFolder) -> Collection[SiteId]:
    """The sites that the database knows; its last good files stand in for those that can't be read."""
    if folder.folder is None or not is_there(config.database):
        return ()
    try:
        database = Database(config.database)
    except DatabaseAway:
        return ()
    try:
        last_good = LastGood(database, folder)
        last_good.read()
        return last_good.faults.keys()
    except DatabaseAway:
        return ()
    finally:
        database.close()


class _Known:
    def __init__(self, file: Path, folder: SiteFolder, names: Collection[str]) -> None:
        self._file = file
        self._rosters: Mapping[str, Site] = {str(name): site for name, site in folder.sites.items()}
        self._folder = folder
        self._names = names

    def sites(self, asked: Collection[str]) -> Iterator[Phrase]:
        for site in asked:
            if site in self._names:
                continue
            if self._rosters:
                raise ConfigError("--site: no site `{site}`{near}", site=site, near=suggest(site, self._names))
            yield phrase("--site: whether there is a `{site}` can't be told: {why}", site=site, why=self._why_not(()))

    def grids(self, at: Collection[str], asked: Collection[str]) -> Iterator[Phrase]:
        for name in asked:
            site, slash, grid = name.rpartition("/")
            where = [site] if slash else at
            found, whole = self._of(where)
            grids = {one for roster in found for one in roster.grids}
            if grid in grids:
                continue
            if whole:
                raise ConfigError("--grid: no grid `{grid}`{near}", grid=name, near=suggest(grid, grids))
            yield phrase(
                "--grid: whether there is a `{grid}` can't be told: {why}", grid=name, why=self._why_not(where)
            )

    def person(self, at: Collection[str], name: str) -> Iterator[Phrase]:
        found, whole = self._of(at)
        people = {one for roster in found for one in roster.people}
        if name in people:
            return
        if whole:
            raise ConfigError(
                "--person: nobody on a roster is `{person}`{near}", person=name, near=suggest(name, people)
            )
        yield phrase("--person: whether there is a `{person}` can't be told: {why}", person=name, why=self._why_not(at))

    def _of(self, sites: Collection[str]) -> tuple[list[Site], bool]:
        """The rosters of some sites, or of all, and whether that is every one of them."""
        wanted = sites or self._names
        found = [self._rosters[site] for site in wanted if site in self._rosters]
        return found, bool(found) and len(found) == len(wanted)

    def _why_not(self, sites: Collection[str]) -> Phrase:
        if self._folder.folder is None:
            return phrase("{config} names no `site_files`", config=self._file)
        unread = sorted(site for site in sites or self._names if site not in self._rosters)
        if unread:
            return phrase("no file of {sites} can be read", sites=Phrase(", ".join(unread)))
        return Phrase(self._folder.complaint) or phrase("{folder} holds no sites", folder=self._folder.folder)
