"""Everything that an entrypoint can be, recorded and replayed with the installed command."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from workshop import Workshop, plain_python

needs_papermill = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("papermill", "ipykernel")),
    reason="papermill and ipykernel are not installed",
)

PACKAGE = """
import csv, pathlib
def main(year=1, factor=2):
    out = pathlib.Path("data/processed/job"); out.mkdir(parents=True, exist_ok=True)
    rows = list(csv.DictReader(open("data/raw/in.csv", encoding="utf-8")))
    (out / "out.csv").write_text("\\n".join(["n", *(str(int(row["n"]) * factor + year) for row in rows)]) + "\\n")
if __name__ == "__main__":
    main()
"""


@pytest.fixture
def job(workshop: Workshop) -> Workshop:
    workshop.write("data/raw/in.csv", "id,n\n1,10\n2,20\n")
    workshop.write("pkg/__init__.py", "")
    workshop.write("pkg/mod.py", PACKAGE)
    workshop.write("Makefile", "tables:\n\t@python -m pkg.mod\n")
    workshop.commit()
    return workshop


def record(shop: Workshop, *command: str, env: dict[str, str] | None = None) -> tuple[str, dict[str, Any]]:
    options = ("--pipeline", "job", "--input", "data/raw/**", "--output", "data/processed/job/**")
    done = shop.kfm("record", *options, "--", *command, env=env)
    assert done.code == 0, done.err
    run = done.out.strip().splitlines()[-1]
    return run, yaml.safe_load((shop.run_dir(run) / "run.yaml").read_text(encoding="utf-8"))["pipeline"]


def replay(shop: Workshop, run: str, *args: str, code: int = 0) -> dict[str, Any]:
    done = shop.kfm("replay", run, "--json", *args)
    assert done.code == code, done.out + done.err
    return done.json


@pytest.mark.parametrize(
    ("command", "entrypoint", "args"),
    [
        ([plain_python(), "-m", "pkg.mod"], "pkg.mod", []),
        (["make", "tables", "X=1"], "make:tables", ["X=1"]),
        ([plain_python(), "-c", "from pkg.mod import main; main(7)"], "sh: ", []),
    ],
)
def test_what_was_recorded_is_what_replays(
    job: Workshop, command: list[str], entrypoint: str, args: list[str]
) -> None:
    path = f"{Path(plain_python()).parent}:/usr/bin:/bin"
    run, pipeline = record(job, *command, env={"PATH": path})
    assert pipeline["entrypoint"].startswith(entrypoint)
    assert pipeline["args"] == args
    assert replay(job, run)["verdict"] == "reproducible"


def test_a_function_is_replayed_with_the_recorded_parameters(job: Workshop) -> None:
    job.write("config/params.json", '{"year": 1900, "unused": true}')
    job.commit()
    run, _ = record(job, plain_python(), "-c", "from pkg.mod import main; main(1900)")
    rewrite(job, run, entrypoint="pkg.mod:main", args=[])
    assert replay(job, run)["verdict"] == "reproducible"
    (job.run_dir(run) / "config/params.json").write_text('{"year": 1910}', encoding="utf-8")
    assert replay(job, run, code=1)["verdict"] == "not-reproducible"
    rewrite(job, run, entrypoint="pkg.mod:gone", args=[])
    assert "gone" in replay(job, run, code=2)["error"]["message"]


def test_an_ambiguous_or_missing_entrypoint_is_not_replayable_for_that_reason(job: Workshop) -> None:
    run, _ = record(job, plain_python(), "-m", "pkg.mod")
    rewrite(job, run, entrypoint="pkg.gone")
    error = replay(job, run, code=2)["error"]
    assert error["code"] == "not-replayable"
    assert error["message"].startswith("not replayable: the module pkg.gone is neither")
    assert [path.name for path in (job.root / "data/work/runs/job").iterdir()] == [run]
    job.write("data/raw/sub/in.csv", "id,n\n")
    job.write("x.py", "import sys\n")
    job.commit()
    run, _ = record(job, plain_python(), "-m", "pkg.mod")
    rewrite(job, run, entrypoint="x.py", args=["{inputs.in}"])
    error = replay(job, run, code=2)["error"]
    assert "{inputs.in} is ambiguous: data/raw/in.csv and data/raw/sub/in.csv" in error["message"]


def rewrite(shop: Workshop, run: str, **pipeline: Any) -> None:
    path = shop.run_dir(run) / "run.yaml"
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    document["pipeline"] |= pipeline
    document["pipeline"]["version"]["git_commit"] = shop.git("rev-parse", "HEAD")
    path.write_text(json.dumps(document, default=str), encoding="utf-8")


def notebook(*cells: str, kernel: str = "some-kernel-of-mine") -> str:
    def cell(number: int, source: str) -> dict[str, Any]:
        tags = ["parameters"] if number == 0 else []
        return {
            "cell_type": "code", "id": f"c{number}", "metadata": {"tags": tags}, "source": source,
            "execution_count": None, "outputs": [],
        }  # fmt: skip

    return json.dumps({
        "cells": [cell(number, source) for number, source in enumerate(cells)],
        "metadata": {"kernelspec": {"name": kernel, "display_name": "Mine", "language": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    })  # fmt: skip


TABLE = """
import csv, pathlib
rows = list(csv.DictReader(open("data/raw/in.csv", encoding="utf-8")))
out = pathlib.Path("data/processed/job"); out.mkdir(parents=True, exist_ok=True)
(out / "nb.csv").write_text("n\\n" + "".join(f"{int(row['n']) * factor}\\n" for row in rows))
"""


@needs_papermill
def test_a_notebook_is_recorded_as_one_and_its_outputs_replay(job: Workshop) -> None:
    job.write("reports/table.ipynb", notebook("factor = 2", TABLE, kernel="python3"))
    job.commit()
    bin_folder = str(Path(sys.executable).parent)
    run, pipeline = record(
        job, "papermill", "reports/table.ipynb", "data/work/out.ipynb", "-p", "factor", "3",
        env={"PATH": f"{bin_folder}:/usr/bin:/bin"},
    )  # fmt: skip
    assert (pipeline["entrypoint"], pipeline["args"]) == (
        "reports/table.ipynb",
        ["data/work/out.ipynb", "-p", "factor", "3"],
    )
    assert (job.root / "data/processed/job/nb.csv").read_text(encoding="utf-8") == "n\n30\n60\n"
    report = replay(job, run)
    assert (report["verdict"], report["counts"]["identical"]) == ("reproducible", 1)


@needs_papermill
def test_a_notebook_gets_the_recorded_parameters_and_runs_in_the_right_interpreter(job: Workshop) -> None:
    job.write("config/params.json", '{"factor": 5}')
    job.write(
        "table.ipynb",
        notebook("factor = 2", TABLE, f"import sys; assert sys.executable == {sys.executable!r}"),
    )
    job.commit()
    body = "p = pathlib.Path('data/processed/job'); p.mkdir(parents=True); (p / 'nb.csv').write_text('n\\n50\\n100\\n')"
    script = f"import pathlib; {body}"
    run, _ = record(job, sys.executable, "-c", script)
    rewrite(job, run, entrypoint="table.ipynb", args=[])
    report = replay(job, run)
    assert (report["verdict"], report["counts"]["identical"]) == ("reproducible", 1)


@needs_papermill
def test_a_cell_that_fails_is_a_pipeline_that_failed(job: Workshop) -> None:
    job.write("table.ipynb", notebook("factor = 2", "raise ValueError('no such county')"))
    job.commit()
    run, _ = record(job, sys.executable, "-m", "pkg.mod")
    rewrite(job, run, entrypoint="table.ipynb", args=[])
    report = replay(job, run, code=2)
    assert (report["verdict"], report["error"]["code"]) == ("unknown", "pipeline-failed")
    assert "no such county" in report["error"]["message"]
