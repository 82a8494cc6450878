"""Keep a command apart from this machine: levels, what it may see, its limits, its supervisor, its workspace."""

from kfm_repro.execute.isolate.cell import (
    Cell,
    Limits,
    Mount,
    interpreter_places,
    readable,
    variable_places,
    writable,
)
from kfm_repro.execute.isolate.inputs import Arranged, arrange_inputs, protect
from kfm_repro.execute.isolate.jail import Confinement, Jail, Report
from kfm_repro.execute.isolate.levels import Chosen, Isolation, LevelState, choose, detect
from kfm_repro.execute.isolate.places import Collected, Place, collect_leftovers, new_place

__all__ = [
    "Arranged",
    "Cell",
    "Chosen",
    "Collected",
    "Confinement",
    "Isolation",
    "Jail",
    "LevelState",
    "Limits",
    "Mount",
    "Place",
    "Report",
    "arrange_inputs",
    "choose",
    "collect_leftovers",
    "detect",
    "interpreter_places",
    "new_place",
    "protect",
    "readable",
    "variable_places",
    "writable",
]
