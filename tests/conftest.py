"""Fixtures: real projects in temporary folders."""

from __future__ import annotations

import gc
import importlib.util
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import settings
from workshop import RECORDS, Workshop

# CI tries the same examples every time; at a desk they are drawn anew.
settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("desk", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "desk")

# Thousands of collected tests are no garbage: looking for some among them took an eighth of the time of all tests.
gc.set_threshold(50_000, 20, 50)


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    """Return an empty project folder that git ignores runs and outputs of."""
    root = tmp_path / "project"
    root.mkdir()
    shop = Workshop(root)
    shop.write(".gitignore", "data/work/\ndata/processed/\n")
    (root / "data/work/runs").mkdir(parents=True)
    return shop


@pytest.fixture(scope="session")
def template_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lay out the project of the hand-written record once."""
    spec = importlib.util.spec_from_file_location("build_template", RECORDS / "build_template.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    target = tmp_path_factory.mktemp("template") / "project"
    module.build(target)
    return target


@pytest.fixture
def template(template_source: Path, tmp_path: Path) -> Workshop:
    """Return a copy of the project that holds one hand-written record of ``import_census``."""
    target = tmp_path / "template"
    shutil.copytree(template_source, target, symlinks=True)
    return Workshop(target)
