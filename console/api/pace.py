"""How often something may be asked by one address, and by all together. Pure: times in, seconds to wait out; bounded memory."""

from collections import OrderedDict, deque
from dataclasses import dataclass, field

WINDOW_S = 60.0
MOST_ADDRESSES = 10_000


@dataclass(slots=True)
class Pace:
    """`each` and `all` within WINDOW_S. Addresses that were not heard of for longest are forgotten first."""

    each: int
    all: int
    _by_address: OrderedDict[str, deque[int]] = field(default_factory=OrderedDict)
    _all: deque[int] = field(default_factory=deque)

    def wait_s(self, address: str, now_ms: int) -> float:
        """0 when it may be asked now, which then counts."""
        mine = self._by_address.pop(address, None) or deque()
        self._by_address[address] = mine
        while len(self._by_address) > MOST_ADDRESSES:
            self._by_address.popitem(last=False)
        waits = [_wait_s(times, limit, now_ms) for times, limit in ((mine, self.each), (self._all, self.all))]
        if not any(waits):
            mine.append(now_ms)
            self._all.append(now_ms)
        return max(waits)


def _wait_s(times: deque[int], limit: int, now_ms: int) -> float:
    while times and now_ms - times[0] >= WINDOW_S * 1000:
        times.popleft()
    return 0.0 if len(times) < limit else (times[0] + WINDOW_S * 1000 - now_ms) / 1000
