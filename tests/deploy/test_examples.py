"""The examples that an installer copies: read by the programs' own readers, with and without their optional lines."""

import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import BaseModel

from collector.config import CollectorFile
from collector.config import load as load_collector
from console.config import Config as ConsoleFile
from console.config import load as load_console
from edge.configuration.check import parse as load_edge
from edge.configuration.tables import DeviceSettings, GatewaySettings, LineSettings
from edge.configuration.tables import File as EdgeFile
from edge.installer.checking import warnings
from messages.announcement import Place
from messages.broker import Broker
from rules.config import RulesFile
from rules.config import load as load_rules
from tests import services

EXAMPLES = services.ROOT / "deploy/examples"
READERS: dict[str, Callable[[Path], object]] = {
    "edge": load_edge,
    "collector": load_collector,
    "rules": load_rules,
    "console": load_console,
}


def installed(program: str, folder: Path, *, whole: bool) -> Path:
    """The example as on a machine whose /etc/gridcall and /var/lib/gridcall are in `folder`."""
    text = (EXAMPLES / f"{program}.toml").read_text(encoding="utf-8")
    if whole:
        text = re.sub(r"(?m)^#\? ", "", text)
    etc, state = folder / "etc", folder / "state"
    for place in (state, *(etc / name for name in ("kinds", "models", "rules", "sites"))):
        place.mkdir(parents=True, exist_ok=True)
    for name in ("uplink", "local", "collector", "rules"):
        (etc / f"{name}.password").write_text("secret\n")
    for name in re.findall(r"(?:secret|token|hook)_file = \"/etc/gridcall/([\w.-]+)\"", text):
        (etc / name).write_text("whsec_" + "5a" * 20 + "\n")
    for name, length in (("card", 32), ("door-1-1", 16)):
        (etc / f"{name}.key").write_text("5a" * length)
        (etc / f"{name}.key").chmod(0o600)
    text = text.replace("/etc/gridcall", str(etc)).replace("/var/lib/gridcall", str(state))
    path = etc / f"{program}.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("program", READERS)
def test_an_example_is_read_as_it_is_shipped(tmp_path: Path, program: str) -> None:
    path = installed(program, tmp_path, whole=False)
    READERS[program](path)
    assert not list((tmp_path / "state").iterdir())


@pytest.mark.needs("openssl")
@pytest.mark.parametrize("program", READERS)
def test_an_example_is_read_with_all_its_optional_lines(tmp_path: Path, program: str) -> None:
    path = installed(program, tmp_path, whole=True)
    made = services.certificates(tmp_path)
    for name, file in (
        ("ca.crt", made.authority),
        (f"{program}.crt", made.client),
        (f"{program}.key", made.client_key),
    ):
        (path.parent / name).write_bytes(file.read_bytes())
    (path.parent / "policies.toml").write_text('[levels.red]\nhandle = "2h"\n', encoding="utf-8")
    READERS[program](path)


def test_the_edge_of_the_example_lacks_nothing_but_its_port(tmp_path: Path) -> None:
    (warning,) = warnings(load_edge(installed("edge", tmp_path, whole=False)))
    assert "is not there" in warning


@pytest.mark.parametrize(
    ("program", "table", "model"),
    [
        ("edge", "", EdgeFile),
        ("edge", "uplink", Broker),
        ("edge", "lines", LineSettings),
        ("edge", "gateways", GatewaySettings),
        ("edge", "devices", DeviceSettings),
        ("edge", "place", Place),
        ("collector", "", CollectorFile),
        ("collector", "broker", Broker),
        ("rules", "", RulesFile),
        ("rules", "broker", Broker),
        ("console", "", ConsoleFile),
    ],
)
def test_every_key_that_a_program_knows_is_in_its_example(
    tmp_path: Path, program: str, table: str, model: type[BaseModel]
) -> None:
    content = tomllib.loads(installed(program, tmp_path, whole=True).read_text(encoding="utf-8"))
    if table == "place":
        written = {key for device in content["devices"] for key in device["place"]}
    elif table in ("lines", "gateways", "devices"):
        written = {key for entry in content[table] for key in entry}
    else:
        written = set(content[table] if table else content)
    known = {field.alias or name for name, field in model.model_fields.items()}
    assert known - written <= {"password"}  # which its file excludes


@pytest.mark.parametrize("program", READERS)
def test_every_default_that_an_example_names_is_the_programs_own(tmp_path: Path, program: str) -> None:
    text = (EXAMPLES / f"{program}.toml").read_text(encoding="utf-8")
    text = re.sub(
        r"(?m)^#\? \[(?:\[|channels).*\n(?:#\? .*\n)*", "", text
    )  # a whole table that may be left out names no defaults
    named = {
        key: tomllib.loads(line)[key] for line in re.findall(r"(?m)^#\? (.*)$", text) for key in tomllib.loads(line)
    }
    known = {
        "outbox_limit_mb": EdgeFile.model_fields["outbox_limit_mb"].default,
        "port": Broker.model_fields["port"].default,
        "protocol": Broker.model_fields["protocol"].default,
        "parity": LineSettings.model_fields["parity"].default,
        "stop_bits": LineSettings.model_fields["stop_bits"].default,
        "time_zone": ConsoleFile.model_fields["time_zone"].default,
    }
    assert {key: named[key] for key in known.keys() & named.keys()} == {
        key: known[key] for key in known.keys() & named.keys()
    }
    assert known.keys() & named.keys()


def test_the_pages_may_write_where_the_example_keeps_the_sites_files() -> None:
    """All else of the machine but /var/lib/gridcall is read only to a service: a sheet sent from a page could never be kept."""
    (folder,) = re.findall(r'(?m)^#\? site_files = "(.*?)"', (EXAMPLES / "console.toml").read_text(encoding="utf-8"))
    unit = services.ROOT / "deploy/systemd"
    assert "ProtectSystem=strict" in (unit / "gridcall@.service").read_text(encoding="utf-8")
    assert f"ReadWritePaths=-{folder}\n" in (unit / "gridcall@console.service.d/console.conf").read_text(
        encoding="utf-8"
    )
