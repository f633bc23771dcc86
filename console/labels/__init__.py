"""Labels for assets: which devices have one, sheets of them to print, and a new one where the old was stolen or copied."""
