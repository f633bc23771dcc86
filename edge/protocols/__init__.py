"""Sans-I/O codecs, one file per protocol: bytes in, frames out; no port, no clock, no log."""
