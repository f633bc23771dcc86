"""What other systems read, bring in and are told: cases out and in, webhooks, CAP messages."""
