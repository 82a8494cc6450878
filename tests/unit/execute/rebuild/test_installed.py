"""What is installed is read from files alone, and is what a fingerprint says of it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from wheels import make_venv, make_wheel

from kfm_repro.execute.fingerprint import fingerprint
from kfm_repro.execute.rebuild.installed import (
    differing,
    read_installed,
    site_packages,
    strangers,
    unfaithful,
)
from kfm_repro.execute.rebuild.recorded import Package


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    make_wheel(tmp_path / "wheels", "geo-base", "1.0", {"geo_base.py": "X = 1\n", "data/grid.txt": "1,2\n"})
    environ = {"UV_FIND_LINKS": str(tmp_path / "wheels"), "UV_NO_INDEX": "1"}
    make_venv(tmp_path / "venv", "geo-base==1.0", environ=environ)
    return tmp_path / "venv"


def test_the_digest_of_every_package_is_the_one_of_its_fingerprint(tmp_path: Path) -> None:
    known = fingerprint(sys.executable, tmp_path)
    found = read_installed(site_packages(Path(sys.prefix)))
    records = {
        name: about["record_sha256"]
        for name, about in known["package_records"].items()
        if "record_sha256" in about
    }
    assert len(records) > 20
    assert {name: found[name].record_sha256 for name in records} == records
    assert {name: found[name].version for name in records} == {
        name: known["packages"][name] for name in records
    }


def test_installed_files_are_checked_against_their_record(venv: Path) -> None:
    site = site_packages(venv)
    found = read_installed(site)
    assert unfaithful(site, found) == ()
    assert strangers(site, found) == ()
    (site / "data" / "grid.txt").unlink()
    (site / "data" / "grid.txt").write_text("1,3\n", encoding="utf-8")
    assert unfaithful(site, found) == ("geo-base",)


def test_a_file_that_no_record_names_is_a_stranger(venv: Path) -> None:
    site = site_packages(venv)
    (site / "zz.pth").write_text("import os\n", encoding="utf-8")
    assert strangers(site, read_installed(site)) == ("zz.pth",)


def test_a_record_that_names_a_file_outside_of_the_environment_is_not_believed(
    venv: Path, tmp_path: Path
) -> None:
    site = site_packages(venv)
    record = site / "geo_base-1.0.dist-info" / "RECORD"
    outside = tmp_path / "outside.py"
    outside.write_bytes((site / "geo_base.py").read_bytes())
    text = record.read_text(encoding="utf-8").replace("geo_base.py,", f"{outside},")
    record.unlink()
    record.write_text(text, encoding="utf-8")
    assert unfaithful(site, read_installed(site)) == ("geo-base",)


def test_version_files_and_absence_all_count_as_differing(venv: Path) -> None:
    found = read_installed(site_packages(venv))
    digest = found["geo-base"].record_sha256
    assert differing((Package("geo-base", "1.0", (), digest),), found) == ()
    assert differing((Package("geo-base", "1.0", ("a",), None),), found) == ()
    for other in (
        Package("geo-base", "1.1", (), digest),
        Package("geo-base", "1.0", (), "0" * 64),
        Package("gone", "1"),
    ):
        assert differing((other,), found) == (other.name,)
