"""History in VictoriaMetrics: `store.py` is the store, `lines.py` what it writes, docs/decisions/0025 says why so."""
