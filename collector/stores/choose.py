"""Which store an address means: one line of configuration.

    sqlite:history.db                                       a file; a relative path starts at the configuration's folder
    influxdb://host:8086/gridcall                           InfluxDB 1.x
    influxdb://user:password@host:8086/gridcall
    influxdb2://TOKEN@host:8086/org/bucket                  InfluxDB 2.x
    influxdb3://TOKEN@host:8181/gridcall                    InfluxDB 3 Core; influxdb3://host:8181/… where it asks for no token
    victoria://host:8428                                    VictoriaMetrics, single node, with -dedup.minScrapeInterval=1ms
    victoria://user:password@host:8428
    influxdb+https://…  influxdb2+https://…  …              the same over TLS
    …?gzip                                                  what is written travels packed: for a database behind a slow line

What a password or a token holds of "@:/%" is written as %40 and so on. Opening connects to nothing.
"""

from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from collector.stores.base import Store
from collector.stores.sqlite import SqliteStore
from messages.language import NOTHING, Unfit, phrase, why
from messages.settings import ConfigError

DEFAULT_PORTS = {"influxdb": 8086, "influxdb2": 8086, "influxdb3": 8181, "victoria": 8428}
ESCAPES = phrase("; @ : / # in a password are written %40 %3A %2F %23")


def open_store(address: str, *, base: Path) -> Store:
    """The store at `address`; a relative file is sought from `base`. Raises ConfigError for a bad address."""
    try:
        return _store(address, base)
    except ValueError as error:
        raise ConfigError("store: {why}", why=why(error)) from error


def check_address(address: str) -> str:
    """The address itself, for use as a validator. Raises ValueError that says what is wrong with it."""
    _store(address, Path()).close()
    return address


def without_password(address: str) -> str:
    """The address as people may read it."""
    scheme, separator, rest = address.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}" if separator else address


def _store(address: str, base: Path) -> Store:
    scheme, colon, rest = address.partition(":")
    if scheme == "sqlite" and rest and not rest.startswith("//"):
        return SqliteStore(base / rest)
    kind, _, transport = scheme.partition("+")
    if colon and kind in DEFAULT_PORTS and transport in ("", "https"):
        try:
            parts = urlsplit(address)
            url = f"{transport or 'http'}://{_host(parts, DEFAULT_PORTS[kind])}"
            return _STORES[kind](parts, url, parts.query == "gzip")
        except ValueError as error:
            raise Unfit("{why}{escapes}", why=why(error), escapes=ESCAPES if "@" in rest else NOTHING) from error
    raise Unfit(
        '"sqlite:FILE", "influxdb://[USER:PASSWORD@]HOST[:PORT]/DATABASE", "influxdb2://TOKEN@HOST[:PORT]/ORG/BUCKET",'
        ' "influxdb3://[TOKEN@]HOST[:PORT]/DATABASE" or "victoria://[USER:PASSWORD@]HOST[:PORT]" is wanted{escapes}',
        escapes=ESCAPES if "@" in rest else NOTHING,
    )


def _host(parts: SplitResult, default_port: int) -> str:
    if parts.query not in ("", "gzip") or parts.fragment:
        raise Unfit("`?gzip` may stand at the end; other `?` and `#` are no part of the address")
    if not parts.hostname:
        raise Unfit("no host after {scheme}://", scheme=parts.scheme)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    try:
        port = parts.port or default_port
    except ValueError:  # Python's words quote it, and it may be a piece of a password
        raise Unfit(
            "what follows the host's colon is no port; one such as {port} is wanted", port=default_port
        ) from None
    return f"{host}:{port}"


# Clients are imported when they are chosen: a machine that stores in SQLite need not have them.


def _influx1(parts: SplitResult, url: str, packed: bool) -> Store:
    from collector.stores.influx.v1 import InfluxStore

    database = unquote(parts.path.strip("/"))
    if not database or "/" in database:
        raise Unfit("one database is wanted after the host: influxdb://host:8086/gridcall")
    return InfluxStore(
        url,
        database,
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        packed=packed,
    )


def _influx2(parts: SplitResult, url: str, packed: bool) -> Store:
    from collector.stores.influx.v2 import Influx2Store

    names = [unquote(name) for name in parts.path.strip("/").split("/")]
    if not parts.username or len(names) != 2 or not all(names):
        raise Unfit("a token, an organisation and a bucket are wanted: influxdb2://TOKEN@host:8086/org/bucket")
    return Influx2Store(url, token=unquote(parts.username), org=names[0], bucket=names[1], packed=packed)


def _influx3(parts: SplitResult, url: str, packed: bool) -> Store:
    from collector.stores.influx.v3 import Influx3Store

    database = unquote(parts.path.strip("/"))
    if not database or "/" in database or parts.password:
        raise Unfit("a token and one database are wanted: influxdb3://TOKEN@host:8181/gridcall")
    return Influx3Store(url, database, token=unquote(parts.username) if parts.username else None, packed=packed)


def _victoria(parts: SplitResult, url: str, packed: bool) -> Store:
    from collector.stores.victoria.store import VictoriaStore

    if parts.path.strip("/"):
        raise Unfit("nothing is wanted after the host: victoria://host:8428")
    return VictoriaStore(
        url,
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        packed=packed,
    )


_STORES = {"influxdb": _influx1, "influxdb2": _influx2, "influxdb3": _influx3, "victoria": _victoria}
