"""What all tables belong to. It knows those that were imported: `rules.store.tables` imports them all."""

from sqlalchemy import MetaData

metadata = MetaData()
