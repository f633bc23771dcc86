"""What could not be stored, as it came."""
