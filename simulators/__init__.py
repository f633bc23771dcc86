"""A residential block that behaves, and misbehaves, with the truth written down."""
