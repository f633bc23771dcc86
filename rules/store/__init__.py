"""The database of the rules: its tables, transactions over them, and the thread that writes."""
