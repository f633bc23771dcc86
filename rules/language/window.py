"""What is kept of a channel's last hours, in bounded room, and what it amounts to. Pure.

A window is at most CELLS + 2 cells, each the summary of a thirtieth of its length; a channel that speaks less often than that is kept
exactly, of a busier one the beginning of the window is known to that thirtieth. Between two readings the earlier one
holds, as report by exception means it, but not beyond the channel's patience: a window with such a hole isn't
covered, and says so. Readings may come in any order: one of the backlog fills its hole.
"""

from typing import NamedTuple

from messages.reading import Value

CELLS = 30


class Cell(NamedTuple):
    """The readings of one thirtieth of a window. Times are the readings' own."""

    start_ms: int
    last_ms: int
    first: float
    last: float
    low: float
    high: float
    area: float
    """The value's integral from `start_ms` to `last_ms`, in its unit times milliseconds."""
    rise: float
    """The sum of its steps upwards: of a counter what it counted, of a boolean how often it became true."""
    readings: int
    turns: int
    """How often the value changed."""


Window = tuple[Cell, ...]
"""In order of time."""


class Course(NamedTuple):
    """What the readings of a window amount to, so far as they are known."""

    covered: bool
    """They are known from its beginning to its end, without a hole."""
    first: float
    last: float
    low: float
    high: float
    mean: float
    rise: float
    readings: int
    turns: int


def number(value: Value) -> float:
    """A boolean as 0 or 1. Of a text only that it is another one is kept."""
    return float(sum(value.encode()) * 31 + len(value)) if isinstance(value, str) else float(value)


def add(window: Window, length_ms: int, at_ms: int, value: float) -> Window:
    """The window with one more reading, and without what is too old for it."""
    grain_ms = max(length_ms // CELLS, 1)
    if not window or at_ms // grain_ms > window[-1].start_ms // grain_ms:
        return (*_trimmed(window, at_ms - length_ms), Cell(at_ms, at_ms, value, value, value, value, 0.0, 0.0, 1, 0))
    for index in range(len(window) - 1, -1, -1):
        cell = window[index]
        if at_ms // grain_ms == cell.start_ms // grain_ms:
            return (*window[:index], _joined(cell, at_ms, value), *window[index + 1 :])
        if at_ms > cell.start_ms:
            index += 1
            break
    alone = Cell(at_ms, at_ms, value, value, value, value, 0.0, 0.0, 1, 0)
    return _trimmed((*window[:index], alone, *window[index:]), window[-1].last_ms - length_ms)


def _trimmed(window: Window, from_ms: int) -> Window:
    """Without the cells that are over before the window begins, but for the last of them: its value holds."""
    drop = 0
    while drop + 1 < len(window) and window[drop + 1].start_ms <= from_ms:
        drop += 1
    return window[drop:]


def _joined(cell: Cell, at_ms: int, value: float) -> Cell:
    low, high, readings = min(cell.low, value), max(cell.high, value), cell.readings + 1
    if at_ms >= cell.last_ms:
        return Cell(
            cell.start_ms,
            at_ms,
            cell.first,
            value,
            low,
            high,
            cell.area + cell.last * (at_ms - cell.last_ms),
            cell.rise + max(value - cell.last, 0.0),
            readings,
            cell.turns + (value != cell.last),
        )
    if at_ms < cell.start_ms:
        area = cell.area + value * (cell.start_ms - at_ms)
        rise, turns = cell.rise + max(cell.first - value, 0.0), cell.turns + (value != cell.first)
        return cell._replace(
            start_ms=at_ms, first=value, low=low, high=high, area=area, rise=rise, readings=readings, turns=turns
        )
    return cell._replace(low=low, high=high, readings=readings)


def course(window: Window, length_ms: int, patience_ms: int, at_ms: int) -> Course | None:
    """What the window that ends at `at_ms` amounts to; None if it is empty. `patience_ms`: how long a value holds."""
    if not window:
        return None
    from_ms = at_ms - length_ms
    cells = _trimmed(window, from_ms)
    before = cells[0]
    covered = before.start_ms <= from_ms and at_ms - cells[-1].last_ms <= patience_ms
    if before.last_ms <= from_ms:  # only what it left behind reaches into the window
        first = low = high = before.last
        area, rise, readings, turns = 0.0, 0.0, 0, 0
        last, last_ms, lasts_ms = before.last, before.last_ms, from_ms
    else:
        first, low, high = before.first, before.low, before.high
        area, rise, readings, turns = before.area, before.rise, before.readings, before.turns
        last, last_ms, lasts_ms = before.last, before.last_ms, before.last_ms
        from_ms = max(from_ms, before.start_ms)
        area *= (before.last_ms - from_ms) / max(before.last_ms - before.start_ms, 1)
    for cell in cells[1:]:
        if cell.start_ms - last_ms > patience_ms:
            covered = False
        area += last * (cell.start_ms - lasts_ms) + cell.area
        rise += max(cell.first - last, 0.0) + cell.rise
        turns += (cell.first != last) + cell.turns
        readings += cell.readings
        low, high = min(low, cell.low), max(high, cell.high)
        last, last_ms, lasts_ms = cell.last, cell.last_ms, cell.last_ms
    area += last * max(at_ms - lasts_ms, 0)
    mean = area / (at_ms - from_ms) if at_ms > from_ms else last
    return Course(covered, first, last, low, high, mean, rise, readings, turns)
