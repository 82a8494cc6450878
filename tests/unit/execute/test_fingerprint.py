"""What an interpreter is made of, and what differs between two."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pyproj
import pytest
import shapely

from kfm_repro.execute.fingerprint import environment_drift, fingerprint, requirements_lock


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> dict:
    return fingerprint(sys.executable, tmp_path_factory.mktemp("cwd"))


def test_native_libraries_are_those_that_the_packages_use(ours: dict) -> None:
    native = ours["native"]
    assert native["geos"] == shapely.geos_version_string
    assert native["proj"] == pyproj.proj_version_str
    assert "proj.db" in native["proj_data"]["files"]
    assert native["numpy"]["blas"]
    assert {"gdal", "sqlite", "zlib", "openssl", "arrow"} <= native.keys()


def test_the_interpreter_is_known_by_build_and_bytes(ours: dict) -> None:
    build = ours["build"]
    assert build["version"] == sys.version
    assert len(build["executable_sha256"]) == 64
    assert ours["cpu"]["simd"] == [
        flag for flag in ours["cpu"]["simd"] if flag in Path("/proc/cpuinfo").read_text()
    ]


def test_two_fingerprints_of_one_environment_do_not_drift(ours: dict, tmp_path: Path) -> None:
    assert environment_drift(ours, fingerprint(sys.executable, tmp_path)) == ()


def test_the_fingerprint_sees_the_environment_that_the_pipeline_sees(ours: dict, tmp_path: Path) -> None:
    environ = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "Asia/Tokyo", "OMP_NUM_THREADS": "3"}
    other = fingerprint(sys.executable, tmp_path, environ)
    found = {item.what: (item.b, item.matters) for item in environment_drift(ours, other)}
    assert found["time zone"] == ('["JST", "JST"]', "tables")
    assert found["thread variables: OMP_NUM_THREADS"] == ("3", "floats")


def test_packages_on_pythonpath_are_the_pipelines_and_its_working_folder_is_not(tmp_path: Path) -> None:
    for folder, name in (("site", "on-path"), ("cwd", "in-cwd")):
        info = tmp_path / folder / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8"
        )
    (tmp_path / "cwd" / "json.py").write_text("raise SystemExit('shadowed')", encoding="utf-8")
    environ = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(tmp_path / "site")}
    packages = fingerprint(sys.executable, tmp_path / "cwd", environ)["packages"]
    assert packages["on-path"] == "1.0"
    assert "in-cwd" not in packages


def test_a_python_without_any_library_answers_too(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True)
    answer = fingerprint(str(tmp_path / "bare/bin/python"), tmp_path)
    assert answer["packages"] == {}
    assert "sqlite" in answer["native"]
    assert "geos" not in answer["native"]


def test_a_direct_url_is_kept_without_its_credentials(tmp_path: Path) -> None:
    info = tmp_path / "site" / "private-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: Private\nVersion: 1.0\n", encoding="utf-8")
    url = "https://user:hunter2@git.example.org:8443/x.git?token=hunter2#hunter2"
    source = {"url": url, "vcs_info": {"vcs": "git", "commit_id": "a" * 40, "requested_revision": "hunter2"}}
    (info / "direct_url.json").write_text(json.dumps(source), encoding="utf-8")
    environ = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(tmp_path / "site")}
    answer = fingerprint(sys.executable, tmp_path, environ)
    assert "hunter2" not in json.dumps(answer)
    assert f"private @ git+https://git.example.org:8443/x.git@{'a' * 40}\n" in requirements_lock(answer)


def test_a_lock_names_every_package_once_sorted_and_says_that_it_has_no_hashes() -> None:
    known = {
        "python": "3.11.7",
        "packages": {"b": "2", "a": "1", "c": "3", "d": "4"},
        "package_records": {
            "c": {"direct_url": {"url": "file:///somewhere", "editable": True}},
            "d": {
                "direct_url": {"url": "https://example.org/d.whl", "archive_info": {"hash": "sha256=00ff"}}
            },
        },
    }
    lines = requirements_lock(known).splitlines()
    assert "No hashes" in lines[1]
    assert lines[2:] == [
        "a==1", "b==2", "# c==3 was installed from a local folder", "d @ https://example.org/d.whl#sha256=00ff",
    ]  # fmt: skip


def test_drift_names_what_each_change_can_affect() -> None:
    a = {
        "native": {"geos": "3.13", "numpy": {"blas": "openblas 1"}, "proj_data": {"files": {"proj.db": "1"}}},
        "locale": {"all": "C"},
        "packages": {"shapely": "2.1", "rich": "1"},
        "package_records": {"shapely": {"record_sha256": "aa"}, "rich": {"record_sha256": "aa"}},
    }
    b = {
        "native": {
            "geos": "3.14",
            "numpy": {"blas": "mkl"},
            "proj_data": {"files": {"proj.db": "1", "us.tif": "2"}},
        },
        "locale": {"all": "de"},
        "packages": {"shapely": "2.1", "rich": "2"},
        "package_records": {"shapely": {"record_sha256": "bb"}, "rich": {"record_sha256": "bb"}},
    }
    assert {item.what: item.matters for item in environment_drift(a, b)} == {
        "GEOS": "geometry",
        "BLAS": "floats",
        "PROJ files and grids: us.tif": "geometry",
        "locale": "tables",
        "rich": "cosmetic",
        "shapely (its files)": "geometry",
    }


def test_records_of_other_tools_never_break_the_drift() -> None:
    strange = {
        "native": "none",
        "packages": {"a": 1},
        "package_records": {"a": "x"},
        "cpu": [1],
        "threads": 3,
    }
    other = {
        "native": {"geos": "1"},
        "packages": {"a": 2},
        "package_records": {"a": {}},
        "threads": {"X": "1"},
    }
    found = {item.what for item in environment_drift(strange, other)}
    assert found == {"a", "thread variables"}
