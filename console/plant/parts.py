"""What the pages of the plant work with beside the console's common parts."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from console.config import Config
from console.plant.collectors import Collector, token_in
from console.plant.dry_runs import DryRuns
from messages.ids import SiteId
from messages.settings import folders, read
from rules.config import RulesFile
from rules.desk import Desk


@dataclass(frozen=True, slots=True)
class Plant:
    """The collectors, if their addresses are known."""

    collectors: tuple[Collector, ...]
    operators: Mapping[SiteId, int]
    """How many share the alarms of a site, where the engine's settings say so."""
    rule_folders: tuple[Path, ...]
    """The user's own, as the engine reads them."""
    dry_runs: DryRuns | None
    pages: str = ""
    """The console's address as people's phones reach it, where the engine's settings say so."""

    def close(self) -> None:
        for collector in self.collectors:
            collector.close()
        if self.dry_runs is not None:
            self.dry_runs.close()


def plant_of(config: Config, desk: Desk) -> Plant:
    """Opens nothing but the file of the token. Raises ConfigError."""
    token = token_in(config.collector_token_file)
    written = read(config.rules, RulesFile) if config.rules else None
    return Plant(
        collectors=tuple(Collector(address, token) for address in config.collectors),
        operators={SiteId(site): count for site, count in written.operators.items()} if written else {},
        rule_folders=tuple(folders(config.rules, "rules", written.rules)) if written and config.rules else (),
        dry_runs=DryRuns(config.rules) if config.rules else None,
        pages=written.pages if written else "",
    )
