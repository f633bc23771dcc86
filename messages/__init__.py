"""What travels between Gridcall's programs, and nothing else.

A type is admitted here only if one program sends it and another reads it. `bus.py` is the one file that knows an MQTT
client, and `dial.py` opens its sockets; `settings.py` reads files; every other module is pure.
"""
