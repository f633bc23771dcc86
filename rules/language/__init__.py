"""The rules' language: sentences over the channels of a kind, the same on the Pi and on the server. Pure."""
