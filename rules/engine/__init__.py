"""What a batch of messages makes of what is known: pure, but for the catch-up that reads the history."""
