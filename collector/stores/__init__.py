"""The history of readings behind one small interface; `base.py` states it, `choose.py` opens one by its address."""
