"""The collector's configuration, collector.toml. Reading it opens nothing but the file and the kinds.

Relative paths in it start at its own folder, so that it means the same from wherever it is started.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from collector.intake.desk import Desk
from collector.intake.devices import Devices
from collector.quarantine.kept import Quarantine
from collector.stores.bounded import Bounded
from collector.stores.choose import check_address, open_store, without_password
from messages.broker import Broker
from messages.ids import Identifier
from messages.kind import Kinds, load_kinds
from messages.language import why
from messages.settings import ConfigError, Folder, Seconds, Settings, folders, read

QUARANTINE = "quarantine.db"
"""In the collector's folder."""
SERIES = "series.db"
LEAST_TOKEN = 16


class Web(Settings):
    """The `[web]` table: where /metrics, /healthz, /readyz, /presence and /ledger are."""

    port: Annotated[int, Field(ge=1, le=65535)]
    address: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    token_file: Folder | None = None
    """A file with the secret that opens the quarantine, of 16 letters or more. Without it nobody can by HTTP."""

    def token(self) -> str | None:
        """Raises ConfigError when the file can't be read or holds no good secret."""
        if self.token_file is None:
            return None
        try:
            token = self.token_file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError("web.token_file: {path}: {why}", path=self.token_file, why=why(error)) from error
        if len(token) < LEAST_TOKEN:
            raise ConfigError(
                "web.token_file: {path}: {least} letters or more are wanted", path=self.token_file, least=LEAST_TOKEN
            )
        return token


class CollectorFile(Settings):
    """collector.toml as it is written."""

    name: Identifier
    """Sets the MQTT client id, gridcall-<name>: one name per running collector, and always the same."""
    store: Annotated[str, AfterValidator(check_address)]
    folder: Folder
    """For the quarantine and the announced devices. Made if absent."""
    kinds: list[Folder] = Field(default_factory=list)
    retention_s: Annotated[Seconds, Field(gt=0)] | None = Field(default=None, alias="retention")
    """How long readings are kept; older ones are refused. For ever if absent."""
    most_series: Annotated[int, Field(ge=1)] = 100_000
    """Channels of devices that this collector writes; readings of one more go to quarantine."""
    group: Identifier | None = None
    """Collectors of one group share the work, by a shared subscription; each has a name and a folder of its own."""
    web: Web | None = None
    broker: Broker


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What the collector runs by: absolute paths, loaded kinds, a store that has not connected yet."""

    name: str
    store: Bounded
    store_words: str
    """The store's address without its password, for people."""
    folder: Path
    kinds: Kinds
    retention_ms: int | None
    group: str | None
    web: Web | None
    broker: Broker

    @property
    def client_id(self) -> str:
        return f"gridcall-{self.name}"


def load(path: Path) -> Configuration:
    """Raises ConfigError that names file, line and field."""
    written = read(path, CollectorFile)
    base = path.absolute().parent
    files = {
        name: base / file
        for name in ("password_file", "ca_file", "cert_file", "key_file")
        if (file := getattr(written.broker, name)) is not None
    }
    broker = written.broker.model_copy(update=files)
    broker.secret()
    web = written.web
    if web and web.token_file:
        web = web.model_copy(update={"token_file": base / web.token_file})
        web.token()
    retention_ms = None if written.retention_s is None else round(written.retention_s * 1000)
    return Configuration(
        name=written.name,
        store=Bounded(
            open_store(written.store, base=base),
            base / written.folder / SERIES,
            most=written.most_series,
            kept_ms=retention_ms,
        ),
        store_words=without_password(written.store),
        folder=base / written.folder,
        kinds=load_kinds(*folders(path, "kinds", written.kinds)),
        retention_ms=retention_ms,
        group=written.group,
        web=web,
        broker=broker,
    )


def desk_of(configuration: Configuration) -> Desk:
    """Its desk. Opens nothing."""
    return Desk(
        store=configuration.store,
        quarantine=Quarantine(configuration.folder / QUARANTINE),
        devices=Devices(configuration.folder / "devices.db"),
        kinds=configuration.kinds,
        retention_ms=configuration.retention_ms,
    )
