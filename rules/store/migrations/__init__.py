"""How a database of an older Gridcall becomes one of this."""
