"""``python -m kfm_repro``."""

from __future__ import annotations

import sys

from kfm_repro.cli import main

sys.exit(main())
