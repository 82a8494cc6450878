"""Small programs that the pipeline's own interpreter runs, handed over as text: kfm-repro is not installed there.

They use the standard library, and what they are there to run; any Python 3.8 understands them.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["runner"]


def runner(name: str) -> str:
    """Return the text of a runner, for ``python -c``."""
    return Path(__file__).with_name(f"{name}.py").read_text(encoding="utf-8")
