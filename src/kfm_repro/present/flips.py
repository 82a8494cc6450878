"""How often something differed among several replays, in words."""

from __future__ import annotations

import math

from kfm_repro.model.finding import Flips

__all__ = ["flip_sentence", "flip_share"]


def flip_share(flips: Flips) -> str:
    """Return in how many replays something was seen: ``in 3 of 20 replays``."""
    return f"in {flips.differed} of {flips.of} replays"


def flip_sentence(flips: Flips) -> str:
    """Return the count and what it says of the probability, percentages rounded outwards."""
    if not flips.of:
        return "no replay reached a verdict"
    said = f"{flips.differed} of {flips.of} replays differed"
    low, high = math.floor(round(flips.low * 100, 6)), math.ceil(round(flips.high * 100, 6))
    if not flips.differed:
        return f"{said}: flip probability below {high} % at 95 %"
    if flips.differed == flips.of:
        return f"{said}: flip probability above {low} % at 95 %"
    return f"{said}: flip probability {low} % to {high} %, each bound at 95 %"
