"""Rules over stored history: what they would have raised, beside what was raised, by the engine's own judgement."""
