"""History in InfluxDB: `v1.py` for 1.x, `v2.py` for 2.x, `v3.py` for 3 Core."""
