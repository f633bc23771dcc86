"""Drills: when a site practises, what it practises on, and that nobody outside is called for it."""
