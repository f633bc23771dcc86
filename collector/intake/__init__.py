"""From a message to a verdict, and from there to the store or the quarantine."""
