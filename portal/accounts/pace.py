"""How much one stranger's address may have made: BURST at once, then PER_SECOND. One unit is a rendition in another format."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from portal.accounts.throttle import subject

BURST: Final = 120  # a long gallery, looked at for the first time
PER_SECOND: Final = 1.0
ADDRESSES: Final = 10_000  # heard last; who is forgotten begins anew


class Pace:
    """A bucket of tokens for each address, in memory."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, and when there were so many

    def allows(self, address: str, cost: int = 1) -> bool:
        """Takes so many tokens, if there are as many."""
        who, now = subject(address), self._clock()
        tokens, since = self._buckets.pop(who, (float(BURST), now))
        tokens = min(BURST, tokens + (now - since) * PER_SECOND)
        is_allowed = tokens >= cost
        self._buckets[who] = (tokens - cost * is_allowed, now)
        if len(self._buckets) > ADDRESSES:
            self._buckets.popitem(last=False)
        return is_allowed
