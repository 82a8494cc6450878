"""How often something differed among several replays, and what that says of how likely it is.

Two exact one-sided bounds (Clopper and Pearson 1934), each right in at least 95 of 100 cases: ``low`` is the
probability with which so many or more would be seen in 5 % of the cases, ``high`` that with so few or fewer. When
0 of n differed, ``high`` is 1 - 0.05^(1/n): 14 % for 20 replays, 1.5 % for 200.
"""

from __future__ import annotations

import math

from kfm_repro.model.finding import Flips

__all__ = ["CONFIDENCE", "count_flips"]

CONFIDENCE = 0.95
_DIGITS = 4
_STEPS = 60


def count_flips(differed: int, of: int) -> Flips:
    """Return the count with its bounds, rounded outwards to four digits.

    ``of`` 0 says nothing: the bounds are 0 and 1. Raises ValueError unless 0 <= differed <= of.
    """
    if not 0 <= differed <= of:
        raise ValueError(f"{differed} of {of}")
    low = 0.0 if differed == 0 else _root(differed, of, upper=True)
    high = 1.0 if differed == of else _root(differed, of, upper=False)
    scale = 10**_DIGITS
    return Flips(
        differed=differed, of=of, low=math.floor(low * scale) / scale, high=math.ceil(high * scale) / scale
    )


def _root(differed: int, of: int, *, upper: bool) -> float:
    """Return the p for which the tail at ``differed`` has 5 %; the bound that errs to the outside."""
    inside, outside = (1.0, 0.0) if upper else (0.0, 1.0)
    counts = range(differed, of + 1) if upper else range(differed + 1)
    for _ in range(_STEPS):
        middle = (inside + outside) / 2
        if math.fsum(_probability(k, of, middle) for k in counts) > 1 - CONFIDENCE:
            inside = middle
        else:
            outside = middle
    return outside


def _probability(k: int, n: int, p: float) -> float:
    """Return how likely k of n are when each is with probability p, 0 < p < 1."""
    ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return math.exp(ways + k * math.log(p) + (n - k) * math.log1p(-p))
