"""Which axes a night varies: every seven nights in a row all of them, each once."""

from __future__ import annotations

from datetime import date

from kfm_repro.execute.perturb.axes import AXES, parse_axes

__all__ = ["DAYS", "axes_of"]

DAYS = 7
_NETWORK = "network"


def axes_of(night: date, wanted: str, *, foreign: bool = False) -> tuple[str, ...]:
    """Return the axes that a replay of ``night`` varies: by ``week``, ``none``, or those that are named.

    A stranger's command is never given the network by us. Raises UsageError.
    """
    if wanted == "none":
        return ()
    axes = tuple(AXES)[night.toordinal() % DAYS :: DAYS] if wanted == "week" else parse_axes(wanted)
    return tuple(axis for axis in axes if not (foreign and axis == _NETWORK))
