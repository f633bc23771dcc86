"""The console's settings: one TOML file, read and checked before anything is opened."""

from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field

from collector.stores.choose import check_address
from console.access.settings import Access
from messages.language import Unfit, why
from messages.settings import ConfigError, Folder, Settings, Text, folders, line_of, read
from messages.wording import shown
from rules.store.database import located


class Listen(Settings):
    """Where the pages are served."""

    host: str
    port: int


def _listen(text: object) -> Listen:
    host, colon, port = text.rpartition(":") if isinstance(text, str) else ("", "", "")
    if not host or not colon or not port.isdecimal() or not 0 < int(port) < 65536:
        raise Unfit('an address such as "127.0.0.1:8080" is wanted, not {text}', text=shown(text))
    return Listen(host=host.strip("[]"), port=int(port))


def _web(text: str) -> str:
    if not text.startswith(("https://", "http://")):
        raise Unfit('an address such as "http://127.0.0.1:9464" is wanted, not {text}', text=shown(text))
    return text.rstrip("/")


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Unfit("no time zone of this name is known; one such as {zone} is wanted", zone="Asia/Shanghai") from error
    return name


class Config(Settings):
    """One console. Paths are absolute, or relative to the file."""

    listen: Annotated[Listen, BeforeValidator(_listen)]
    database: str = Field(repr=False)
    """The rules' database, as SQLAlchemy writes it."""
    store: Annotated[str, AfterValidator(check_address)]
    """The collector's history, as the collector writes it."""
    accounts: Folder
    """The SQLite file with the people who may log in."""
    site_name: Text
    time_zone: Annotated[str, AfterValidator(_known_zone)] = "Asia/Shanghai"
    kinds: list[Folder] = Field(default_factory=list)
    """Folders with further kinds."""
    site_files: Folder | None = None
    """The folder with a file for each site, as the rules' settings name it. Without it nobody's number stands on a page."""
    collectors: list[Annotated[str, AfterValidator(_web)]] = Field(default_factory=list)
    """Where the collectors' own pages are: what is heard of each device, the ledgers, the quarantine."""
    collector_token_file: Folder | None = None
    """The secret that opens the quarantine, as the collectors' `[web]` has it."""
    rules: Folder | None = None
    """The engine's own settings: what is promised of a case that somebody opens or raises here, which days are worked, dry runs, the number of
    operators, and the rule files in use. Without it promises are as they are shipped."""
    photos: Folder | None = None
    """Where the pictures of cases are kept; made when the first one comes. Without it none can be sent."""
    access: Access = Access()

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)


def load(path: Path) -> Config:
    """The settings in `path`, its relative paths resolved. Raises ConfigError that names file, line and field."""
    config, base = read(path, Config), path.resolve().parent
    try:
        database = located(config.database, base)
    except ValueError as error:
        line = line_of(path.read_text(encoding="utf-8"), ("database",))
        raise ConfigError("{path}:{line}: database: {why}", path=path, line=line, why=why(error)) from error
    return config.model_copy(
        update={
            "database": database,
            "accounts": base / config.accounts,
            "kinds": folders(path, "kinds", config.kinds),
            "site_files": base / config.site_files if config.site_files else None,
            "collector_token_file": base / config.collector_token_file if config.collector_token_file else None,
            "rules": base / config.rules if config.rules else None,
            "photos": base / config.photos if config.photos else None,
        }
    )
