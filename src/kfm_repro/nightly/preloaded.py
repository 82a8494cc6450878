"""What the processes of a night share: loaded once, before they come to be, not by each of them for its first replay.

Nothing here starts threads, which a fork would lose: so Arrow is not among it.
"""

from __future__ import annotations

import ulid
import yaml

from kfm_repro.nightly import task
from kfm_repro.runs.detectors import detectors

__all__ = ["LOADED"]

LOADED = (task, ulid, yaml, detectors())
