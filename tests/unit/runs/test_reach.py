"""What others keep from us is not there, and stops nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kfm_repro.runs import reach

NOBODY = 65534
ASK = (
    "import sys; from importlib.util import module_from_spec, spec_from_file_location as at\n"
    "reach = module_from_spec(spec := at('reach', sys.argv[1])); spec.loader.exec_module(reach)\n"
    "print(reach.exists(sys.argv[2]), reach.is_file(sys.argv[2]), reach.is_folder(sys.argv[2]))"
)


def test_what_is_there_is_seen(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    asked = [tmp_path, tmp_path / "file", tmp_path / "gone", str(tmp_path / "file" / "below")]
    assert [reach.exists(path) for path in asked] == [True, True, False, False]
    assert [reach.is_file(path) for path in asked] == [False, True, False, False]
    assert [reach.is_folder(path) for path in asked] == [True, False, False, False]


@pytest.fixture
def shared() -> Iterator[Path]:
    """Return a folder that every user may enter, as that of a test may not be."""
    with tempfile.TemporaryDirectory(prefix="kfm-tests-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_what_others_keep_from_us_is_not_there(shared: Path) -> None:
    closed = shared / "closed"
    closed.mkdir(mode=0o700)
    (closed / "python3").touch()
    program = shared / "reach.py"
    program.write_bytes(Path(reach.__file__).read_bytes())
    python = next(
        (name for name in ("/usr/bin/python3", "/bin/python3") if Path(name).exists()), sys.executable
    )
    done = subprocess.run(
        [python, "-c", ASK, program, closed / "python3"],
        user=NOBODY, group=NOBODY, extra_groups=[], cwd="/", capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "Permission denied" in done.stderr and str(program) not in done.stderr:
        pytest.skip("others may not run this interpreter")
    assert done.stdout == "False False False\n", done.stderr
