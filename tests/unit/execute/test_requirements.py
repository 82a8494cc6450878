"""The lock of a record: hashes where they can honestly be known, and a word where they cannot."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from kfm_repro.execute.lockfiles import KnownHashes, known_hashes
from kfm_repro.execute.requirements import requirements_lock

ONE, TWO, OLD = "1" * 64, "2" * 64, "0" * 64

UV = f"""
version = 1
[[package]]
name = "Some.Thing"
version = "1.2"
sdist = {{ url = "https://user:hunter2@x.example/a.tar.gz", hash = "sha256:{TWO}" }}
wheels = [{{ url = "https://x.example/a.whl", hash = "sha256:{ONE}", size = 1 }}]
[[package]]
name = "project"
version = "0.1.0"
source = {{ editable = "." }}
"""
PYLOCK = f"""
lock-version = "1.0"
[[packages]]
name = "some-thing"
version = "1.2"
wheels = [{{ name = "a.whl", hashes = {{ sha256 = "{ONE}" }} }}]
sdist = {{ name = "a.tar.gz", hashes = {{ sha256 = "{TWO}", md5 = "x" }} }}
"""
POETRY = f"""
[[package]]
name = "some-thing"
version = "1.2"
files = [{{file = "a.whl", hash = "sha256:{ONE}"}}, {{file = "a.tar.gz", hash = "sha256:{TWO}"}}]
"""
PIPENV = json.dumps(
    {"default": {"Some_Thing": {"version": "==1.2", "hashes": [f"sha256:{ONE}", f"sha256:{TWO}", "md5:x"]}},
     "develop": {"other": {"git": "https://x.example"}}}
)  # fmt: skip
REQUIREMENTS = f"""--index-url https://user:hunter2@pypi.example.org/simple
# a comment == 1.0
some_thing[extra]==1.2 ; python_version >= "3.11" \\
    --hash=sha256:{TWO} \\
    --hash=sha256:{ONE}
unhashed==1.0
some_thing==1.1 --hash=sha256:{OLD}
"""
INSTALLED = {"python": "3.11.7", "packages": {"some-thing": "1.2", "unhashed": "1.0"}}


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("uv.lock", UV), ("pylock.toml", PYLOCK), ("pylock.dev.toml", PYLOCK), ("poetry.lock", POETRY),
        ("pdm.lock", POETRY), ("Pipfile.lock", PIPENV), ("requirements.txt", REQUIREMENTS),
        ("requirements/dev.lock", REQUIREMENTS), ("requirements/base.txt", REQUIREMENTS.replace("\n", "\r\n")),
    ],
)  # fmt: skip
def test_the_projects_own_lock_says_the_hashes_of_the_installed_versions(
    tmp_path: Path, file: str, text: str
) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(text, encoding="utf-8", newline="")
    lock = requirements_lock(INSTALLED, known_hashes(tmp_path))
    assert f"some-thing==1.2 \\\n    --hash=sha256:{ONE} \\\n    --hash=sha256:{TWO}\nunhashed==1.0\n" in lock
    assert f"1 of 2 have hashes, from {file}." in lock
    assert "hunter2" not in lock
    assert OLD not in lock


def test_a_lock_of_other_versions_gives_no_hash(tmp_path: Path) -> None:
    (tmp_path / "uv.lock").write_text(UV, encoding="utf-8")
    stale = requirements_lock({"packages": {"some-thing": "1.3"}}, known_hashes(tmp_path))
    assert "0 of 1 have hashes." in stale
    assert "--hash" not in stale


@pytest.mark.parametrize(
    "text",
    ["", "[", "package = 3", "[[package]]\nname = 1", "[[package]]\nversion = '1'", "\udcff", "[" * 100_000],
)
def test_a_damaged_lock_says_nothing_and_the_next_is_read(tmp_path: Path, text: str) -> None:
    for file in ("uv.lock", "Pipfile.lock"):
        (tmp_path / file).write_text(text, encoding="utf-8", errors="surrogateescape")
    (tmp_path / "requirements.txt").write_text(REQUIREMENTS, encoding="utf-8")
    assert set(known_hashes(tmp_path).files.values()) == {"requirements.txt"}


def test_a_lock_behind_a_link_out_of_the_project_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "away.lock").write_text(UV, encoding="utf-8")
    (tmp_path / "project").mkdir()
    (tmp_path / "project/uv.lock").symlink_to(tmp_path / "away.lock")
    assert known_hashes(tmp_path / "project").hashes == {}


def test_of_two_lock_files_the_first_one_counts_and_hashes_are_never_mixed(tmp_path: Path) -> None:
    (tmp_path / "uv.lock").write_text(UV, encoding="utf-8")
    (tmp_path / "requirements.txt").write_text(f"some-thing==1.2 --hash=sha256:{OLD}\n", encoding="utf-8")
    known = known_hashes(tmp_path)
    assert known.hashes["some-thing", "1.2"] == (ONE, TWO)
    assert known.files["some-thing", "1.2"] == "uv.lock"


def test_a_lock_names_every_package_once_sorted_with_what_is_known_of_where_it_came_from() -> None:
    archive = {"hash": f"sha256={ONE}", "hashes": {"sha256": ONE}}
    records = {
        "a": {"record_sha256": TWO},
        "c": {"direct_url": {"url": "file:///somewhere", "editable": True}},
        "d": {"direct_url": {"url": "https://example.org/d.whl", "archive_info": archive}},
        "e": {"direct_url": {"url": "file:///x/e.whl", "archive_info": archive}},
        "f": {"provenance_url": {"url": "https://files.example.org/f.whl", "archive_info": archive}},
        "g": {"direct_url": {"url": "https://x.example/g", "vcs_info": {"vcs": "git", "commit_id": "ab"}}},
    }
    packages = {"b": "2", "a": "1", "c": "3", "d": "4", "e": "5", "f": "6", "g": "7"}
    locked = KnownHashes(
        {(name, version): (OLD,) for name, version in packages.items() if name in "cdeg"}, {}
    )
    lines = requirements_lock({"python": "3.11.7", "packages": packages, "package_records": records}, locked)
    assert lines.splitlines()[1:] == [
        "# 2 of 7 have hashes.",
        "# What is installed does not say which wheel it came from, so that the others have none.",
        "# uv installs from this file as it is; pip wants hashes for all or for none.",
        "a==1",
        f"    # installed files: sha256 {TWO}",
        "b==2",
        "# c==3 was installed from a local folder, editable",
        "d @ https://example.org/d.whl \\", f"    --hash=sha256:{ONE}",
        f"# e==5 was installed from a local file, sha256 {ONE}",
        "f==6 \\", f"    --hash=sha256:{ONE}",
        "g @ git+https://x.example/g@ab",
    ]  # fmt: skip


def wheel(folder: Path, content: str) -> Path:
    """Build a wheel by hand."""
    files = {"lib.py": content, "lib-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: lib\nVersion: 1.0\n",
             "lib-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}  # fmt: skip
    rows = []
    for name, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
        rows.append(f"{name},sha256={digest},{len(text)}")
    path = folder / "lib-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
        archive.writestr("lib-1.0.dist-info/RECORD", "\n".join([*rows, "lib-1.0.dist-info/RECORD,,"]))
    return path


@pytest.mark.skipif(importlib.util.find_spec("pip") is None, reason="there is no pip in this environment")
def test_a_lock_with_all_hashes_installs_the_locked_wheel_and_refuses_another_one(tmp_path: Path) -> None:
    made = wheel(tmp_path, "ONE = 1\n")
    digest = hashlib.sha256(made.read_bytes()).hexdigest()
    (tmp_path / "uv.lock").write_text(
        f'[[package]]\nname = "lib"\nversion = "1.0"\nwheels = [{{hash = "sha256:{digest}"}}]\n',
        encoding="utf-8",
    )
    lock = tmp_path / "environment.lock"
    lock.write_text(requirements_lock({"packages": {"lib": "1.0"}}, known_hashes(tmp_path)), encoding="utf-8")
    install = [
        sys.executable, "-m", "pip", "install", "--no-index", "--no-deps", "--require-hashes", "--find-links",
        str(tmp_path), "-r", str(lock), "--target",
    ]  # fmt: skip
    subprocess.run([*install, str(tmp_path / "good")], check=True, capture_output=True)
    assert (tmp_path / "good/lib.py").read_text(encoding="utf-8") == "ONE = 1\n"
    wheel(tmp_path, "ONE = 2\n")
    refused = subprocess.run([*install, str(tmp_path / "bad")], check=False, capture_output=True, text=True)
    assert refused.returncode != 0
    assert digest in refused.stderr
