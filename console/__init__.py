"""The web: live feed, alarm pages with their history, and the buttons that move a case on."""
