"""How the edge itself is: its host, its lines, its outbox, said as readings like any other."""
