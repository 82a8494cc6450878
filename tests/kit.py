"""The conformance kit, as its own script has it."""

from __future__ import annotations

import importlib.util
from types import ModuleType

from workshop import REPOSITORY

__all__ = ["KIT"]


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "conformance_kit", REPOSITORY / "fixtures/conformance/kit.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


KIT = _load()
