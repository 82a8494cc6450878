"""A night in parts that other machines do: whole pipelines, each in one part, by nothing but the choice itself."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from kfm_repro.errors import UsageError
from kfm_repro.nightly.choose import Candidate

__all__ = ["Shard", "parse_shard"]

_SHARD = re.compile(r"(\d{1,4})/(\d{1,4})\Z")


@dataclass(frozen=True)
class Shard:
    """Part ``index`` of ``count``, from 1."""

    index: int = 1
    count: int = 1

    def __str__(self) -> str:
        return f"{self.index}/{self.count}" if self.count > 1 else ""

    def of(self, runs: Sequence[Candidate]) -> tuple[Candidate, ...]:
        """Return the runs of this part: pipelines that take long go first, each to the part that has least so far."""
        cost: dict[str, float] = {}
        for one in runs:
            cost[one.run.pipeline] = cost.get(one.run.pipeline, 0.0) + one.estimate_s
        loads = [0.0] * self.count
        part: dict[str, int] = {}
        for pipeline in sorted(cost, key=lambda name: (-cost[name], name)):
            least = loads.index(min(loads))
            part[pipeline] = least
            loads[least] += cost[pipeline]
        return tuple(one for one in runs if part[one.run.pipeline] == self.index - 1)


def parse_shard(text: str) -> Shard:
    """Return the part that ``I/N`` names. Raises UsageError."""
    found = _SHARD.match(text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise UsageError(f"--shard {text!r} is no part", hint="write I/N with I from 1 to N, such as 2/3")
    return Shard(int(found[1]), int(found[2]))
