"""What is on a line: who answers, at which speed, and what is wrong with it."""
