"""Which recorded packages can be had again; what cannot is named, one by one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kfm_repro.errors import EnvironmentNotAvailable
from kfm_repro.execute.rebuild.recorded import RecordedPackages, read_packages
from kfm_repro.model.run import RecordedEnvironment, Run
from kfm_repro.runs.layout import RunDir

A, B = "a" * 64, "b" * 64


def read(
    tmp_path: Path, known: dict[str, Any], lock: str = "", root: str = "/home/k/project"
) -> RecordedPackages:
    run_dir = tmp_path / "runs" / "job" / "r1"
    (run_dir / "environment").mkdir(parents=True, exist_ok=True)
    (run_dir / "environment/fingerprint.json").write_text(json.dumps(known), encoding="utf-8")
    (run_dir / "environment/requirements.lock").write_text(lock, encoding="utf-8")
    environment = RecordedEnvironment(fingerprint="environment/fingerprint.json", root=root)
    return read_packages(RunDir(run_dir), Run(run_id="r1", environment=environment))


def packages(**versions: str) -> dict[str, Any]:
    return {"python": "3.11.7", "packages": {name.replace("_", "-"): text for name, text in versions.items()}}


def test_hashes_come_from_the_lock_of_the_very_version(tmp_path: Path) -> None:
    lock = (
        f"# a comment\nNum_Py==2.0 \\\n    --hash=sha256:{A} \\\n    --hash=sha256:{B.upper()}\n"
        f"num-py==1.0 --hash=sha256:{B}\n"
        f'other==1 ; python_version < "3.12" --hash=sha256:{A}\n'
        "--index-url https://example.org/\n-e ./evil\n-r more.txt\n"
    )
    found = read(tmp_path, packages(num_py="2.0", other="1"), lock)
    assert [(p.name, p.version, p.hashes) for p in found.packages] == [
        ("num-py", "2.0", (A, B)),
        ("other", "1", (A,)),
    ]
    assert found.python == "3.11.7"


def test_a_package_without_hash_is_known_by_the_digest_of_its_files(tmp_path: Path) -> None:
    known = packages(shapely="2.0") | {"package_records": {"shapely": {"record_sha256": B}}}
    (package,) = read(tmp_path, known, f"shapely==1.9 --hash=sha256:{A}\n").packages
    assert (package.hashes, package.record_sha256) == ((), B)


def test_a_wheel_from_an_address_is_taken_by_its_hash(tmp_path: Path) -> None:
    known = packages(x="1") | {
        "package_records": {
            "x": {
                "direct_url": {
                    "url": "https://example.org/x-1-py3-none-any.whl",
                    "archive_info": {"hash": f"sha256={A}"},
                }
            }
        }
    }
    (package,) = read(tmp_path, known).packages
    assert (package.hashes, package.url) == ((A,), "https://example.org/x-1-py3-none-any.whl")


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({}, "neither a hash nor the digest"),
        ({"direct_url": {"url": "file:///elsewhere/x", "editable": True}}, "editable install from outside"),
        ({"direct_url": {"url": "file:///home/k/project/../x", "editable": True}}, "editable install from outside"),
        ({"direct_url": {"url": "https://e.org/x.git", "vcs_info": {"vcs": "git"}}}, "from version control"),
        ({"direct_url": {"url": "file:///x"}}, "a local folder"),
        ({"direct_url": {"url": "file:///x.whl", "archive_info": {"hash": f"sha256={A}"}}}, "a local file"),
        ({"direct_url": {"url": "https://e.org/x.tar.gz", "archive_info": {"hash": f"sha256={A}"}}}, "no https wheel"),
        ({"direct_url": {"url": "https://e.org/x.whl", "archive_info": {}}}, "no https wheel"),
        ({"direct_url": {"url": "http://e.org/x.whl", "archive_info": {"hash": f"sha256={A}"}}}, "no https wheel"),
        ({"direct_url": {"url": "https://e.org/x.whl\n-e .whl", "archive_info": {"hash": f"sha256={A}"}}}, "no https"),
    ],
)  # fmt: skip
def test_what_cannot_be_had_again_is_named_with_its_reason(tmp_path: Path, about: dict, said: str) -> None:
    known = packages(x="1.0", fine="2") | {"package_records": {"x": about}}
    with pytest.raises(EnvironmentNotAvailable, match=said) as caught:
        read(tmp_path, known, f"fine==2 --hash=sha256:{A}\n")
    assert "x 1.0" in caught.value.message
    assert "fine" not in caught.value.message
    assert "--env current" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "version"),
    [("--index-url", "1"), ("a b", "1"), ("x", "1 --pre"), ("x", "1\n-e ."), ("../x", "1")],
)
def test_names_and_versions_of_a_strangers_record_are_no_options(
    tmp_path: Path, name: str, version: str
) -> None:
    known = {"python": "3.11.7", "packages": {name: version}, "package_records": {name: {"record_sha256": A}}}
    with pytest.raises(EnvironmentNotAvailable, match="no name and version"):
        read(tmp_path, known)


def test_the_projects_own_editable_install_comes_from_the_checkout(tmp_path: Path) -> None:
    url = {"url": "file:///home/k/project", "editable": True}
    known = packages(census="0.1") | {"package_records": {"census": {"direct_url": url}}}
    found = read(tmp_path, known)
    assert found.packages == ()
    assert found.import_roots == (".", "src")
    assert found.left_out == ("census 0.1 (editable; its code comes from the checkout)",)


def test_the_hash_that_an_installer_noted_counts_and_its_address_does_not(tmp_path: Path) -> None:
    noted = {"url": "https://packages.example/x-1.whl", "archive_info": {"hashes": {"sha256": A}}}
    known = packages(x="1") | {"package_records": {"x": {"provenance_url": noted}}}
    (package,) = read(tmp_path, known).packages
    assert (package.hashes, package.url) == ((A,), "")


def test_what_pythonpath_brings_is_no_part_of_the_environment(tmp_path: Path) -> None:
    known = packages(x="1", y="2") | {
        "package_records": {"x": {"from": "pythonpath"}, "y": {"record_sha256": B}}
    }
    found = read(tmp_path, known)
    assert [package.name for package in found.packages] == ["y"]
    assert found.left_out == ("x 1 (found by PYTHONPATH, not installed)",)


def test_a_conda_environment_is_said_to_be_one(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentNotAvailable, match="conda environment \\(2 packages\\)"):
        read(tmp_path, packages(x="1") | {"conda": {"x": "1 py311", "geos": "3.13 h0"}})


def test_this_tool_itself_is_left_out_when_it_came_from_a_local_file(tmp_path: Path) -> None:
    url = {"url": "file:///dist/kfm_repro.whl", "archive_info": {}}
    known = packages(kfm_repro="0.1.0") | {"package_records": {"kfm-repro": {"direct_url": url}}}
    assert read(tmp_path, known).left_out == ("kfm-repro 0.1.0 (this tool)",)


def test_many_problems_are_bounded(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentNotAvailable, match="… and 88 more"):
        read(tmp_path, packages(**{f"p{number}": "1" for number in range(100)}))


def test_a_record_without_a_list_or_a_python_says_so(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentNotAvailable, match="no list of packages"):
        read(tmp_path, {"python": "3.11.7"}, "x==1\n")
    with pytest.raises(EnvironmentNotAvailable, match="which Python"):
        read(tmp_path, {"packages": {"x": "1"}}, f"x==1 --hash=sha256:{A}\n")


def test_a_lock_with_hashes_is_list_enough(tmp_path: Path) -> None:
    (package,) = read(tmp_path, {"python": "3.11.7"}, f"x==1 --hash=sha256:{A}\n").packages
    assert (package.name, package.version, package.hashes) == ("x", "1", (A,))


def test_a_lock_that_leads_out_of_the_record_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "outside.lock").write_text(f"x==1 --hash=sha256:{A}\n", encoding="utf-8")
    run_dir = tmp_path / "runs" / "job" / "r1"
    run_dir.mkdir(parents=True)
    run = Run(
        run_id="r1",
        environment=RecordedEnvironment(python="3.11.7"),
        raw={"environment": {"lock": "../../../outside.lock"}},
    )
    with pytest.raises(EnvironmentNotAvailable, match="no list of packages"):
        read_packages(RunDir(run_dir), run)
