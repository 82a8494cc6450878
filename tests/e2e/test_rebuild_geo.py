"""A run that was recorded with another shapely than today's: today the drift is named, rebuilt it is what it was."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from wheels import record_in, uv_program
from workshop import Workshop

LOCKS = Path(__file__).with_name("locks")
JOB = """
import pathlib, numpy, shapely
out = pathlib.Path("data/processed/job"); out.mkdir(parents=True, exist_ok=True)
area = shapely.Point(0.1, 0.2).buffer(3, quad_segs=5)
(out / "out.csv").write_text(
    f"id,shapely,geos,numpy,wkb\\n1,{shapely.__version__},{shapely.geos_version_string},{numpy.__version__},{area.wkb_hex}\\n",
    encoding="utf-8",
)
"""


def environment_of(lock: str, place: Path) -> Path:
    """Make an environment of a lock with hashes and return its Python; skip when the index cannot be reached."""
    if sys.version_info[:2] not in ((3, 11), (3, 12)):
        pytest.skip(
            f"the locked packages have no wheels for Python {sys.version_info[0]}.{sys.version_info[1]}"
        )
    uv, python = uv_program(), place / "bin" / "python"
    made = subprocess.run(
        [uv, "venv", "-q", "--no-project", "--python", sys.executable, str(place)],
        capture_output=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    command = [
        uv,
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--require-hashes",
        "--python",
        str(python),
        "-r",
        LOCKS / lock,
    ]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    if done.returncode and any(
        word in done.stderr.lower() for word in ("fetch", "connect", "dns", "timed out")
    ):
        pytest.skip("the index of packages that uv is configured for cannot be reached")
    assert done.returncode == 0, done.stderr
    return python


def shapely_drift(drifts: list[dict[str, Any]]) -> dict[str, Any]:
    (found,) = (item for item in drifts if item["what"] == "shapely")
    return found


def test_a_run_of_another_shapely_drifts_today_and_is_identical_in_its_environment_made_again(
    workshop: Workshop, tmp_path: Path
) -> None:
    python = environment_of("shapely-2.0.6.lock", tmp_path / "venv-a")
    workshop.write("pipelines/job.py", JOB)
    workshop.commit()
    environ = {"KFM_CACHE_ROOT": str(tmp_path / "cache")}
    run = record_in(workshop, python, environ)
    shutil.rmtree(tmp_path / "venv-a")
    ours = version("shapely")
    expected = {
        "what": "shapely",
        "a": "2.0.6",
        "b": ours,
        "matters": "geometry",
        "change": "version",
        "code": "ENVIRONMENT_DRIFT",
    }

    today = workshop.kfm("replay", run, "--json", env=environ)
    assert (today.code, today.json["verdict"]) == (1, "not-reproducible")
    drifts = today.json["environment"]["drift"]
    assert shapely_drift(drifts) == expected
    assert {drifts[0]["matters"], drifts[1]["matters"]} == {"geometry"}
    assert "GEOS" in {item["what"] for item in drifts}

    rebuilt = workshop.kfm("replay", run, "--env", "rebuild", "--json", env=environ)
    assert rebuilt.code == 0, rebuilt.out + rebuilt.err
    report = rebuilt.json
    assert (report["verdict"], report["counts"]["identical"], report["scope"]["level"]) == (
        "reproducible",
        1,
        "R1",
    )
    assert report["environment"]["drift"] == []
    assert shapely_drift(report["environment"]["avoided"]) == expected
    assert report["environment"]["rebuilt"]["packages"] == 2

    said = workshop.kfm("replay", run, "--env", "rebuild", env=environ)
    assert f"today's has: shapely 2.0.6 → {ours} (geometry)" in said.out
    assert said.out.splitlines()[-1].startswith("REPRODUCIBLE")


@pytest.mark.full
def test_the_kansas_demo_replays_in_the_environment_of_another_shapely(tmp_path: Path) -> None:
    python = environment_of("geopandas-1.0.1.lock", tmp_path / "venv-a")
    shop = Workshop(tmp_path)
    environ = {"KFM_CACHE_ROOT": str(tmp_path / "cache")}
    laid = shop.kfm("demo", "kansas", env=environ)
    assert laid.code == 0, laid.err
    kansas = Workshop(tmp_path / "kansas")
    variables = environ | {
        "PYTHONHASHSEED": "0",
        "TZ": "UTC",
        "LC_ALL": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = kansas.kfm(
        "record", "--input", "data/raw/kansas/*", "--output", "data/processed/county_profile/**", "--",
        str(python), "pipelines/county_profile.py", env=variables,
    )  # fmt: skip
    assert done.code == 0, done.err
    run = done.out.strip().splitlines()[-1]
    shutil.rmtree(tmp_path / "venv-a")
    today = kansas.kfm("replay", run, "--json", env=environ)
    assert shapely_drift(today.json["environment"]["drift"])["a"] == "2.0.6"
    rebuilt = kansas.kfm("replay", run, "--env", "rebuild", "--json", env=environ)
    report = rebuilt.json
    assert report["environment"]["rebuilt"]["packages"] >= 12
    assert [item for item in report["environment"]["drift"] if item["matters"] != "cosmetic"] == []
    assert shapely_drift(report["environment"]["avoided"])["b"] == version("shapely")
    worse = [output for output in report["outputs"] if output["verdict"] not in ("identical", "equivalent")]
    assert worse == []
    sys.stdout.write(f"\ntoday {today.json['counts']}, rebuilt {report['counts']}{os.linesep}")
