"""What the collector knows of itself and the edges: ledger, presence, figures."""
