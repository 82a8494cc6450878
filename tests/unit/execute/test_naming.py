"""How a pipeline is called when nobody says, and which names it cannot have."""

from __future__ import annotations

import pytest

from kfm_repro.errors import UsageError
from kfm_repro.execute.naming import pipeline_name


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("python pipelines/import_census.py --n 1", "import_census"),
        ("/opt/v/bin/python3.12 -I -W error -Xdev x.py", "x"),
        ("python -m pkg.a", "a"),
        ("python -um pkg.b --n 1", "b"),
        ("python -mpkg.c", "c"),
        ("python -m papermill books/map.ipynb out.ipynb", "map"),
        ("papermill -p year 1900 books/map.ipynb out.ipynb", "map"),
        ("sh x.sh", "x"),
        ("bash -eu -o pipefail scripts/y.sh arg", "y"),
        ("env -u Y X=1 python x.py", "x"),
        ("env -i X=1 Z=2 python x.py", "x"),
        ("nice python x.py", "x"),
        ("nice -n 10 python x.py", "x"),
        ("timeout 5 python x.py", "x"),
        ("timeout -k 9 --foreground 5 nice -5 python -m pkg.a", "a"),
        ("make -C sub -j4 YEAR=1900 tables", "tables"),
        ("make", "make"),
        ("./run.sh --fast", "run"),
        ("ogr2ogr -f GPKG out.gpkg", "ogr2ogr"),
        ("env", "env"),
        ("timeout 5", "timeout"),
    ],
)
def test_a_pipeline_is_called_after_what_runs_not_after_what_runs_it(line: str, name: str) -> None:
    assert pipeline_name("", line.split()) == name


@pytest.mark.parametrize(
    "line",
    [
        "python -c code",
        "python -Ic code",
        "python -ccode",
        "python -",
        "python",
        "sh -c x",
        "bash -ec x",
        "sh",
    ],
)
def test_code_on_the_command_line_has_no_name(line: str) -> None:
    with pytest.raises(UsageError, match="no name") as caught:
        pipeline_name("", line.split())
    assert "--pipeline" in caught.value.hint


@pytest.mark.parametrize("name", [".trash", ".objects", ".unpack-x", "..", "a/b", "-x"])
def test_a_name_that_a_folder_of_runs_cannot_have_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be called"):
        pipeline_name(name, ["python", "x.py"])


def test_a_script_that_is_hidden_gives_no_name() -> None:
    with pytest.raises(UsageError, match=r"'\.hidden'"):
        pipeline_name("", ["python", "pipelines/.hidden.py"])
