from pathlib import Path

import pytest

from collector.stores.base import Batch, StoreAway
from collector.stores.choose import open_store, without_password
from collector.stores.influx.v1 import InfluxStore
from collector.stores.influx.v2 import Influx2Store
from collector.stores.sqlite import SqliteStore
from collector.stores.victoria.store import VictoriaStore
from messages.ids import DeviceId, SiteId
from messages.settings import ConfigError


def test_an_address_means_a_store() -> None:
    for address, store in {
        "sqlite:history.db": SqliteStore,
        "sqlite:/var/lib/gridcall/history.db": SqliteStore,
        "influxdb://127.0.0.1:8086/gridcall": InfluxStore,
        "influxdb://user:p%40ss@[::1]:8086/gridcall": InfluxStore,
        "influxdb+https://user:pass@influx.example/gridcall": InfluxStore,
        "influxdb2://a-token==@127.0.0.1/org/bucket": Influx2Store,
        "influxdb+https://influx.example/gridcall?gzip": InfluxStore,
        "victoria://127.0.0.1:8428": VictoriaStore,
        "victoria+https://user:p%40ss@vm.example": VictoriaStore,
    }.items():
        opened = open_store(address, base=Path("/tmp"))
        assert type(opened) is store
        opened.close()


@pytest.mark.parametrize("address", ["", "history.db", "sqlite:", "sqlite://x", "influxdb:x/y", "influxdb:///db",
                                     "influxdb+http://host/db", "influxdb://host/a/b", "influxdb2://t@host/org",
                                     "victoria://host/db", "victoria://", "influxdb://host/db?gzip=9"])  # fmt: skip
def test_any_other_address_is_refused_before_anything_is_opened(address: str) -> None:
    with pytest.raises(ConfigError, match="store: "):
        open_store(address, base=Path())


def test_a_relative_file_starts_at_the_base(tmp_path: Path) -> None:
    store = open_store("sqlite:history.db", base=tmp_path)
    assert not (tmp_path / "history.db").exists()
    store.write([])
    assert (tmp_path / "history.db").exists()
    store.close()


def test_an_absent_store_is_away_at_the_first_call_and_no_password_is_said(tmp_path: Path) -> None:
    for address in (
        "sqlite:absent.db",
        "influxdb://user:s3cret@127.0.0.1:1/gridcall",
        "influxdb2://s3cret@127.0.0.1:1/org/bucket",
    ):
        store = open_store(address, base=tmp_path)
        with pytest.raises(StoreAway) as caught:
            store.latest(SiteId("junmen"), DeviceId("gas-1"))
        assert "s3cret" not in str(caught.value)
        store.close()
    batch: list[Batch] = []
    with pytest.raises(StoreAway):
        open_store("influxdb://127.0.0.1:1/gridcall", base=tmp_path).write(batch)


def test_people_read_an_address_without_its_password() -> None:
    assert without_password("influxdb://user:s3c@ret@host:8086/db") == "influxdb://host:8086/db"
    assert without_password("sqlite:history.db") == "sqlite:history.db"
