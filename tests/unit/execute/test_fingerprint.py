"""What an interpreter is made of, and what differs between two."""

from __future__ import annotations

import hashlib
import json
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pyogrio
import pyproj
import pytest
import shapely

from kfm_repro.execute import fingerprint as fingerprint_module
from kfm_repro.execute import sources
from kfm_repro.execute.drift import environment_drift
from kfm_repro.execute.fingerprint import fingerprint
from kfm_repro.execute.requirements import requirements_lock
from kfm_repro.execute.sources import source_state


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
    assert found["time zone"] == ('["JST", "JST"]', "text")
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


PROBE_NATIVE = Path(fingerprint_module.__file__).with_name("probe_native.py")


def package(site: Path, name: str, version: str = "1.0", **files: str) -> None:
    """Install a package by hand: what importlib.metadata needs to see it."""
    info = site / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    (info / "METADATA").write_text(text, encoding="utf-8")
    for file, content in files.items():
        (info / file.replace("__", ".")).write_text(content, encoding="utf-8")


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True)
    return tmp_path / "venv"


def site_of(venv: Path) -> Path:
    (site,) = venv.glob("lib/python*/site-packages")
    return site


def git(folder: Path, *args: str) -> str:
    names = ["-c", "user.name=KFM", "-c", "user.email=kfm@example.org"]
    done = subprocess.run(["git", *names, *args], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """Return a repository with a package that somebody works on."""
    folder = tmp_path / "library"
    (folder / "src").mkdir(parents=True)
    (folder / "src/lib.py").write_text("ONE = 1\n", encoding="utf-8")
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "one")
    return folder


def drifts(a: dict, b: dict) -> dict[str, tuple[str | None, str | None]]:
    return {item.what: (item.a, item.b) for item in environment_drift(a, b)}


def test_the_cpu_is_known_by_its_flags_and_a_drift_names_the_flag(ours: dict) -> None:
    flags = ours["cpu"]["flags"]
    assert flags == sorted(flags)
    assert set(ours["cpu"]["simd"]) <= set(flags)
    other = json.loads(json.dumps(ours))
    other["cpu"]["flags"] = [*flags[1:], "zz_new"]
    assert drifts(ours, other) == {"CPU flags": (flags[0], "zz_new")}


def test_the_blas_that_is_loaded_says_itself_which_kernels_it_chose(ours: dict) -> None:
    (told,) = ours["native"]["blas"]
    version = ours["native"]["numpy"]["blas"].split()[-1]
    assert version in told
    assert "DYNAMIC_ARCH" in told or "MKL" in told


def test_gdal_is_known_with_its_data_and_with_the_proj_data_that_it_brings(ours: dict) -> None:
    native = ours["native"]
    assert native["gdal"] == pyogrio.__gdal_version_string__
    assert native["gdal_geos"] == ".".join(map(str, pyogrio.__gdal_geos_version__))
    data = Path(pyogrio.get_gdal_data_path())
    assert native["gdal_data"]["files"] == len([path for path in data.rglob("*") if path.is_file()])
    assert len(native["gdal_proj_data"]["sha256"]) == 64


def test_a_grid_that_somebody_put_among_the_data_of_proj_is_named_by_its_digest(
    ours: dict, tmp_path: Path
) -> None:
    grids = tmp_path / "home/.local/share/proj"
    grids.mkdir(parents=True)
    (grids / "us_noaa_conus.tif").write_bytes(b"a grid")
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path / "home")}
    plain = fingerprint(sys.executable, tmp_path, environ | {"HOME": str(tmp_path)})
    other = fingerprint(sys.executable, tmp_path, environ)
    digest = hashlib.sha256(b"a grid").hexdigest()
    assert other["native"]["proj_data"]["files"]["user/us_noaa_conus.tif"] == digest
    assert drifts(plain, other) == {"PROJ files and grids: user/us_noaa_conus.tif": (None, digest)}
    assert (
        ours["native"]["proj_data"]["files"]["proj.db"]
        == hashlib.sha256(Path(pyproj.datadir.get_data_dir(), "proj.db").read_bytes()).hexdigest()
    )


def test_grids_beyond_what_can_be_hashed_in_time_are_named_by_their_size(tmp_path: Path) -> None:
    for name, size in (("a.tif", 10), ("b.tif", 100), ("c.tif", 5)):
        (tmp_path / name).write_bytes(b"x" * size)
    found = runpy.run_path(str(PROBE_NATIVE))["_digests"](tmp_path, 20)
    assert found["a.tif"] == hashlib.sha256(b"x" * 10).hexdigest()
    assert (found["b.tif"], found["c.tif"]) == ("100 bytes, not hashed", "5 bytes, not hashed")


@pytest.mark.parametrize("by", ["HOME", "PYTHONUSERBASE"])
def test_packages_of_the_users_own_site_are_listed_as_such_where_a_pipeline_would_import_them(
    tmp_path: Path, venv: Path, by: str
) -> None:
    base = tmp_path / ("user/.local" if by == "HOME" else "user")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    package(base / f"lib/python{version}/site-packages", "only-mine")
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), by: str(tmp_path / "user")}
    found = fingerprint(sys._base_executable, tmp_path, environ)
    assert found["packages"]["only-mine"] == "1.0"
    assert found["package_records"]["only-mine"] == {"from": "user"}
    assert "user" in {item["kind"] for item in found["folders"].values()}
    for python, more in ((sys._base_executable, {"PYTHONNOUSERSITE": "1"}), (str(venv / "bin/python"), {})):
        without = fingerprint(python, tmp_path, environ | more)
        assert "only-mine" not in without["packages"]
    nobody = fingerprint(
        sys._base_executable, tmp_path, {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path / "x")}
    )
    assert drifts(found, nobody)["only-mine"] == ("1.0", None)


def test_the_interpreter_of_another_environment_is_asked_and_not_ours(venv: Path, tmp_path: Path) -> None:
    package(site_of(venv), "theirs", "2.0")
    found = fingerprint(str(venv / "bin/python"), tmp_path)
    assert found["executable"] == str(venv / "bin/python")
    assert found["packages"] == {"theirs": "2.0"}


def test_modules_of_a_folder_that_git_does_not_know_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def state(**files: str) -> dict:
        for name, text in files.items():
            (tmp_path / "lib" / f"{name}.py").write_text(text, encoding="utf-8")
        folder = source_state(tmp_path / "lib")
        return {"folders": {"/lib": {"kind": "pythonpath", **folder}}, "package_records": {}}

    (tmp_path / "lib/__pycache__").mkdir(parents=True)
    before = state(one="V = 1\n", two="V = 2\n")
    (tmp_path / "lib/__pycache__/one.pyc").touch()
    assert drifts(before, state()) == {}
    after = drifts(before, state(two="V = 3\n"))
    assert set(after) == {"folder /lib"}
    old = {"folders": {"/lib": {"kind": "pythonpath", "commit": None, "reason": "git has no commit of it"}}}
    assert drifts({**before, **old}, state()) == {}
    monkeypatch.setattr(sources, "_MAX_MODULES", 1)
    assert "only its first 1 modules" in drifts(before, state())["folder /lib"][1]


def test_a_folder_that_a_path_file_adds_is_named_with_its_commit_and_changes(
    venv: Path, library: Path, tmp_path: Path
) -> None:
    (site_of(venv) / "work.pth").write_text(f"{library}/src\n", encoding="utf-8")
    place, python = str(library / "src"), str(venv / "bin/python")
    (tmp_path / "project").mkdir()
    clean = fingerprint(python, tmp_path / "project", {})
    commit = git(library, "rev-parse", "HEAD")
    assert clean["folders"] == {place: {"kind": "pth", "commit": commit, "changed": False}}
    states = []
    for text in ("ONE = 2\n", "ONE = 3\n"):
        (library / "src/lib.py").write_text(text, encoding="utf-8")
        states.append(fingerprint(python, tmp_path / "project", {}))
    (library / "src/lib.py").write_text("ONE = 1\n", encoding="utf-8")
    (library / "src/new.py").write_text("", encoding="utf-8")
    states.append(fingerprint(python, tmp_path / "project", {}))
    assert [state["folders"][place]["changed"] for state in states] == [True] * 3
    told = [drifts(clean, state)[f"folder {place}"][1] for state in states]
    assert len(set(told)) == 3
    assert set(drifts(states[0], states[1])) == {f"folder {place}"}


def test_an_editable_install_is_named_with_its_commit_and_that_of_the_project_is_left_to_the_record(
    venv: Path, library: Path, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    (project / "src").mkdir(parents=True)
    for name, folder in (("library", library), ("project", project), ("no-git", tmp_path)):
        source = {"url": folder.as_uri(), "dir_info": {"editable": True}}
        package(site_of(venv), name, direct_url__json=json.dumps(source))
    python = str(venv / "bin/python")
    found = fingerprint(python, project, {})
    sources = {name: about["direct_url"] for name, about in found["package_records"].items()}
    commit = git(library, "rev-parse", "HEAD")
    assert sources["library"]["source"] == {"commit": commit, "changed": False}
    assert sources["project"] == {"url": project.as_uri(), "editable": True, "in_project": True}
    assert sources["no-git"]["source"]["commit"] is None
    lock = requirements_lock(found).splitlines()
    assert f"# library==1.0 was installed from a local folder, editable, commit {commit}" in lock
    git(library, "commit", "-q", "--allow-empty", "-m", "two")
    assert set(drifts(found, fingerprint(python, project, {}))) == {"library (its source)"}


def test_a_conda_environment_is_known_by_its_packages_and_never_by_its_channels(
    venv: Path, tmp_path: Path
) -> None:
    meta = venv / "conda-meta"
    meta.mkdir()
    channel = {"url": "https://conda.example.org/t/hunter2/linux-64/gdal-3.9.2.conda"}
    (meta / "gdal-3.9.2-h1_0.json").write_text(json.dumps(channel), encoding="utf-8")
    (meta / "lib-with-dashes-1.0-0.json").write_text("not JSON", encoding="utf-8")
    (meta / "history").write_text("==> hunter2 <==", encoding="utf-8")
    (site_of(venv) / "broken-1.0.dist-info").mkdir()
    (site_of(venv) / "old-1.0-py3.11.egg-info").write_text("Name: old\nVersion: 1.0\n", encoding="utf-8")
    found = fingerprint(str(venv / "bin/python"), tmp_path)
    assert found["conda"] == {"gdal": "3.9.2 h1_0", "lib-with-dashes": "1.0 0"}
    assert found["packages"] == {"old": "1.0"}
    assert "hunter2" not in json.dumps(found)
    (meta / "gdal-3.9.2-h1_0.json").rename(meta / "gdal-3.9.3-h1_0.json")
    (drift,) = environment_drift(found, fingerprint(str(venv / "bin/python"), tmp_path))
    assert (drift.what, drift.b, drift.matters) == ("conda: gdal", "3.9.3 h1_0", "geometry")


def test_what_an_environment_prints_or_warns_about_does_not_spoil_the_answer(
    venv: Path, tmp_path: Path
) -> None:
    (site_of(venv) / "sitecustomize.py").write_text(
        "print('{}')\nimport warnings\nwarnings.warn('x')\n", encoding="utf-8"
    )
    environ = {"PYTHONWARNINGS": "error", "PYTHONINSPECT": "1", "PYTHONVERBOSE": "1"}
    assert fingerprint(str(venv / "bin/python"), tmp_path, environ)["packages"] == {}


@pytest.mark.parametrize("program", ["/bin/true", "/bin/false", "/nowhere/python", None])
def test_where_no_interpreter_answers_the_machine_is_told_all_the_same(
    ours: dict, tmp_path: Path, program: str | None
) -> None:
    found = fingerprint(program, tmp_path)
    assert {"machine", "system", "libc", "kernel", "cpu", "locale", "time_zone", "threads"} == found.keys()
    assert found["cpu"] == ours["cpu"]


@pytest.mark.parametrize("version", ["3.8", "3.9", "3.10", "3.12", "3.13", "3.14"])
def test_pythons_older_and_newer_than_ours_answer(tmp_path: Path, version: str) -> None:
    beside = sorted(Path(sys.base_prefix).parent.glob(f"*/bin/python{version}"))
    python = str(beside[0]) if beside else shutil.which(f"python{version}")
    if python is None or subprocess.run([python, "-c", ""], check=False, capture_output=True).returncode:
        pytest.skip(f"no working python{version} beside ours or on the PATH of this machine")
    found = fingerprint(python, tmp_path)
    assert found["python"].startswith(f"{version}.")
    assert found["native"]["zlib"]


def test_rule_24_no_secret_of_an_installation_or_an_environment_gets_into_the_snapshot(
    venv: Path, tmp_path: Path
) -> None:
    token = "ghp_" + "a1B2" * 9
    urls = [
        f"https://user:hunter2@git.example.org/x.whl?token=hunter2#{token}",
        f"https://host.example/t/{token}/x.whl",
    ]
    for number, url in enumerate(urls):
        source = {"url": url, "archive_info": {"hash": "sha256=" + "0" * 64}, "password": "hunter2"}
        package(site_of(venv), f"private-{number}", direct_url__json=json.dumps(source))
    (venv / "pip.conf").write_text(
        "[global]\nindex-url = https://user:hunter2@pypi.example.org\n", encoding="utf-8"
    )
    named = (
        "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX", "HTTPS_PROXY", "GITHUB_TOKEN",
        "OMP_NUM_THREADS",
    )  # fmt: skip
    environ = dict.fromkeys(named, f"https://user:hunter2@x.example/{token}")
    found = fingerprint(str(venv / "bin/python"), tmp_path, environ)
    said = json.dumps(found) + requirements_lock(found)
    assert "private-1" in said
    assert "hunter2" not in said
    assert token not in said
