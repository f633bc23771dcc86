"""Notices: telling the people whom escalation calls, by whatever channel reaches them, and knowing what became of it."""
