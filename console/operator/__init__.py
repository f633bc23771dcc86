"""The operator's pages: a case with all that may be done about it, the map, the lists, the hand-over."""
