"""What lies over an alarm: shelves, maintenance and permits, chatter, doubt, parents, floods; and the look that lays it there and lifts it."""
