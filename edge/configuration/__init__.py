"""What one edge agent runs by: its file as written, as understood, and whether the two fit."""
