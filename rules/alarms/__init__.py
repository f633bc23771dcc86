"""Alarms: ISA-18.2 conditions, what findings do to them, and their word to other systems."""
