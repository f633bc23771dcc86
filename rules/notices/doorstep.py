"""Who comes by the link of a message: a part of the desk (rules.desk)."""

from rules.notices import links, sendings
from rules.store.database import Database


class Doorstep:
    """Links of messages, as the pages ask for them. Every method may raise `DatabaseAway`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def holder(self, token: str, at_ms: int) -> tuple[str, str] | None:
        """The case and the person of a link that still holds."""
        with self._database.reading() as connection:
            return links.holder(connection, token, at_ms)

    def ended_link(self, token: str, at_ms: int) -> links.Ended | None:
        """A link that holds no more, and still takes what was done while it held."""
        with self._database.reading() as connection:
            return links.ended(connection, token, at_ms)

    def open_link(self, token: str, at_ms: int) -> tuple[str, str] | None:
        """The same; the person has read what he was told."""
        if self.holder(token, at_ms) is None:  # whoever guesses takes no lock
            return None
        with self._database.writing() as connection:
            if (found := links.opened(connection, token, at_ms)) is not None:
                sendings.read(connection, *found, at_ms)
            return found
