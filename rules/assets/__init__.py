"""The labels on assets: a code for each cover, button and pole, which shows that somebody stands before it."""
