"""rules.toml: the settings of one rules engine. Relative paths in it start at its own folder."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from collector.stores.base import Store
from collector.stores.choose import check_address, open_store
from messages.broker import Broker
from messages.ids import Identifier, SiteId
from messages.kind import Kinds, load_kinds
from messages.language import Phrase, Unfit, phrase, why
from messages.settings import ConfigError, Folder, Seconds, Settings, folders, line_of, read
from rules.alarms.figures import Figures
from rules.cases.policy import Policies, load_policies
from rules.cases.practice import Practice
from rules.duty.folder import SiteFolder
from rules.duty.ladder import Address
from rules.duty.roll import written as addresses
from rules.duty.site import ReachWord
from rules.language.calendar import Calendar, CalendarText
from rules.language.rule import Rule, Rules
from rules.notices.config import ChannelName, ChannelText, Way, ways
from rules.outside.hook import Hook, HookText, hooks
from rules.rule_files import Look, RuleFiles
from rules.store.database import located

Retention = Annotated[Seconds, Field(gt=0)]


def _pages(text: str) -> str:
    if text and not text.startswith(("https://", "http://")):
        raise Unfit('an address such as "https://gridcall.example.org" is wanted')
    return text.rstrip("/")


def _web(text: str) -> str:
    if text and not text.startswith(("https://", "http://")):
        raise Unfit('an address such as "https://example.org/ping/1" is wanted')
    return text


class RulesFile(Settings):
    """rules.toml as it is written."""

    name: Identifier
    """Sets the MQTT client id, gridcall-<name>: one name per running engine, and always the same."""
    database: str
    """Alarms, cases, the log: sqlite:///FILE or postgresql+psycopg://USER@HOST/DATABASE."""
    store: Annotated[str, AfterValidator(check_address)]
    """The history that the collector writes, as the collector names it."""
    kinds: list[Folder] = Field(default_factory=list)
    rules: list[Folder] = Field(default_factory=list)
    operators: dict[Identifier, Annotated[int, Field(ge=1, le=1000)]] = Field(default_factory=dict)
    """How many share the alarms of a site, if not one: what is a flood to one is none to five."""
    retention: Retention | None = None
    """For how long the collector keeps readings, as its own file says; None: for ever."""
    calendar: CalendarText = Field(default_factory=CalendarText)
    sites: Annotated[list[Identifier], Field(min_length=1)] | None = None
    """The sites that it may own; without it, any. Engines on one database share them."""
    site_files: Folder | None = None
    """A folder with a file for each site: its places, its people and who is on duty. Without it every call goes to the desk."""
    desk: list[Annotated[ReachWord, StringConstraints(pattern=":")]] = Field(default_factory=list)
    """How whoever sits at the desk is told beside the pages, e.g. ["sms:13800000000"]: the last resort, and all there is at a site of which
    nobody is known."""
    pages: Annotated[str, AfterValidator(_pages)] = ""
    """The console's address as people's phones reach it: what stands in messages is a link to it."""
    channels: dict[ChannelName, ChannelText] = Field(default_factory=dict)
    """Ways to reach people."""
    policies: Folder | None = None
    """A file that says what is promised and when whom is called, where that differs from what is shipped."""
    alarms: Figures = Field(default_factory=Figures)
    """When an alarm rings again, what chatters, and what a flood is."""
    webhooks: dict[ChannelName, HookText] = Field(default_factory=dict)
    """Other systems that are told what happens."""
    heartbeat: Annotated[str, AfterValidator(_web)] = ""
    """An address outside that is asked for once a minute, as long as cases are looked after; it raises the alarm when nobody asks."""
    broker: Broker


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What the engine runs by: absolute paths, rules that were checked, a store that has not connected yet."""

    name: str
    database: str = field(repr=False)
    """Its address, which may hold a password."""
    store: Store
    kinds: Kinds
    rules: Rules
    operators: Mapping[SiteId, int]
    refused: str | None
    """Why the rules can't be read; there are none then."""
    files: RuleFiles
    look: Look
    """How the rule files lay there when they were read."""
    calendar: Calendar
    retention_s: float | None
    sites: tuple[SiteId, ...] | None
    unreached: tuple[Phrase, ...]
    """Channels by which somebody is to be reached and that nobody has set up, each in a sentence; they are in `notes` too."""
    notes: tuple[Phrase, ...]
    """What the user's own files do that they may not be meant to do."""
    policies: Policies
    figures: Figures
    hooks: tuple[Hook, ...] = field(repr=False)
    heartbeat: str = field(repr=False)
    broker: Broker
    site_files: SiteFolder
    desk: tuple[Address, ...]
    pages: str
    ways: Mapping[str, Way] = field(repr=False)

    @property
    def client_id(self) -> str:
        return f"gridcall-{self.name}"


def load(path: Path, *, rules_may_fail: bool = False) -> Configuration:
    """Reads the file, its kinds and its rules; opens nothing else. Raises ConfigError with file, line and field; of rules
    and sites that can't be read only if they may not fail: who runs may know better rules, and must run whatever a site's file says."""
    written, base = read(path, RulesFile), path.resolve().parent
    try:
        database = located(written.database, base)
    except ValueError as error:
        line = line_of(path.read_text(encoding="utf-8"), ("database",))
        raise ConfigError("{path}:{line}: database: {why}", path=path, line=line, why=why(error)) from error
    names = ("password_file", "ca_file", "cert_file", "key_file")
    files = {name: base / file for name in names if (file := getattr(written.broker, name)) is not None}
    broker = written.broker.model_copy(update=files)
    broker.secret()
    kinds = load_kinds(*folders(path, "kinds", written.kinds))
    own = folders(path, "rules", written.rules)
    calendar = written.calendar.calendar()
    rule_files = RuleFiles(tuple(own), kinds, calendar, written.retention)
    look = rule_files.look()
    rules, refused = dict[str, tuple[Rule, ...]](), None
    try:
        rules = rule_files.read()
    except ConfigError as error:
        if not rules_may_fail:
            raise
        refused = str(error)
    site_files = SiteFolder(base / written.site_files if written.site_files else None)
    if site_files.look() and site_files.complaint and not rules_may_fail:
        raise ConfigError(site_files.complaint)
    unreached = _unreached(site_files, written)
    complaint = site_files.complaint
    return Configuration(
        site_files=site_files,
        desk=addresses(written.desk),
        pages=written.pages,
        ways=ways(written.channels, base),
        name=written.name,
        database=database,
        store=open_store(written.store, base=base),
        kinds=kinds,
        rules=rules,
        operators={SiteId(site): count for site, count in written.operators.items()},
        refused=refused,
        files=rule_files,
        look=look,
        calendar=calendar,
        retention_s=written.retention,
        sites=None if written.sites is None else tuple(dict.fromkeys(map(SiteId, written.sites))),
        notes=(
            *(() if refused else rule_files.replaced()),
            *(
                (phrase("{why}: the last good file is used, if there is one", why=Phrase(complaint)),)
                if complaint
                else ()
            ),
            *unreached,
        ),
        unreached=unreached,
        policies=load_policies(base / written.policies if written.policies else None),
        figures=written.alarms,
        hooks=hooks(written.webhooks, base),
        heartbeat=written.heartbeat,
        broker=broker,
    )


def practice_in(path: Path) -> Practice:
    """How cases and alarms are dealt with by the settings at `path`, for a program beside the engine, which has no wish to call anybody. Raises
    ConfigError with file, line and field."""
    written = read(path, RulesFile)
    policies = path.resolve().parent / written.policies if written.policies else None
    return Practice(load_policies(policies), calendar=written.calendar.calendar(), figures=written.alarms)


def _unreached(site_files: SiteFolder, written: RulesFile) -> tuple[Phrase, ...]:
    named = {word.partition(":")[0]: phrase("the desk") for word in written.desk}
    for site_id, site in site_files.sites.items():
        for person in site.people.values():
            for word in person.reach:
                named.setdefault(word.partition(":")[0], Phrase(f"{site_id}: {person.name}"))
    missing = sorted(named.keys() - written.channels.keys())
    return tuple(
        phrase("{who} is to be reached by `{name}`, and there is no [channels.{name}]", who=named[name], name=name)
        for name in missing
    )
