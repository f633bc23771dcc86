"""Products as data, one TOML file each; `product.py` says what may stand in one."""
