"""The plant as it announces itself: edges, their devices and streams, what is silent, labelled or gone."""

from sqlalchemy import JSON, BigInteger, Boolean, Column, Index, Integer, String, Table

from rules.store.schema.metadata import metadata, partial
from rules.store.words import Words

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
    Index("devices_by_name", "site", "device"),  # who speaks of one: asked for with each raise
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
partial(
    "one_label",
    labels.c.site,
    labels.c.device,
    unique=True,
    sqlite=labels.c.ended_at_ms.is_(None),
    postgresql=labels.c.ended_at_ms.is_(None),
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
