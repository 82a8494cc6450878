"""``replay --env rebuild``: the recorded packages again, or a clear word on why not, and never half an environment."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tarfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from isolation import at_level
from wheels import make_venv, make_wheel, record_in
from workshop import REPOSITORY, Workshop

from kfm_repro.execute.isolate import Isolation

pytestmark = pytest.mark.slow

JOB = """
import pathlib, geo_base
out = pathlib.Path("data/processed/job"); out.mkdir(parents=True, exist_ok=True)
(out / "out.csv").write_text(f"id,version,grid\\n1,{geo_base.VERSION},{geo_base.GRID}\\n", encoding="utf-8")
"""
FILES = {"geo_base/__init__.py": "VERSION = '1.0'\nGRID = 7\n", "geo_base/grid.txt": "7\n"}
OTHER = {"geo_base/__init__.py": "VERSION = '1.0'\nGRID = 8\n", "geo_base/grid.txt": "8\n"}


@dataclass(frozen=True)
class Bench:
    """A project whose run was recorded in an environment that is gone, and an index of packages: a folder."""

    shop: Workshop
    folder: Path
    environ: dict[str, str]
    run: str

    @property
    def wheels(self) -> Path:
        return self.folder / "wheels"

    @property
    def store(self) -> Path:
        return self.folder / "cache" / "environments"

    @property
    def record(self) -> Path:
        return self.shop.run_dir(self.run)

    def replay(self, *options: str, code: int, **environ: str) -> Any:
        done = self.shop.kfm(
            "replay", self.run, "--env", "rebuild", "--json", *options, env=self.environ | environ
        )
        assert done.code == code, done.out + done.err
        return done.json

    def refused(self, **environ: str) -> str:
        """Return why the environment cannot be rebuilt; nothing must be left of the attempt."""
        before = sorted(path.name for path in (self.shop.root / "data/work/runs/job").iterdir())
        error = self.replay(code=2, **environ)["error"]
        assert error["code"] == "environment-unavailable"
        assert sorted(path.name for path in (self.shop.root / "data/work/runs/job").iterdir()) == before
        assert [path for path in self.store.glob("*") if not path.name.startswith(".lock-")] == []
        return f"{error['message']}\n{error['hint']}"

    def edit(self, name: str, **changes: Any) -> None:
        self.shop.edit_json(self.record / "environment/fingerprint.json", **changes)
        if "python" in changes:
            path = self.record / "run.yaml"
            ours = ".".join(map(str, sys.version_info[:3]))
            text = path.read_text(encoding="utf-8").replace(f'python: "{ours}"', f'python: "{name}"')
            path.write_text(text, encoding="utf-8")

    def lock(self, digest: str) -> None:
        """Give the record a lock with a hash."""
        text = f"geo-base==1.0 --hash=sha256:{digest}\n"
        (self.record / "environment/requirements.lock").write_text(text, encoding="utf-8")

    def new_cache(self) -> dict[str, str]:
        """Return variables with which uv remembers nothing."""
        return {"UV_CACHE_DIR": str(self.folder / "another-uv")}


def set_up(shop: Workshop, folder: Path, *words: str, job: str = JOB) -> Bench:
    environ = {
        "UV_FIND_LINKS": str(folder / "wheels"), "UV_NO_INDEX": "1", "UV_CACHE_DIR": str(folder / "uv"),
        "KFM_CACHE_ROOT": str(folder / "cache"),
    }  # fmt: skip
    make_wheel(folder / "wheels", "geo-base", "1.0", FILES)
    python = make_venv(folder / "venv", "geo-base==1.0", environ=environ)
    shop.write("pipelines/job.py", job)
    shop.commit()
    path = {"PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}"}
    run = record_in(shop, python, environ | path, *words)
    shutil.rmtree(folder / "venv")
    return Bench(shop, folder, environ, run)


@pytest.fixture
def bench(workshop: Workshop, tmp_path: Path) -> Bench:
    return set_up(workshop, tmp_path)


def states(report: Any) -> dict[str, str]:
    return {item["name"]: item["state"] for item in report["preconditions"]}


def test_a_run_replays_in_its_environment_made_again_and_the_next_one_takes_it_from_the_cache(
    bench: Bench,
) -> None:
    report = bench.replay(code=0)
    jsonschema.validate(
        report, json.loads((REPOSITORY / "docs/schema/report-1.json").read_text(encoding="utf-8"))
    )
    assert report["verdict"] == "reproducible"
    assert (states(report)["interpreter"], states(report)["packages"]) == ("ok", "ok")
    made = report["environment"]["rebuilt"]
    assert (made["packages"], made["cached"], made["proved_by"]) == (1, False, {"RECORD": 1})
    assert report["environment"]["mode"] == "rebuild"
    assert not [item for item in report["environment"]["drift"] if "geo" in item["what"]]
    avoided = {item["what"]: item["change"] for item in report["environment"]["avoided"]}
    assert avoided["geo-base"] == "removed"
    fresh = bench.shop.run_dir(report["replays"][0]["run_id"])
    assert made["environment"] in (fresh / "run.yaml").read_text(encoding="utf-8")
    again = bench.replay(code=0)
    assert again["environment"]["rebuilt"] == made | {"cached": True}
    anew = bench.replay("--fresh-env", code=0)
    assert anew["environment"]["rebuilt"] == made
    assert len(list(bench.store.glob("[!.]*"))) == 1


def test_without_the_rebuild_the_same_run_fails_for_want_of_its_package(bench: Bench) -> None:
    done = bench.shop.kfm("replay", bench.run, "--json", env=bench.environ)
    assert done.code == 2
    assert "geo_base" in done.json["error"]["message"]


@pytest.mark.parametrize("level", list(Isolation))
def test_a_rebuilt_environment_is_there_at_every_level_and_what_is_done_to_it_is_refused_or_named(
    workshop: Workshop, tmp_path: Path, level: str
) -> None:
    tries = (
        JOB
        + """
import os
if 'kfm-repro-' in os.environ['KFM_RUN_DIR']:
    place = pathlib.Path(geo_base.__file__).parent
    for attempt in (lambda: place.chmod(0o755), lambda: (place / 'more.py').write_text('')):
        try:
            attempt()
            print('done', flush=True)
        except OSError as exc:
            print('refused', flush=True)
"""
    )
    bench = set_up(workshop, tmp_path, job=tries)
    report = bench.replay("--isolation", at_level(level), code=0)
    assert (report["verdict"], report["replays"][0]["isolation"]) == ("reproducible", level)
    log = bench.shop.run_dir(report["replays"][0]["run_id"]) / "logs/pipeline.jsonl"
    said = [json.loads(line)["text"] for line in log.read_text(encoding="utf-8").splitlines()]
    # Landlock has no say in modes: what was done to them is seen afterwards, and named.
    mode, content = {"namespace": (False, False), "landlock": (True, False)}.get(level, (True, True))
    assert said == ["done" if mode else "refused", "done" if content else "refused"]
    assert states(report).get("environment-after") == ("drift" if mode else None)


def test_a_wheel_hash_in_the_lock_is_required(bench: Bench) -> None:
    bench.lock(make_wheel(bench.wheels, "geo-base", "1.0", FILES))
    assert bench.replay(code=0)["environment"]["rebuilt"]["proved_by"] == {"wheel hash and RECORD": 1}


def test_other_bytes_under_the_same_version_are_refused_by_hash(bench: Bench) -> None:
    bench.lock(make_wheel(bench.wheels, "geo-base", "1.0", FILES))
    make_wheel(bench.wheels, "geo-base", "1.0", OTHER)
    said = bench.refused(**bench.new_cache())
    assert "geo-base 1.0" in said
    assert "hash" in said.lower()


def test_other_bytes_under_the_same_version_are_refused_by_the_digest_of_their_files(bench: Bench) -> None:
    make_wheel(bench.wheels, "geo-base", "1.0", OTHER)
    said = bench.refused(**bench.new_cache())
    assert "other files than recorded" in said
    assert "geo-base" in said


def test_a_package_without_a_hash_runs_nothing_before_its_files_are_proved(bench: Bench) -> None:
    marker = bench.folder / "ran"
    evil = f"import pathlib; pathlib.Path({str(marker)!r}).touch()\n"
    make_wheel(bench.wheels, "geo-base", "1.0", FILES, unlisted={"zz.pth": evil})
    assert "zz.pth" in bench.refused(**bench.new_cache())
    make_wheel(bench.wheels, "geo-base", "1.0", FILES, lies={"geo_base/__init__.py": evil})
    assert "geo-base" in bench.refused(UV_CACHE_DIR=str(bench.folder / "third"))
    assert not marker.exists()


def test_a_package_that_is_gone_from_the_index_is_named(bench: Bench) -> None:
    for path in bench.wheels.iterdir():
        path.unlink()
    make_wheel(bench.wheels, "geo-base", "1.1", OTHER)
    assert "geo-base 1.0" in bench.refused(**bench.new_cache())


def test_a_package_that_is_there_only_as_source_is_not_built(bench: Bench) -> None:
    for path in bench.wheels.iterdir():
        path.unlink()
    marker = bench.folder / "built"
    files = {
        "setup.py": f"import pathlib; pathlib.Path({str(marker)!r}).touch()\nfrom setuptools import setup; setup()\n",
        "PKG-INFO": "Metadata-Version: 2.1\nName: geo-base\nVersion: 1.0\n",
    }
    with tarfile.open(bench.wheels / "geo_base-1.0.tar.gz", "w:gz") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(f"geo_base-1.0/{name}")
            info.size = len(text)
            archive.addfile(info, BytesIO(text.encode()))
    assert "geo-base 1.0" in bench.refused(**bench.new_cache())
    assert not marker.exists()


def test_an_index_that_cannot_be_reached_is_said_without_saying_where_it_is(bench: Bench) -> None:
    index = "http://robot:hunter2@127.0.0.1:9/simple"
    unreachable = {"UV_NO_INDEX": "", "UV_FIND_LINKS": "", "UV_DEFAULT_INDEX": index, "UV_HTTP_RETRIES": "0"}
    done = bench.shop.kfm(
        "replay", bench.run, "--env", "rebuild", env=bench.environ | unreachable | bench.new_cache()
    )
    assert done.code == 2
    assert "index of packages cannot be reached" in done.err
    left = [path.read_bytes() for path in bench.shop.root.rglob("*") if path.is_file()]
    for text in (done.out.encode(), done.err.encode(), *left):
        assert b"hunter2" not in text
        assert b"127.0.0.1" not in text


def test_offline_uvs_own_cache_is_enough(bench: Bench) -> None:
    digest = make_wheel(bench.wheels, "geo-base", "1.0", FILES)
    bench.lock(digest)
    assert bench.replay(code=0)["verdict"] == "reproducible"
    shutil.rmtree(bench.store)
    report = bench.replay(code=0, UV_OFFLINE="1")
    assert report["environment"]["rebuilt"]["cached"] is False


def test_an_editable_install_from_elsewhere_is_named(bench: Bench) -> None:
    source = {"geo-base": {"direct_url": {"url": "file:///elsewhere/geo", "editable": True}}}
    bench.edit("", package_records=source)
    assert "geo-base 1.0: an editable install from outside of the project" in bench.refused()


def test_another_patch_of_the_same_python_is_taken_and_no_level_is_claimed(bench: Bench) -> None:
    other = f"{sys.version_info[0]}.{sys.version_info[1]}.999"
    bench.edit(other, python=other)
    report = bench.replay(code=0)
    (interpreter,) = (item for item in report["preconditions"] if item["name"] == "interpreter")
    assert (interpreter["state"], interpreter["code"]) == ("drift", "ENVIRONMENT_DRIFT")
    assert other in interpreter["detail"]
    assert report["scope"]["level"] == ""
    assert any("no level" in note for note in report["scope"]["notes"])
    assert [item["a"] for item in report["environment"]["drift"] if item["what"] == "python"] == [other]
    done = bench.shop.kfm("replay", bench.run, "--env", "rebuild", env=bench.environ)
    assert "Not in the same environment as recorded." in done.out.splitlines()[-1]


def test_another_minor_version_of_python_is_an_error_that_says_what_to_install(bench: Bench) -> None:
    bench.edit("3.99.1", python="3.99.1")
    assert "install Python 3.99.1" in bench.refused()


def test_a_shell_pipeline_gets_the_rebuilt_python_and_the_report_says_what_it_does_not_get(
    workshop: Workshop, tmp_path: Path
) -> None:
    shell = set_up(workshop, tmp_path, "sh", "-c", "python pipelines/job.py && ls data/processed >&2")
    report = shell.replay(code=0)
    assert report["verdict"] == "reproducible"
    assert states(report)["shell"] == "unknown"


def test_a_pipeline_that_changes_its_environment_is_caught_and_the_next_replay_gets_a_new_one(
    workshop: Workshop, tmp_path: Path
) -> None:
    meddles = (
        JOB
        + """
import os
if 'kfm-repro-' in os.environ['KFM_RUN_DIR']:
    path = pathlib.Path(geo_base.__file__); path.parent.chmod(0o755); path.chmod(0o644)
    text = path.read_text(); path.write_text(text.replace('7', '9')); os.utime(path, (1e9, 1e9))
"""
    )
    bench = set_up(workshop, tmp_path, job=meddles)
    for _ in range(2):
        report = bench.replay("--isolation", "none", code=0)
        assert states(report)["environment-after"] == "drift"
        assert report["environment"]["rebuilt"]["cached"] is False


def test_a_pipeline_cannot_reach_uvs_cache_through_its_environment(bench: Bench) -> None:
    bench.replay(code=0)
    (module,) = bench.store.glob("*/venv/lib/*/site-packages/geo_base/__init__.py")
    assert module.stat().st_nlink == 1


def test_prune_shows_and_deletes_environments_that_nobody_has_used_for_long(bench: Bench) -> None:
    bench.replay(code=0)
    (lock,) = bench.store.glob(".lock-*")
    done = bench.shop.kfm("prune", "--environments", "--json", env=bench.environ)
    assert (done.json["environments"]["left"], done.json["environments"]["removed"]) == (1, [])
    os.utime(lock, (1e9, 1e9))
    key = lock.name.removeprefix(".lock-")
    done = bench.shop.kfm("prune", "--environments", "--json", env=bench.environ)
    assert done.json["environments"]["removed"] == [key]
    assert (bench.store / key).is_dir()
    done = bench.shop.kfm("prune", "--environments", "--yes", env=bench.environ)
    assert done.code == 0
    assert "environments: 1 unused" in done.out
    assert list(bench.store.iterdir()) == []


def test_a_store_beyond_its_cap_loses_the_least_recently_used(bench: Bench) -> None:
    bench.replay(code=0)
    (lock,) = bench.store.glob(".lock-*")
    os.utime(lock, (2e9, 2e9))
    bench.lock(make_wheel(bench.wheels, "geo-base", "1.0", FILES))
    bench.shop.write("kfm-repro.toml", 'environments-max = "1"\n')
    first = lock.name.removeprefix(".lock-")
    report = bench.replay(code=0)
    assert [path.name for path in bench.store.glob("[!.]*")] == [
        report["environment"]["rebuilt"]["environment"]
    ]
    assert report["environment"]["rebuilt"]["environment"] != first


def test_fresh_env_goes_with_a_rebuild_only(bench: Bench) -> None:
    done = bench.shop.kfm("replay", bench.run, "--fresh-env", env=bench.environ)
    assert done.code == 2
    assert "--env rebuild" in done.err
