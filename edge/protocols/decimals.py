"""Numbers as instruments write them. Pure."""

import re

_PLAIN = re.compile(r"[+-]?(?=[0-9.]{1,16}$)[0-9]*\.?[0-9]+|[+-]?[0-9]{1,15}\.", re.ASCII)


def plain_decimal(text: str) -> float | None:
    """A plain decimal with at most one sign: no underscores, no exponents, no words such as nan. None for anything else."""
    return float(text) if _PLAIN.fullmatch(text) else None
