"""The tables of the rules' database, a file for what they hold. Whoever wants them, all or one, goes by the door: `rules.store.tables`."""
