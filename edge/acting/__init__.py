"""What the edge does: commands from the server, and reflexes that need no server."""
