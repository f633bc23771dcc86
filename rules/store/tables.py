"""The tables of the rules' database. The types are SQLite's and PostgreSQL's alike. What the rows mean is the affair of who reads them.

Whoever changes a table here changes `migrations/versions/r0002.py` too, which brings older databases to it;
`tests/rules/test_migration.py` fails while the two differ. Once 0002 is released, the next change begins 0003.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    text,
)

from rules.store.words import Prose, Words

metadata = MetaData()

devices = Table(
    "devices",
    metadata,
    Column("site", String(63), primary_key=True),
    Column("edge", String(63), primary_key=True),  # who says so
    Column("device", String(63), primary_key=True),
    Column("kind", String(63), nullable=False),
    Column("model", Words(80), nullable=False),
    Column("place", JSON, nullable=False),
    Column("settings", JSON, nullable=False),
    Column("guards", Boolean, nullable=False),  # lives hang on it
)

silences = Table(  # from when a device has said nothing for too long, unless it says something first
    "silences",
    metadata,
    Column("site", String(63), primary_key=True),
    Column("edge", String(63), primary_key=True),
    Column("device", String(63), primary_key=True),
    Column("from_ms", BigInteger, nullable=False),
)

edges = Table(
    "edges",
    metadata,
    Column("site", String(63), primary_key=True),
    Column("edge", String(63), primary_key=True),
    Column("online", Boolean, nullable=False),
    Column("since_ms", BigInteger, nullable=False),
    Column("last_reading_at_ms", BigInteger),
    Column("clock_trusted", Boolean, nullable=False),
    Column("behind_ms", BigInteger),  # how far its clock is behind ours; none: it has not said what it shows
)

streams = Table(
    "streams",
    metadata,
    Column("site", String(63), primary_key=True),
    Column("edge", String(63), primary_key=True),
    Column("stream", String(80), primary_key=True),
    Column("heard", JSON, nullable=False),  # ranges of pack numbers
    Column("said", BigInteger, nullable=False),  # the highest number that is known to exist
    Column("used_at_ms", BigInteger, nullable=False),
)

waiting = Table(  # readings of devices that nobody has announced yet
    "waiting",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("site", String(63), nullable=False),
    Column("edge", String(63), nullable=False),
    Column("device", String(63), nullable=False),
    Column("reading", JSON, nullable=False),
    Index("waiting_by_device", "site", "device"),
)

states = Table(
    "states",
    metadata,
    Column("site", String(63), primary_key=True),
    Column("device", String(63), primary_key=True),
    Column("rule", String(63), primary_key=True),
    Column("state", JSON, nullable=False),
    Column("wake_at_ms", BigInteger),  # the timer: when `step` wants to be called without a reading
    Column("edge", String(63)),  # who spoke last
    Column("version", String(16)),  # of the rule that this is the state of
)

rule_versions = Table(  # the rules that are in force, and those that something still runs by
    "rule_versions",
    metadata,
    Column("version", String(16), primary_key=True),
    Column("kind", String(63), nullable=False),
    Column("rule", String(63), nullable=False),
    Column("position", Integer, nullable=False),  # in its file
    Column("written", JSON, nullable=False),  # from which it can be made again
    Column("in_force", Boolean, nullable=False),
    Column("at_ms", BigInteger, nullable=False),  # when it last came into force
)

alarms = Table(
    "alarms",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("site", String(63), nullable=False),
    Column("edge", String(63), nullable=False),
    Column("device", String(63), nullable=False),
    Column("kind", String(63), nullable=False),
    Column("rule", String(63), nullable=False),
    Column("level", String(10), nullable=False),
    Column("latch", Boolean, nullable=False),
    Column("state", String(16), nullable=False),
    Column("open", Boolean, nullable=False),  # not norm, or its case is not closed
    Column("late", Boolean, nullable=False),
    Column("raised_at_ms", BigInteger, nullable=False),
    Column("changed_at_ms", BigInteger, nullable=False),
    Column("known_at_ms", BigInteger, nullable=False),
    Column("returned_at_ms", BigInteger),  # by the readings' own time
    Column("title", JSON, nullable=False),
    Column("advice", JSON(none_as_null=True)),
    Column("place", JSON, nullable=False),
    Column("evidence", JSON, nullable=False),
    Column("channels", JSON, nullable=False),
    Column("limits", JSON, nullable=False),
    Column("guards", Boolean, nullable=False),  # nothing may silence it
    Column("annunciated", Boolean, nullable=False),  # nothing does
    Column("overlays", JSON, nullable=False),
    Column("returned", Boolean, nullable=False),  # the rule has seen it clear, and is not believed yet
    Column("occurrences", Integer, nullable=False),
    Column("times", JSON, nullable=False),  # of occurrences, by the readings' own time; bounded
    Column("since_ms", BigInteger, nullable=False),  # the latest of them
    Column("flapped_at_ms", BigInteger, nullable=False),  # when its rule last raised or cleared it
    Column("version", String(16), nullable=False),  # of the rule
    Column("thresholds", JSON, nullable=False),
    Column("before", JSON(none_as_null=True)),  # readings up to the raise; null: the history was not asked yet
    Column("situation", String(63), nullable=False),  # the word by which its rule makes it one case with others
    Column("owner", Words(63), nullable=False),  # whose the device is, as it announces
    Column("lat", Float),
    Column("lon", Float),
    Column("gathers", JSON(none_as_null=True)),  # "kind.rule" of what it suppresses while it is active
    Column("case", String(40), ForeignKey("cases.id"), index=True),  # null: of the past, it rang nowhere
    Index("alarms_by_rule", "site", "device", "rule", "raised_at_ms"),
    Index("alarms_by_news", "known_at_ms"),
    Index("alarms_by_raise", "raised_at_ms", "kind", "rule", "late", "site"),
)
Index(  # the parents of others: asked for with each raise
    "gathering_alarms",
    alarms.c.site,
    sqlite_where=alarms.c.gathers.is_not(None),
    postgresql_where=alarms.c.gathers.is_not(None),
)
Index(
    "one_open_alarm",
    alarms.c.site,
    alarms.c.device,
    alarms.c.rule,
    unique=True,
    sqlite_where=text("open = 1"),  # in the words of our queries: SQLite looks into it for no others
    postgresql_where=alarms.c.open,
)

holds = Table(  # what people lay over alarms for a time: shelves, maintenance, work permits
    "holds",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("what", String(10), nullable=False),
    Column("site", String(63), nullable=False),
    Column("device", String(63)),  # null: any, as in the next four
    Column("rule", String(63)),
    Column("grid", String(63)),
    Column("building", Words(40)),
    Column("unit", Words(40)),
    Column("reason", Words(200), nullable=False),
    Column("actor", Words(80), nullable=False),
    Column("holder", Words(200), nullable=False),
    Column("one_shot", Boolean, nullable=False),
    Column("from_ms", BigInteger, nullable=False),
    Column("until_ms", BigInteger, nullable=False),
    Column("ended_at_ms", BigInteger, index=True),
    Column("ended_by", Words(80)),
)

floods = Table(  # sites with more new alarms than their operators can read
    "floods",
    metadata,
    Column("site", String(63), primary_key=True),
    Column("since_ms", BigInteger, nullable=False),
)

cases = Table(
    "cases",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("site", String(63), nullable=False),
    Column("place", JSON, nullable=False),
    Column("lat", Float),
    Column("lon", Float),
    Column("kind", String(63), nullable=False),  # a device kind, or the class of a report
    Column("subject", String(63), nullable=False),  # the device, or empty
    Column("owner", Words(63), nullable=False),
    Column("situation", String(63), nullable=False),
    Column("title", JSON, nullable=False),
    Column("level", String(10), nullable=False),
    Column("origin", String(10), nullable=False),
    Column("policy", JSON, nullable=False),  # as it was when the case was opened
    Column("state", String(16), nullable=False, index=True),
    Column("opened_at_ms", BigInteger, nullable=False),
    Column("clock_from_ms", BigInteger, nullable=False),
    Column("accept_by_ms", BigInteger),
    Column("arrive_by_ms", BigInteger),
    Column("handle_by_ms", BigInteger),
    Column("first_rung", Integer, nullable=False),
    Column("rung", Integer, nullable=False),
    Column("escalated_at_ms", BigInteger),
    Column("dispatched_at_ms", BigInteger),
    Column("dispatched_to", Words(80)),
    Column("accepted_at_ms", BigInteger),
    Column("accepted_by", Words(80)),
    Column("checked_in_at_ms", BigInteger),
    Column("checked_in_by", Words(80)),
    Column("on_site_at_ms", BigInteger),
    Column("on_site_by", Words(80)),
    Column("on_site_how", String(10)),
    Column("handling_at_ms", BigInteger),
    Column("feedback_at_ms", BigInteger),
    Column("feedback_by", Words(80)),
    Column("outcome", String(40)),
    Column("photo", JSON(none_as_null=True)),
    Column("verified_by", Words(80)),
    Column("closed_at_ms", BigInteger),
    Column("closed_by", Words(80)),
    Column("archived_at_ms", BigInteger),
    Column("extension_until_ms", BigInteger),
    Column("extension_by", Words(80)),
    Column("extension_at_ms", BigInteger),
    Column("suspended_until_ms", BigInteger),
    Column("reason", Prose(), nullable=False),
    Column("reopened", Integer, nullable=False),
    Column("parent", String(40)),
    Index("cases_by_situation", "site", "kind", "origin", "situation", "opened_at_ms"),
)

timers = Table(  # the clocks of cases that run (rules.escalation.program)
    "timers",
    metadata,
    Column("case", String(40), ForeignKey("cases.id"), primary_key=True),
    Column("leg", String(16), primary_key=True),
    Column("from_ms", BigInteger, nullable=False),
    Column("number", Integer, nullable=False),  # of the step that comes next
    Column("due_at_ms", BigInteger, nullable=False, index=True),
    Column("shift_ms", BigInteger, nullable=False),  # by how much the server's clock was set since it began
)

notices = Table(  # the outbox of calls: one person, one reason
    "notices",
    metadata,
    Column("key", String(200), primary_key=True),  # the same call is one row, whoever computes it and however often
    Column("case", String(40), ForeignKey("cases.id"), nullable=False, index=True),
    Column("leg", String(16), nullable=False),
    Column("person", Words(80), nullable=False),
    Column("role", Words(40), nullable=False),
    Column("level", String(10), nullable=False),
    Column("rung", Integer, nullable=False),
    Column("reason", Words(40), nullable=False),
    Column("queued_at_ms", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),  # section 2c of the field notes
    Column("channel", String(63), nullable=False),  # on which it is tried; empty: wherever the person can be reached
    Column("address", Integer, nullable=False),  # which of the person's addresses is tried
    Column("attempts", Integer, nullable=False),
    Column("due_at_ms", BigInteger, nullable=False),  # try it from then on; while SENDING, until when it may take
    Column("detail", JSON, nullable=False),  # the person's name, language and addresses when it was queued
    Index("notices_by_state", "state", "due_at_ms"),
)

sendings = Table(  # each try to hand a notice to a channel
    "sendings",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("notice", String(200), nullable=False, index=True),
    Column("case", String(40), nullable=False),
    Column("channel", String(63), nullable=False),
    Column("receiver", Words(200), nullable=False),
    Column("person", Words(80), nullable=False),
    Column("level", String(10), nullable=False),
    Column("more", Integer, nullable=False),  # how many other notices were told in it
    Column("begun_at_ms", BigInteger, nullable=False, index=True),
    Column("ended_at_ms", BigInteger),
    Column("outcome", String(10), nullable=False),  # sending, taken, failed, throttled, lost
    Column("answer", Words(200), nullable=False),
    Index("sendings_to_person", "person", "begun_at_ms"),
    Index("sendings_to_receiver", "receiver", "begun_at_ms"),
)

links = Table(  # that open one case for one person without a login
    "links",
    metadata,
    Column("token", String(64), primary_key=True),  # its hash
    Column("case", String(40), nullable=False, index=True),
    Column("person", Words(80), nullable=False),
    Column("made_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
    Column("opened_at_ms", BigInteger),
    Column("revoked_at_ms", BigInteger),
)

drills = Table(  # times in which a site practises
    "drills",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("site", String(63), nullable=False),
    Column("why", Words(200), nullable=False),
    Column("actor", Words(80), nullable=False),
    Column("from_ms", BigInteger, nullable=False),
    Column("until_ms", BigInteger, nullable=False),
    Column("ended_at_ms", BigInteger, index=True),
    Column("ended_by", Words(80)),
)

shadows = Table(  # what rules in shadow would have raised
    "shadows",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("site", String(63), nullable=False),
    Column("device", String(63), nullable=False),
    Column("kind", String(63), nullable=False),
    Column("model", Words(80), nullable=False),
    Column("grid", String(63), nullable=False),
    Column("rule", String(63), nullable=False),
    Column("version", String(40), nullable=False),
    Column("level", String(10), nullable=False),
    Column("raised_at_ms", BigInteger, nullable=False, index=True),
    Column("cleared_at_ms", BigInteger),
    Column("known_at_ms", BigInteger, nullable=False),
    Column("evidence", JSON, nullable=False),
)

roster = Table(  # changes to who is on duty: a person is away, or at a post beyond its shifts
    "roster",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("site", String(63), nullable=False),
    Column("person", String(63), nullable=False),
    Column("instead", String(63)),  # who stands in
    Column("post", String(63)),  # where extra duty is; an absence has none
    Column("from_ms", BigInteger, nullable=False),
    Column("until_ms", BigInteger, nullable=False, index=True),
    Column("reason", Words(200), nullable=False),
    Column("actor", Words(80), nullable=False),
    Column("made_at_ms", BigInteger, nullable=False),
    Column("withdrawn_at_ms", BigInteger),
    Column("withdrawn_by", Words(80)),
)

sites = Table(  # the last good file of each site (rules.duty.last_good)
    "sites",
    metadata,
    Column("site", String(63), primary_key=True),
    Column("content", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),  # when it was last read
)

tickets = Table(  # what other systems have brought in, by their own numbers (rules.outside)
    "tickets",
    metadata,
    Column("system", String(40), primary_key=True),  # whose token it came by
    Column("reference", String(80), primary_key=True),
    Column("site", String(63), nullable=False),
    Column("case", String(40), nullable=False, index=True),  # where it is now, if that was not merged
    Column("code", String(20), nullable=False, unique=True),  # by which the one who reported may ask
    Column("photo", JSON(none_as_null=True)),
    Column("at_ms", BigInteger, nullable=False),
)

upstream = Table(  # under which number the platform above keeps a case: one for one
    "upstream",
    metadata,
    Column("case", String(40), primary_key=True),
    Column("system", String(40), nullable=False),
    Column("reference", String(80), nullable=False),
    Index("upstream_by_reference", "system", "reference", unique=True),
)

hooks = Table(  # webhooks: how far in the log each has come, and whether it is still served
    "hooks",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("sent", BigInteger, nullable=False),  # how many were taken
    Column("sent_at_ms", BigInteger),
    Column("disabled_at_ms", BigInteger),
    Column("why", Words(200), nullable=False),  # of the latest failure
)

deliveries = Table(  # what a webhook has to tell and nobody has taken yet
    "deliveries",
    metadata,
    Column("hook", String(63), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),  # of the log's line
    Column("about", String(40), nullable=False),  # the case, or the alarm: in that order they are told
    Column("content_type", String(40), nullable=False),
    Column("body", Prose(), nullable=False),
    Column("queued_at_ms", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at_ms", BigInteger, nullable=False),
)

labels = Table(  # the codes that are stuck on devices (rules.assets)
    "labels",
    metadata,
    Column("code", String(12), primary_key=True),
    Column("site", String(63), nullable=False),
    Column("device", String(63), nullable=False),
    Column("made_at_ms", BigInteger, nullable=False),
    Column("made_by", Words(80), nullable=False),
    Column("ended_at_ms", BigInteger),  # replaced then
    Column("ended_by", Words(80)),
    Column("why", Words(200), nullable=False),
)
Index(
    "one_label",
    labels.c.site,
    labels.c.device,
    unique=True,
    sqlite_where=labels.c.ended_at_ms.is_(None),
    postgresql_where=labels.c.ended_at_ms.is_(None),
)

gone = Table(  # edges that will never come back, as a person says (rules.gone)
    "gone",
    metadata,
    Column("site", String(63), primary_key=True),
    Column("edge", String(63), primary_key=True),
    Column("actor", Words(80), nullable=False),
    Column("reason", Words(200), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)

refusals = Table(  # what the database did not take (rules.store.refusals)
    "refusals",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("site", Words(63), nullable=False),
    Column("what", Words(40), nullable=False),
    Column("name", Words(400), nullable=False),
    Column("why", Words(1000), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("seen_at_ms", BigInteger, index=True),
    Column("seen_by", Words(80)),
)

handovers = Table(  # what one shift at the desk tells the next
    "handovers",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("site", String(63), nullable=False),
    Column("words", Prose(), nullable=False),
    Column("facts", JSON, nullable=False),  # what stood open when it was written: numbers by name
    Column("actor", Words(80), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("signed_by", Words(80)),
    Column("signed_at_ms", BigInteger),
    Index("handovers_of_site", "site", "at_ms"),
)

log = Table(  # append-only
    "log",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("event", String(40), nullable=False),
    Column("alarm", String(40), index=True),
    Column("case", String(40)),
    Column("number", Integer),  # of the case's lines
    Column("actor", Words(80), nullable=False),
    Column("detail", Prose(), nullable=False),
    Column("device_at_ms", BigInteger),
    Column("key", String(80), unique=True),  # of an act: the same one twice is once
    Index("log_of_case", "case", "number", unique=True),
    Index("log_by_time", "at_ms", "alarm"),
    Index("log_by_event", "event", "at_ms"),
)

pulse = Table(
    "pulse",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("last_reading_at_ms", BigInteger),
    Column("readings", BigInteger, nullable=False),
    Column("hears", Boolean, nullable=False),
)

workers = Table(  # the engines on this database
    "workers",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("token", BigInteger, nullable=False),  # of its present life
    Column("beat", BigInteger, nullable=False),  # moves while it lives
    Column("works", BigInteger, nullable=False),  # how many it has written
    Column("sites", JSON(none_as_null=True)),  # those it may own; null: any
)

leases = Table(  # which engine owns which site
    "leases",
    metadata,
    Column("site", String(63), primary_key=True),
    Column("worker", String(63), nullable=False),
    Column("token", BigInteger, nullable=False),
)

counters = Table(  # "life", random; last seq of the "log", and that which was "published"
    "counters",
    metadata,
    Column("name", String(20), primary_key=True),
    Column("value", BigInteger, nullable=False),
)
