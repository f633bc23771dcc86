"""The first look into the database: the sites that are ours, and what is known of them."""

import gc
from collections.abc import Callable

import structlog

from messages.language import why
from messages.settings import ConfigError
from rules.config import Configuration
from rules.engine.memory.facts import Facts
from rules.language.rule import Rules
from rules.store import facts, versions
from rules.store.database import Database, DatabaseDamaged
from rules.store.leases import Holder
from rules.store.sqlite import set_aside
from rules.tenure import Tenure

log = structlog.get_logger("rules")


def opened(config: Configuration, holder: Holder, clock_s: Callable[[], float], now_ms: int) -> tuple[Tenure, Facts]:
    """The sites that are ours in the database, and what it holds of them. A damaged one is set aside: no alarm must wait for
    somebody to mend it. Raises DatabaseAway, and ConfigError."""
    try:
        return _loaded(config, holder, clock_s, now_ms)
    except DatabaseDamaged as error:
        aside = set_aside(config.database, now_ms)
        log.error("the database is damaged: begun anew, without its open cases", why=str(error), kept=str(aside))
    return _loaded(config, holder, clock_s, now_ms)


def _loaded(config: Configuration, holder: Holder, clock_s: Callable[[], float], now_ms: int) -> tuple[Tenure, Facts]:
    database = Database(config.database)
    try:
        rules: Rules = config.rules
        if config.refused:
            rules = config.files.answering(versions.last_good(database, config.kinds, config.calendar))
            if not rules:
                raise ConfigError(config.refused)
        tenure = Tenure(database, holder, clock_s)
        tenure.mine |= tenure.enter()
        known = _read(database, config, rules, tenure)
        versions.keep(database, rules, now_ms)
        return tenure, known
    except ValueError as error:
        raise ConfigError("database: {why}", why=why(error)) from error
    except DatabaseDamaged:
        database.close()
        raise


def _read(database: Database, config: Configuration, rules: Rules, tenure: Tenure) -> Facts:
    """What is known is no garbage: to look for some in it takes a tenth of the time for which nothing rings, and of each look later on."""
    gc.disable()
    try:
        known = facts.load(database, config.kinds, rules, config.calendar, tenure.mine)
        gc.freeze()
        return known
    finally:
        gc.enable()
