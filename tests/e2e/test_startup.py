"""Start-up is a feature: help and errors pay for no heavy library."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

_HEAVY = (
    "pyarrow",
    "pandas",
    "geopandas",
    "rich",
    "jinja2",
    "numpy",
    "shapely",
    "yaml",
    "msgspec",
    "deepdiff",
)
_PROBE = """
import json, sys
from kfm_repro.cli import main
code = main(sys.argv[1:])
print(json.dumps([code, sorted({name.partition('.')[0] for name in sys.modules})]), file=sys.stderr)
"""


@pytest.mark.parametrize("args", [["--help"], ["--version"], ["replay", "--help"], ["diff", "--help"]])
def test_help_imports_no_heavy_library(args: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROBE, *args], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    code, modules = json.loads(done.stderr.splitlines()[-1])
    assert code == 0
    assert not set(_HEAVY) & set(modules)
    assert done.stdout
