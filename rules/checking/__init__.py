"""What is wrong with a rule though it can be read: what it can't mean, what contradicts itself, what another one says already. Pure."""
