"""What the pages of the plant work with beside the console's common parts."""

from dataclasses import dataclass

from console.config import Config
from console.plant.collectors import Collector, token_in
from rules.desk import Desk


@dataclass(frozen=True, slots=True)
class Plant:
    """The collectors, if their addresses are known."""

    collectors: tuple[Collector, ...]

    def close(self) -> None:
        for collector in self.collectors:
            collector.close()


def plant_of(config: Config, desk: Desk) -> Plant:
    """Opens nothing but the file of the token. Raises ConfigError."""
    token = token_in(config.collector_token_file)
    return Plant(tuple(Collector(address, token) for address in config.collectors))
