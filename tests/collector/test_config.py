from pathlib import Path

import pytest

from collector.config import load
from collector.stores.sqlite import SqliteStore
from messages.settings import ConfigError

GOOD = """
name = "collector-1"
store = "sqlite:history.db"
folder = "state"
retention = "365d"
[broker]
port = 1884
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "collector.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_paths_start_at_the_file_and_nothing_is_opened(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret\n")
    configuration = load(written(tmp_path, GOOD + 'username = "collector"\npassword_file = "secret"\n'))
    assert configuration.client_id == "gridcall-collector-1"
    assert configuration.folder == tmp_path / "state"
    assert configuration.retention_ms == 365 * 86_400_000
    assert configuration.broker.secret() == "s3cret"
    assert isinstance(configuration.store.inner, SqliteStore)
    assert configuration.store.most == 100_000
    assert "gas_alarm" in configuration.kinds
    assert sorted(path.name for path in tmp_path.iterdir()) == ["collector.toml", "secret"]


def test_readings_are_kept_for_ever_unless_it_says_otherwise(tmp_path: Path) -> None:
    assert load(written(tmp_path, GOOD.replace('retention = "365d"\n', ""))).retention_ms is None


def test_a_folder_of_kinds_of_the_user_s_is_read(tmp_path: Path) -> None:
    kinds = tmp_path / "my-kinds"
    kinds.mkdir()
    source = (Path(__file__).parents[2] / "messages/kinds/waste_bin.toml").read_text(encoding="utf-8")
    (kinds / "compost_bin.toml").write_text(source, encoding="utf-8")
    text = GOOD.replace("folder =", 'kinds = ["my-kinds"]\nfolder =')
    assert "compost_bin" in load(written(tmp_path, text)).kinds


@pytest.mark.parametrize(
    ("wrong", "right", "complaint"),
    [
        ("sqlite:history.db", "mysql://host/x", 'collector.toml:3: store: "sqlite:FILE", "influxdb://'),
        ("sqlite:history.db", "influxdb://host:8086", "collector.toml:3: store: one database is wanted"),
        ("sqlite:history.db", "influxdb2://host:8086/org/bucket", "collector.toml:3: store: a token, an organisation"),
        ("sqlite:history.db", "influxdb://host:99999/x", "collector.toml:3: store: "),
        ("365d", "a year", "collector.toml:5: retention: a duration such as"),
        ("365d", "0s", "collector.toml:5: retention: "),
        ("collector-1", "Collector 1", "collector.toml:2: name: "),
        ("port = 1884", "prot = 1884", "collector.toml:7: broker.prot: is not known here; did you mean `port`?"),
        ("[broker]\nport = 1884\n", "", "collector.toml:1: broker: is missing"),
        ("port = 1884", 'username = "c"\npassword_file = "absent"', "absent: no password can be read"),
        ("[broker]", 'kinds = ["absent"]\n[broker]', "collector.toml:6: kinds: "),
    ],
)
def test_a_mistake_is_one_line_that_names_file_line_and_field(
    tmp_path: Path, wrong: str, right: str, complaint: str
) -> None:
    assert wrong in GOOD
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, GOOD.replace(wrong, right)))
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        "influxdb://user:pa5309#ss@host:8086/db",
        "influxdb://user:5309#ss@host:8086/db",
        "influxdb://user:pa5309/ss@host:8086/db",
        "influxdb://user:pa?5309@host:8086/db",
        "influxdb://user:5309@host:8086",
        "influxdb:user:5309@host:8086/db",
        "influxdb2://tok5309/en@host:8086/org/bucket",
        "influx://user:5309@host/db",
    ],
)
def test_a_password_stays_out_of_the_complaint_which_says_how_to_write_it(tmp_path: Path, address: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, GOOD.replace("sqlite:history.db", address)))
    assert "5309" not in str(caught.value)
    assert str(caught.value).endswith("; @ : / # in a password are written %40 %3A %2F %23")
