"""``record`` as a user runs it: what it finds by itself, what it refuses, what it leaves behind."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from workshop import Done, Workshop, hear_ctrl_c, plain_python, user_environ

OUT = "import pathlib\nout = pathlib.Path('data/processed/job'); out.mkdir(parents=True, exist_ok=True)\n"
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 12345\n"


def pipeline(shop: Workshop, body: str) -> Workshop:
    shop.write("pipelines/job.py", OUT + body)
    shop.commit()
    return shop


def record(
    shop: Workshop, *args: str, python: str = "", env: dict[str, str] | None = None
) -> tuple[Path, Done]:
    """Record the pipeline and return the folder of its run, and what the command said."""
    done = shop.kfm("record", "--json", *args, "--", python or plain_python(), "pipelines/job.py", env=env)
    (run,) = (shop.root / "data/work/runs/job").iterdir()
    return run, done


def document(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def inputs(run: Path) -> dict[str, str]:
    """Return how each input of a run was found, by path."""
    return {item["path"]: item.get("found", "") for item in document(run / "manifests/inputs.json")["inputs"]}


def notes(done: Done) -> str:
    return "\n".join(done.json["notes"])


def test_what_the_command_opens_is_an_input_native_readers_and_shell_tools_too(workshop: Workshop) -> None:
    for name in ("python.csv", "shell.csv", "unread.csv"):
        workshop.write(f"data/raw/{name}", "id\n1\n")
    pq.write_table(pa.table({"a": [1, 2]}), workshop.root / "data/raw/arrow.parquet")
    pipeline(
        workshop,
        "import subprocess, pyarrow.parquet as pq\n"
        "text = open('data/raw/python.csv').read() + str(pq.read_table('data/raw/arrow.parquet').num_rows)\n"
        "text += subprocess.run(['cat', 'data/raw/shell.csv'], capture_output=True, text=True, env={}).stdout\n"
        "(out / 'a.txt').write_text(text)\n",
    )
    run, done = record(workshop, python=sys.executable)
    assert done.code == 0, done.err
    found = ("arrow.parquet", "python.csv", "shell.csv")
    assert inputs(run) == {f"data/raw/{name}": "opened" for name in found}
    assert "3 opened" in notes(done)
    assert workshop.kfm("replay", run.name).code == 0


def test_every_native_reader_is_seen_with_the_files_beside_the_one_it_was_given(workshop: Workshop) -> None:
    raw = workshop.root / "data/raw"
    raw.mkdir(parents=True)
    frame = geopandas.GeoDataFrame({"n": [1, 2]}, geometry=geopandas.points_from_xy([1, 2], [3, 4]), crs=4326)
    for name in ("a.gpkg", "b.shp", "c.fgb", "d.geojson"):
        frame.to_file(raw / name)
    frame.to_parquet(raw / "e.parquet")
    with closing(sqlite3.connect(raw / "f.sqlite")) as database:
        database.execute("CREATE TABLE t (x)")
    np.arange(1_000).tofile(raw / "g.bin")
    with zipfile.ZipFile(raw / "h.zip", "w") as archive:
        archive.write(raw / "d.geojson", "inner.geojson")
    workshop.write("data/raw/unread.csv", "x")
    pipeline(
        workshop,
        "import geopandas, numpy, sqlite3\n"
        "names = ['a.gpkg', 'b.shp', 'c.fgb', 'd.geojson', 'h.zip']\n"
        "sizes = [len(geopandas.read_file(f'data/raw/{name}')) for name in names]\n"
        "sizes.append(len(geopandas.read_parquet('data/raw/e.parquet')))\n"
        "sizes.append(len(sqlite3.connect('data/raw/f.sqlite').execute('SELECT * FROM t').fetchall()))\n"
        "sizes.append(int(numpy.memmap('data/raw/g.bin', dtype='int64', mode='r').sum()))\n"
        "(out / 'sizes.txt').write_text(str(sizes))\n",
    )
    run, done = record(workshop, python=sys.executable)
    assert done.code == 0, done.err
    opened = {path.removeprefix("data/raw/") for path, how in inputs(run).items() if how == "opened"}
    needed = {"a.gpkg", "b.shp", "b.shx", "b.dbf", "b.prj", "c.fgb", "d.geojson"}
    assert needed | {"e.parquet", "f.sqlite", "g.bin", "h.zip"} <= opened
    assert "unread.csv" not in opened
    done = workshop.kfm("replay", run.name)
    assert done.code == 0, done.out


def test_files_of_a_folder_that_the_command_lists_are_inputs(workshop: Workshop) -> None:
    for name in ("a.csv", "b.csv", ".hidden"):
        workshop.write(f"data/raw/{name}", name)
    workshop.write("data/raw/deeper/c.csv", "c")
    workshop.write("data/other/d.csv", "d")
    pipeline(
        workshop,
        "names = sorted(p.name for p in pathlib.Path('data/raw').glob('*.csv'))\n"
        "(out / 'a.txt').write_text(str(names) + open('data/raw/b.csv').read())\n",
    )
    run, done = record(workshop)
    assert inputs(run) == {"data/raw/a.csv": "listed", "data/raw/b.csv": "opened"}
    assert workshop.kfm("replay", run.name).code == 0, done.err


def test_inputs_are_found_in_a_project_below_the_top_of_its_repository(workshop: Workshop) -> None:
    inner = Workshop(workshop.root / "maps" / "kansas")
    inner.write("data/raw/a.csv", "a")
    inner.write("pipelines/helper.py", "NAME = 'data/raw/a.csv'\n")
    inner.write("pipelines/job.py", OUT + "import helper\n(out / 'a').write_text(open(helper.NAME).read())\n")
    (inner.root / "data/work/runs").mkdir(parents=True)
    workshop.commit()
    run, done = record(inner)
    assert inputs(run) == {"data/raw/a.csv": "opened"}, done.err
    assert inner.kfm("replay", run.name).code == 0


def test_names_that_no_record_can_hold_are_a_gap_and_no_crash(workshop: Workshop) -> None:
    workshop.write("data/raw/a.csv", "a")
    for name in (b"caf\xe9.csv", b"two\nlines.csv"):
        Path(os.fsdecode(os.fsencode(workshop.root / "data/raw") + b"/" + name)).write_text("x")
    pipeline(
        workshop,
        "import os\nfor n in sorted(os.listdir(b'data/raw')): open(b'data/raw/' + n).read()\n"
        "(out / 'a.txt').write_text('x')\n",
    )
    run, done = record(workshop)
    assert done.code == 0, done.out
    assert inputs(run) == {"data/raw/a.csv": "opened"}
    assert "2 files have names" in notes(done)


def test_listed_files_are_bounded_and_the_bound_is_said(workshop: Workshop) -> None:
    for number in range(1_001):
        workshop.write(f"data/raw/{number}.csv", "")
    pipeline(workshop, "import os\n(out / 'a.txt').write_text(str(len(os.listdir('data/raw'))))\n")
    run, done = record(workshop)
    assert inputs(run) == {}
    assert "1001 files" in notes(done)
    assert any("1001 files" in gap for gap in observation(run)["gaps"])


def observation(run: Path) -> dict[str, Any]:
    return yaml.safe_load((run / "run.yaml").read_text(encoding="utf-8"))["observation"]


def test_code_config_hidden_files_and_caches_are_no_inputs_an_ignored_table_is(workshop: Workshop) -> None:
    workshop.write(".gitignore", "data/work/\ndata/processed/\nlookup.csv\n.env\n")
    for name in ("lookup.csv", ".env", "tracked.txt", "config/job.yaml", "untracked.txt"):
        workshop.write(name, "x")
    workshop.write("pipelines/helper.py", "FACTOR = 2\n")
    workshop.git("init", "-q", "-b", "main")
    workshop.write(".git/info/exclude", "")
    pipeline(
        workshop,
        "import helper\n"
        "names = ['lookup.csv', '.env', 'tracked.txt', 'config/job.yaml', 'untracked.txt']\n"
        "text = ''.join(open(n).read() for n in names if pathlib.Path(n).exists())\n"
        "(out / 'a.txt').write_text(str(len(text) * helper.FACTOR > 0))\n",
    )
    workshop.git("rm", "-q", "--cached", "untracked.txt")
    workshop.git("commit", "-q", "-m", "untracked")
    run, done = record(workshop)
    assert inputs(run) == {"lookup.csv": "opened"}, done.err
    assert workshop.kfm("replay", run.name).code == 0


def test_a_declared_input_wins_over_what_was_seen(workshop: Workshop) -> None:
    workshop.write("data/raw/a.csv", "a")
    workshop.write("data/raw/b.csv", "b")
    pipeline(workshop, "(out / 'a.txt').write_text(open('data/raw/b.csv').read())\n")
    run, done = record(workshop, "--input", "data/raw/a.csv")
    assert inputs(run) == {"data/raw/a.csv": ""}
    assert observation(run)["inputs"] == "declared"
    assert "no inputs declared" not in notes(done)
    assert "not declared, so that a replay will not have it: data/raw/b.csv" in notes(done)


def test_without_observation_everything_that_could_have_been_read_is_offered(workshop: Workshop) -> None:
    workshop.write("data/raw/a.csv", "a")
    workshop.write("data/raw/b.csv", "b")
    workshop.write("data/work/tmp/c.csv", "c")
    pipeline(workshop, "(out / 'a.txt').write_text(open('data/raw/b.csv').read())\n")
    run, done = record(workshop, "--no-observe")
    assert inputs(run) == {"data/raw/a.csv": "offered", "data/raw/b.csv": "offered"}
    assert (observation(run)["method"], observation(run)["inputs"]) == ("none", "offered")
    assert "turned off" in notes(done)
    assert workshop.kfm("replay", run.name).code == 0


def test_the_command_runs_unchanged_but_for_kfm_variables(workshop: Workshop) -> None:
    body = (
        "import json, os, sys\n"
        "state = {'env': dict(os.environ), 'path': sys.path, 'modules': sorted(sys.modules), 'argv': sys.argv,\n"
        "         'cwd': os.getcwd(), 'fds': sorted(os.listdir('/proc/self/fd')), 'nice': os.nice(0)}\n"
        "pathlib.Path('state.json').write_text(json.dumps(state))\n"
    )
    pipeline(workshop, body)
    argv = [plain_python(), "pipelines/job.py"]
    subprocess.run(argv, cwd=workshop.root, env=user_environ(), check=True, capture_output=True)
    plain = document(workshop.root / "state.json")
    run, done = record(workshop)
    assert done.code == 0, done.err
    recorded = document(workshop.root / "state.json")
    added = set(recorded["env"]) - set(plain["env"])
    assert added == {"KFM_RUN_ID", "KFM_RUN_DIR", "KFM_CONFIG_DIR", "KFM_RUN_STARTED_AT"}
    recorded["env"] = {name: value for name, value in recorded["env"].items() if name not in added}
    assert recorded == plain
    assert run.name


def test_a_file_that_is_read_and_then_changed_is_named_since_its_first_bytes_are_gone(
    workshop: Workshop,
) -> None:
    workshop.write("data/state/counter.txt", "1")
    pipeline(
        workshop,
        "place = pathlib.Path('data/state/counter.txt')\n"
        "n = int(place.read_text()); place.write_text(str(n + 1)); (out / 'a.txt').write_text(str(n))\n",
    )
    run, done = record(workshop)
    assert inputs(run) == {}
    assert "read and then changed" in notes(done)
    assert "data/state/counter.txt" in notes(done)
    assert observation(run)["read_first"] == ["data/state/counter.txt"]


def test_declared_inputs_are_hashed_and_kept_before_the_command_can_change_them(workshop: Workshop) -> None:
    workshop.write("data/state/counter.txt", "1")
    workshop.write(".gitignore", "data/\n")
    pipeline(
        workshop,
        "place = pathlib.Path('data/state/counter.txt')\n"
        "n = int(place.read_text()); place.write_text(str(n + 1)); (out / 'a.txt').write_text(str(n))\n",
    )
    run, done = record(workshop, "--input", "data/state/*", "--output", "data/processed/**")
    (entry,) = document(run / "manifests/inputs.json")["inputs"]
    assert entry["sha256"] == hashlib.sha256(b"1").hexdigest()
    assert entry["changed_during_run"] is True
    assert "changed its own input data/state/counter.txt" in notes(done)
    assert workshop.kfm("replay", run.name).code == 0
    assert (workshop.root / "data/state/counter.txt").read_text(encoding="utf-8") == "2"


def test_a_link_out_of_the_project_and_a_file_written_elsewhere_are_said(
    workshop: Workshop, tmp_path: Path
) -> None:
    (tmp_path / "archive.csv").write_text("x", encoding="utf-8")
    workshop.write("data/raw/a.csv", "a")
    (workshop.root / "data/raw/link.csv").symlink_to(tmp_path / "archive.csv")
    pipeline(
        workshop,
        "pathlib.Path('report.html').write_text(open('data/raw/link.csv').read())\n(out / 'a').write_text('')\n",
    )
    _, done = record(workshop)
    assert "data/raw/link.csv" in notes(done)
    assert "outside of the data folders: report.html" in notes(done)


def test_a_pointer_of_git_lfs_as_a_declared_input_is_refused_before_anything_is_written(
    workshop: Workshop,
) -> None:
    workshop.write("data/raw/dem.tif", POINTER)
    pipeline(workshop, "(out / 'a.txt').write_text('x')\n")
    done = workshop.kfm("record", "--json", "--input", "data/raw/*", "--", plain_python(), "pipelines/job.py")
    assert (done.code, done.json["error"]["code"]) == (2, "input-missing")
    assert "data/raw/dem.tif" in done.json["error"]["message"]
    assert "git lfs pull" in done.json["error"]["hint"]
    assert not list((workshop.root / "data/work/runs").iterdir())


def test_a_pointer_of_git_lfs_that_the_command_read_makes_the_run_failed(workshop: Workshop) -> None:
    workshop.write("data/raw/dem.tif", POINTER)
    pipeline(workshop, "(out / 'a.txt').write_text(open('data/raw/dem.tif').read())\n")
    run, done = record(workshop)
    assert (done.code, done.json["error"]["code"]) == (2, "input-missing")
    assert "Git LFS" in (run / "_FAILED").read_text(encoding="utf-8")
    assert document(run / "status.json")["state"] == "failed"


def test_submodules_are_recorded_and_changed_ones_are_refused(workshop: Workshop, tmp_path: Path) -> None:
    library = Workshop(tmp_path / "library")
    library.write("tool.py", "FACTOR = 2\n")
    commit = library.commit()
    pipeline(workshop, "(out / 'a.txt').write_text('x')\n")
    workshop.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(library.root), "lib/tool")
    workshop.commit()
    run, done = record(workshop)
    assert done.code == 0, done.err
    version = yaml.safe_load((run / "run.yaml").read_text(encoding="utf-8"))["pipeline"]["version"]
    assert version["submodules"] == [{"path": "lib/tool", "commit": commit}]
    workshop.write("lib/tool/tool.py", "FACTOR = 3\n")
    done = workshop.kfm("record", "--json", "--", plain_python(), "pipelines/job.py")
    assert (done.code, done.json["error"]["code"]) == (2, "code-unavailable")
    assert "lib/tool has uncommitted changes" in done.json["error"]["message"]
    Workshop(workshop.root / "lib/tool").commit()
    done = workshop.kfm("record", "--json", "--", plain_python(), "pipelines/job.py")
    assert "is at commit" in done.json["error"]["message"]


def test_the_environment_is_recorded_and_no_secret_with_it(workshop: Workshop) -> None:
    pipeline(workshop, "(out / 'a.txt').write_text('x')\n")
    secrets = {"GDAL_HTTP_AUTH": "user:hunter2", "AWS_SECRET_ACCESS_KEY": "hunter2", "MY_TOKEN": "hunter2"}
    run, done = record(workshop, python=sys.executable, env=secrets | {"OMP_NUM_THREADS": "3"})
    assert done.code == 0, done.err
    known = document(run / "environment/fingerprint.json")
    assert known["packages"]["pyarrow"] == pa.__version__
    assert known["native"]["proj_data"]["database"]["EPSG.VERSION"]
    assert known["threads"] == {"OMP_NUM_THREADS": "3"}
    lock = (run / "environment/requirements.lock").read_text(encoding="utf-8")
    assert f"pyarrow=={pa.__version__}\n" in lock
    assert f"# 0 of {lock.count('==')} have hashes.\n" in lock
    written = [path for path in run.rglob("*") if path.is_file()]
    assert not [path for path in written if b"hunter2" in path.read_bytes()]


def test_what_a_command_used_is_its_own_not_that_of_our_helpers(workshop: Workshop) -> None:
    pipeline(workshop, "")
    workshop.kfm("record", "--pipeline", "job", "--", "true")
    (run,) = (workshop.root / "data/work/runs/job").iterdir()
    runtime = document(run / "metrics/runtime.json")
    # A child that was just forked counts our own memory as its peak; the helper that asks for versions has more.
    assert 0 < runtime["peak_memory_bytes"] < 64 << 20
    assert runtime["user_s"] + runtime["system_s"] <= runtime["wall_s"] + 0.1


def test_counts_are_in_the_manifest_and_in_the_counters(workshop: Workshop) -> None:
    pipeline(workshop, "(out / 'a.csv').write_text('id,t\\n1,\"x\\ny\"\\n')\n")
    run, _ = record(workshop)
    (entry,) = document(run / "manifests/outputs.json")["outputs"]
    assert entry["row_count"] == 1
    assert document(run / "metrics/counters.json") == {"data/processed/job/a.csv": {"rows": 1}}


def test_the_record_of_a_failed_command_is_complete(workshop: Workshop) -> None:
    workshop.write("data/raw/a.csv", "a")
    pipeline(
        workshop,
        "(out / 'half.txt').write_text(open('data/raw/a.csv').read())\nraise SystemExit('ERROR no licence')\n",
    )
    run, done = record(workshop)
    assert (done.code, done.json["error"]["code"]) == (2, "pipeline-failed")
    assert document(run / "status.json")["state"] == "failed"
    assert "exit code 1" in (run / "_FAILED").read_text(encoding="utf-8")
    assert inputs(run) == {"data/raw/a.csv": "opened"}
    assert [item["path"] for item in document(run / "manifests/outputs.json")["outputs"]] == [
        "data/processed/job/half.txt"
    ]
    assert document(run / "metrics/runtime.json")["exit_code"] == 1
    assert (run / "logs/stderr.log").read_text(encoding="utf-8") == "ERROR no licence\n"
    (event,) = map(json.loads, (run / "logs/pipeline.jsonl").read_text(encoding="utf-8").splitlines())
    assert (event["stream"], event["level"], event["text"]) == ("stderr", "error", "ERROR no licence")
    assert (run / "environment/fingerprint.json").is_file()


def test_what_went_wrong_is_said_with_what_was_given_and_where_it_ran(workshop: Workshop) -> None:
    pipeline(workshop, "raise SystemExit(3)\n")
    done = workshop.kfm("record", "--", plain_python(), "pipelines/job.py", cwd=workshop.root / "pipelines")
    assert f"It ran in the project root, {workshop.root.resolve()}, not here" in done.err
    done = workshop.kfm("record", "--output", "data/nope/**", "--", "true")
    assert "the command wrote no file that fits --output data/nope/**" in done.err
    done = workshop.kfm("record", "--", "true", cwd=workshop.root.parent)
    assert (done.code, "git init" in done.err) == (2, True)


def test_a_command_that_cannot_be_started_leaves_an_aborted_run(workshop: Workshop) -> None:
    program = workshop.write("broken", "#!/no/such/interpreter\n")
    program.chmod(0o755)
    pipeline(workshop, "")
    done = workshop.kfm("record", "--json", "--", "./broken")
    assert (done.code, done.json["error"]["code"]) == (2, "not-replayable")
    (run,) = (workshop.root / "data/work/runs/broken").iterdir()
    assert document(run / "status.json")["state"] == "aborted"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_record_exits_130_and_reads_as_aborted(
    workshop: Workshop, number: signal.Signals
) -> None:
    pipeline(workshop, "import time; print('waiting', flush=True); time.sleep(60)\n")
    program = Path(sys.executable).with_name("kfm-repro")
    child = subprocess.Popen(
        [program, "record", "--", plain_python(), "pipelines/job.py"],
        cwd=workshop.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        preexec_fn=hear_ctrl_c,  # noqa: PLW1509 - no threads here
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not any(
        "waiting" in log.read_text(encoding="utf-8")
        for log in workshop.root.glob("data/work/runs/job/*/logs/pipeline.jsonl")
    ):
        assert time.monotonic() < deadline, "the command never began"
        os.sched_yield()
    os.killpg(child.pid, number)
    child.communicate(timeout=60)
    assert child.returncode == 130
    (run,) = (workshop.root / "data/work/runs/job").iterdir()
    assert document(run / "status.json")["state"] == "aborted"
    assert document(run / "status.json")["reason"] == f"interrupted ({number.name})"
    assert not (run / "_SUCCESS").exists()
