"""The example block's settings, one folder for all programs: what the demo and the system tests run on."""

import shutil
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from string import Template

TEMPLATES = Path(str(files("deploy"))) / "block"
SITES = Path(str(files("deploy"))) / "sites"


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """What differs from one run to the next."""

    password: str
    """Of every program at the broker."""
    broker_port: int
    uplink_port: int
    """Where the edge connects: a relay that the scenario can cut."""
    console_port: int
    collector_port: int
    """Of its own pages: ledgers, presence, quarantine."""
    store: str = "sqlite:history.db"
    line: str = "rs485-1"
    """Where the simulated RS-485 line appears."""
    baudrate: int = 9600


def write(example: Example, folder: Path) -> None:
    """Put edge.toml, collector.toml, rules.toml, console.toml, block.toml and rumqttd.toml into `folder`, and the example's site.

    They hold passwords, so only the owner can read them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for template in sorted(TEMPLATES.glob("*.toml")):
        target = folder / template.name
        target.touch(mode=0o600)
        target.write_text(Template(template.read_text(encoding="utf-8")).substitute(asdict(example)), encoding="utf-8")
    token = folder / "collector-token"
    token.touch(mode=0o600)
    token.write_text(f"{example.password}-quarantine\n", encoding="ascii")
    (folder / "sites").mkdir(exist_ok=True)
    for site in SITES.glob("*.toml"):
        shutil.copyfile(site, folder / "sites" / site.name)
