"""The REST interface for other systems, under /api/v1."""
