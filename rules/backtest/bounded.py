"""A backtest for a page: in a process of its own, with a bound of memory and of the processor's time, its progress and result as lines of
JSON. Nothing is written, nobody is called.

`python -m rules.backtest.bounded CONFIG KIND --days 7 --until-ms MS [--site SITE]… [--rule FILE]`. Whoever started it ends it when it takes too
long. `KIND`: whose rules are tried; those in use, where no file changes them.
"""

import argparse
import os
import resource
import sys
from pathlib import Path
from typing import Any, get_args

import orjson

from collector.stores.base import StoreError
from messages.ids import SiteId
from messages.language import Language, Phrase
from messages.settings import ConfigError
from rules.backtest import chart, report
from rules.backtest.courses import Judged, courses_of
from rules.backtest.past import Span
from rules.config import Configuration, load
from rules.store.database import DatabaseAway

MEMORY_BYTES = 2 * 1024 * 1024 * 1024
"""Of address space: some hundred thousand episodes, and the libraries."""
PROCESSOR_S = 300
MOST_LISTED = 50
MOST_DAYS = 92


def main() -> None:
    asked = _arguments()
    _confine()
    span = Span(asked.until_ms - asked.days * 86_400_000, asked.until_ms)
    try:
        configuration = load(asked.config)
        try:
            sites = frozenset(SiteId(site) for site in asked.site)
            judged = courses_of(configuration, span, asked.rule, sites, _told, frozenset([asked.kind]))
            result = _result(judged, configuration)
        finally:
            configuration.store.close()
    except ConfigError as error:
        _give_up(error.phrase)
    except (DatabaseAway, StoreError) as error:
        _give_up(Phrase(str(error)))
    except MemoryError:
        _say(error="memory")
    else:
        if judged.broken is not None:
            _give_up(Phrase(judged.broken))
            return
        _say(result=result)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("kind")
    parser.add_argument("--days", type=int, default=7, choices=range(1, MOST_DAYS + 1))
    parser.add_argument("--until-ms", type=int, required=True)
    parser.add_argument("--site", action="append", default=[])
    parser.add_argument("--rule", action="append", default=[], type=Path)
    return parser.parse_args()


def _confine() -> None:
    """The live engine and the pages come first."""
    os.nice(10)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_S, PROCESSOR_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _told(share: float, count: int) -> bool:
    _say(share=share, count=count)
    return True


def _result(judged: Judged, configuration: Configuration) -> dict[str, Any]:
    span, calendar = judged.span, configuration.calendar
    days = report.days(calendar, span.from_ms, span.until_ms)
    return {
        **report.as_json(judged.courses, calendar, span.from_ms, span.until_ms, MOST_LISTED, judged.then),
        "days": days,
        "days_off": [day for day in days if chart.is_off(calendar, day)],
        "changes": [{"rule": one.rule, "parts": one.parts} for one in judged.changes],
        "readings": judged.readings,
        "not_judged": judged.unknown,
        "first_ms": judged.first_ms,
        "kept_ms": None if configuration.retention_s is None else round(configuration.retention_s * 1000),
    }


def _give_up(why: Phrase) -> None:
    """In both languages: who will read it is not known here."""
    _say(said={language: why.said(language) for language in get_args(Language)})


def _say(**content: object) -> None:
    sys.stdout.buffer.write(orjson.dumps(content) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
