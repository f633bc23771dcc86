"""The settings file: what is taken, and which line is blamed."""

from pathlib import Path

import pytest

from console.config import Listen, load
from messages.settings import ConfigError
from tests.console.block import settings


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    config = load(settings(tmp_path))
    assert config.database == f"sqlite:///{tmp_path}/rules.db"
    assert config.accounts == tmp_path / "console.db"
    assert (config.time_zone, config.kinds) == ("Asia/Shanghai", [])


def test_an_address_may_be_of_either_internet_protocol(tmp_path: Path) -> None:
    path = settings(tmp_path)
    path.write_text(path.read_text().replace("127.0.0.1:8080", "[::1]:80"))
    assert load(path).listen == Listen(host="::1", port=80)


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ('"127.0.0.1:8080"', '"8080"', ":2: listen: an address such as"),
        ('"127.0.0.1:8080"', '"127.0.0.1:99999"', ":2: listen: an address such as"),
        ('"sqlite:///rules.db"', '"rules.db"', ":3: database: an address such as"),
        ('"sqlite:history.db"', '"history.db"', ':4: store: "sqlite:FILE"'),
        ("site_name", 'tim_zone = "UTC"\nsite_name', ":8: tim_zone: is not known here; did you mean `time_zone`?"),
        ("site_name", 'time_zone = "Asia/Peking"\nsite_name', ":8: time_zone: no time zone of this name is known"),
    ],
)
def test_a_mistake_is_one_line_with_file_line_and_field(tmp_path: Path, right: str, wrong: str, message: str) -> None:
    path = settings(tmp_path)
    path.write_text(path.read_text().replace(right, wrong, 1))
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}{message}")
    assert "\n" not in str(caught.value)
