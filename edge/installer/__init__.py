"""For the person on the ladder: what is on the line, what the devices say now, and the sheet that is signed at the end."""
