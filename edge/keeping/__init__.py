"""From readings to rows on disk, and what became of each: intake, outbox, ledger."""
