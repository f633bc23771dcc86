"""What a bench says: one case, one value, one unit."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """`value` in `unit`; a run that lost anything has no figure and raises instead."""

    case: str
    value: float
    unit: str

    def row(self) -> dict[str, str | float]:
        digits = 4 if self.value < 100 else 0
        return {
            "case": self.case,
            "value": round(self.value, digits) if digits else round(self.value),
            "unit": self.unit,
        }


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` (0 to 1) of `values` don't exceed: nearest rank, no interpolation."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
