"""The engines on this database: that they live, and which sites they own."""

from sqlalchemy import JSON, BigInteger, Boolean, Column, Integer, String, Table

from rules.store.schema.metadata import metadata

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
