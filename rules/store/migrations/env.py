"""What alembic runs for each migration: on the connection, and in the transaction, that `rules.store.migration` hands over."""

from alembic import context

from rules.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite alters a table by making it anew
)
with context.begin_transaction():
    context.run_migrations()
