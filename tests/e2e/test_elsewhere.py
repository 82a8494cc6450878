"""A record made in one place replays in another: another folder, another user, another umask."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from workshop import Workshop

PIPELINE = """
import os, pathlib, sys
import geopandas, pandas, shapely
table = pandas.read_csv("data/raw/places.csv")
places = geopandas.GeoDataFrame(
    table[["name"]], geometry=shapely.points(table["x"], table["y"]), crs="EPSG:4326"
)
out = pathlib.Path("data/processed/job")
places.to_parquet(out / "places.parquet")
places.to_file(out / "places.geojson", driver="GeoJSON")
(out / "lines.csv").write_text("name\\n" + "".join(f"{name}\\n" for name in sorted(places["name"])))
sys.path.insert(0, "lib")
import helper
(out / "helped.txt").write_text(helper.WORD)
"""
NOBODY = 65534


def record_from_a_dirty_tree(workshop: Workshop, python: str) -> tuple[Workshop, str]:
    """Return a project with a run that was recorded by a command line full of absolute paths, from a dirty tree."""
    workshop.write("data/raw/places.csv", "name,x,y\nAbilene,-97.21,38.91\nWichita,-97.33,37.68\n")
    workshop.write("pipelines/job.py", PIPELINE)
    workshop.write("data/processed/job/.keep", "")
    workshop.write("lib/helper.py", "WORD = 'committed'\n")
    workshop.commit()
    workshop.write("lib/helper.py", "WORD = 'changed'\n")
    (workshop.root / "run.sh").write_text('#!/bin/sh\nexec "$@"\n', encoding="utf-8")
    (workshop.root / "run.sh").chmod(0o755)
    options = ("--pipeline", "job", "--input", "data/raw/*", "--output", "data/processed/job/[!.]*")
    script = str(workshop.root / "pipelines/job.py")
    done = workshop.kfm("record", *options, "--", str(workshop.root / "run.sh"), python, script)
    assert done.code == 0, done.err
    return workshop, done.out.strip().splitlines()[-1]


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """Return a folder with a space in its path that every user may enter."""
    with tempfile.TemporaryDirectory(prefix="elsewhere of tests ") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder) / "deep down" / "it's here"


def move(shop: Workshop, target: Path) -> Workshop:
    """Move a project away, so that nothing can reach back to where it was."""
    target.parent.mkdir(parents=True)
    shutil.move(shop.root, target)
    for path in (target / "data/processed/job").glob("[!.]*"):
        path.unlink()
    return Workshop(target)


def assert_identical(report: dict[str, Any]) -> None:
    assert (report["verdict"], report["counts"]["identical"]) == ("reproducible", 4), json.dumps(
        report, indent=1
    )
    for output in report["outputs"]:
        assert output["a"]["sha256"] == output["b"]["sha256"]


def test_a_record_replays_in_another_folder_with_a_space_under_another_name_of_the_user(
    workshop: Workshop, elsewhere: Path
) -> None:
    shop, run = record_from_a_dirty_tree(workshop, sys.executable)
    other = move(shop, elsewhere)
    temporary = elsewhere.parent / "a tmp"
    temporary.mkdir()
    environ = {
        "USER": "someone-else",
        "LOGNAME": "someone-else",
        "HOME": str(elsewhere),
        "TMPDIR": str(temporary),
    }
    previous = os.umask(0o077)
    try:
        done = other.kfm("replay", run, "--times", "2", "--json", env=environ)
    finally:
        os.umask(previous)
    assert done.code == 0, done.out + done.err
    assert_identical(done.json)
    assert list(temporary.iterdir()) == []


def as_nobody(*command: str) -> list[str]:
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *command]


def nobody_runs(python: str) -> bool:
    # Through a shell: what setpriv starts itself, it finds with the rights of root.
    command = as_nobody("/bin/sh", "-c", '"$0" -c "import ssl, kfm_repro, pyarrow.parquet"', python)
    return subprocess.run(command, cwd="/", capture_output=True, check=False).returncode == 0


@pytest.fixture
def everybodys_python(elsewhere: Path) -> str:
    """Return an interpreter with our packages that every user may run: this one, or an environment of the system's."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root may become another user, by setpriv")
    if nobody_runs(sys.executable):
        return sys.executable
    version = "python{}.{}".format(*sys.version_info)
    system = shutil.which(version, path="/usr/bin:/usr/local/bin")
    if system is None:
        pytest.skip(f"others may not run this interpreter, and the system has no {version}")
    room = elsewhere.parents[1] / "env"
    subprocess.run([system, "-m", "venv", "--without-pip", room], check=True)
    packages = Path(pa.__file__).parents[1]
    (room / "lib" / version / "site-packages" / "shared.pth").write_text(f"{packages}\n", encoding="utf-8")
    python = str(room / "bin" / "python")
    if not nobody_runs(python):
        pytest.skip("others may not read the packages of this interpreter")
    return python


def test_a_record_replays_as_another_user(
    workshop: Workshop, elsewhere: Path, everybodys_python: str
) -> None:
    shop, run = record_from_a_dirty_tree(workshop, everybodys_python)
    other = move(shop, elsewhere)
    home = elsewhere.parent / "home"
    home.mkdir()
    for folder, _, files in os.walk(elsewhere.parent):
        for name in (folder, *(os.path.join(folder, file) for file in files)):  # noqa: PTH118 - os.walk
            os.chown(name, NOBODY, NOBODY)
    environ = {"PATH": os.environ["PATH"], "HOME": str(home), "USER": "nobody", "LOGNAME": "nobody"}
    done = subprocess.run(
        as_nobody(everybodys_python, "-m", "kfm_repro", "replay", run, "--json"),
        cwd=other.root, env=environ, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert_identical(json.loads(done.stdout))
