"""Ways to reach people: one file per sort of channel, each with its own settings and its reading of the provider's answers."""
