"""``python -m kfm_repro``."""

from __future__ import annotations

from kfm_repro.cli import run

run()
