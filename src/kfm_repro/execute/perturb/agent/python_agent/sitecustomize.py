"""Start-up file of the Python agent: sets it up, leaves no trace on sys.path, and runs the sitecustomize behind it.

It is found through PYTHONPATH, which -I and -E switch off, and is not run at all with -S; the canary shows it.
"""

from __future__ import annotations

import sys
from pathlib import Path


def _next_sitecustomize() -> None:
    from importlib.machinery import PathFinder
    from importlib.util import module_from_spec

    spec = PathFinder.find_spec("sitecustomize", sys.path)
    if spec is None or spec.loader is None:
        return
    module = module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


def _start() -> None:
    here = str(Path(__file__).parent)
    sys.path.insert(0, here)
    try:
        import _kfm_agent  # type: ignore[import-not-found]

        _kfm_agent.start(Path(here).parent)
    finally:
        sys.path[:] = [entry for entry in sys.path if entry != here]


_start()
_next_sitecustomize()
