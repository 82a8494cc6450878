"""From a command line to a recorded entrypoint, and back to what runs."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kfm_repro.errors import KfmReproError, NotReplayable
from kfm_repro.execute.command import Entrypoint, build_command, describe_command
from kfm_repro.execute.placeholders import fill, fill_shell, folder_of, input_values
from kfm_repro.model.run import Pipeline


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["python", "p/x.py", "--n", "1"], Entrypoint("p/x.py", ("--n", "1"))),
        (["/opt/venv/bin/python3.12", "x.py"], Entrypoint("x.py")),
        (["python3", "-m", "pkg.mod", "a"], Entrypoint("pkg.mod", ("a",))),
        (["make", "tables"], Entrypoint("make:tables")),
        (["make", "-j4", "tables"], Entrypoint("sh: make -j4 tables")),
        (["make", "tables", "YEAR=1900"], Entrypoint("make:tables", ("YEAR=1900",))),
        (["make", "tables", "maps"], Entrypoint("sh: make tables maps")),
        (
            ["papermill", "n/in.ipynb", "out.ipynb", "-p", "y", "1"],
            Entrypoint("n/in.ipynb", ("out.ipynb", "-p", "y", "1")),
        ),
        (
            ["python3", "-m", "papermill", "/srv/project/in.ipynb", "-"],
            Entrypoint("papermill", ("{root}/in.ipynb", "-")),
        ),
        (
            ["/opt/venv/bin/papermill", "/srv/project/in.ipynb", "/srv/project/o.ipynb"],
            Entrypoint("in.ipynb", ("{root}/o.ipynb",)),
        ),
        (["papermill", "--help"], Entrypoint("sh: papermill --help")),
        (
            ["papermill", "/elsewhere/in.ipynb", "o.ipynb"],
            Entrypoint("sh: papermill /elsewhere/in.ipynb o.ipynb"),
        ),
        (["python", "-I", "x.py"], Entrypoint("sh: python -I x.py")),
        (["python", "/elsewhere/x.py"], Entrypoint("sh: python /elsewhere/x.py")),
        (["ogr2ogr", "-f", "GPKG", "a b.gpkg"], Entrypoint("sh: ogr2ogr -f GPKG 'a b.gpkg'")),
    ],
)
def test_a_command_line_is_recorded_as_what_it_is(argv: list[str], expected: Entrypoint) -> None:
    assert describe_command(argv, Path("/srv/project")) == expected


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "x.py").write_text("import sys; print('script', sys.argv[1:])\n", encoding="utf-8")
    (tmp_path / "pkg/__init__.py").write_text("", encoding="utf-8")
    (tmp_path / "pkg/mod.py").write_text(
        "import sys\ndef main(): print('function')\nif __name__ == '__main__': print('module', sys.argv[1:])\n",
        encoding="utf-8",
    )
    (tmp_path / "sub").mkdir()
    (tmp_path / "both").mkdir()
    for name in ("sub/x.py", "both.py", "both/py.py", "maps", "maps.py"):
        (tmp_path / name).write_text("", encoding="utf-8")
    (tmp_path / "Makefile").write_text("tables:\n\t@echo target\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("entrypoint", "args", "says"),
    [
        ("x.py", ("a b", "{config}/c.yaml"), "script ['a b', '/snap/c.yaml']"),
        ("pkg.mod", ("1",), "module ['1']"),
        ("pkg.mod:main", (), "function"),
        ("make:tables", (), "target"),
        ("make:tables", ("-f", "Makefile", "X=1"), "target"),
        ("json.tool", ("--help",), "usage: python -m json.tool"),
        ("sub/x.py", (), ""),
        ("sh: echo {run} && echo two", (), "/run/dir\ntwo"),
        ("sh: echo", ("$HOME",), "$HOME"),
    ],
)
def test_every_entrypoint_runs(workspace: Path, entrypoint: str, args: tuple[str, ...], says: str) -> None:
    pipeline = Pipeline(entrypoint=entrypoint, args=args)
    argv = build_command(pipeline, workspace, sys.executable, {"config": "/snap", "run": "/run/dir"})
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(argv, cwd=workspace, env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.strip().startswith(says) if says else not done.stdout


@pytest.mark.parametrize(
    ("pipeline", "says"),
    [
        (Pipeline(), "no pipeline.entrypoint"),
        (Pipeline(entrypoint="gone.py"), "not in the recorded code"),
        (Pipeline(entrypoint="../x.py"), "climbs out"),
        (Pipeline(entrypoint="/bin/sh"), "is none of"),
        (Pipeline(entrypoint="run the thing"), "is none of"),
        (Pipeline(entrypoint="report.ipynb"), "not in the recorded code"),
        (Pipeline(entrypoint="pkg.gone"), "neither in the recorded code"),
        (Pipeline(entrypoint="gone.mod"), "neither in the recorded code"),
        (Pipeline(entrypoint="pkg.gone:main"), "neither in the recorded code"),
        (Pipeline(entrypoint="pkg"), "no __main__"),
        (Pipeline(entrypoint="make:tables", cwd="sub"), "no makefile"),
        (
            Pipeline(entrypoint="x.py", cwd="sub"),
            "ambiguous: there is one in the root and another one in sub/",
        ),
        (Pipeline(entrypoint="both.py"), "ambiguous: it names a script and a module"),
        (Pipeline(entrypoint="maps"), "ambiguous: it names a script and a module"),
        (Pipeline(entrypoint="x.py", args=("{inputs.census}",)), "placeholder"),
        (Pipeline(entrypoint="x.py", cwd="nowhere"), "working folder"),
        (Pipeline(entrypoint="x.py", cwd="/tmp"), "absolute"),  # noqa: S108 - a path that is refused
    ],
)
def test_what_cannot_be_replayed_says_why(workspace: Path, pipeline: Pipeline, says: str) -> None:
    with pytest.raises(KfmReproError, match=says) as caught:
        build_command(pipeline, workspace, sys.executable, {})
    assert caught.value.hint


def test_a_replay_gets_no_input_by_an_ambiguous_name() -> None:
    values = input_values(["raw/a/census.csv", "raw/b/census.csv", "raw/roads.gpkg", "raw/roads"])
    assert fill("{inputs.roads.gpkg}", values) == "raw/roads.gpkg"
    assert fill("{inputs.raw/b/census.csv} {literal:inputs.x}", values) == "raw/b/census.csv {inputs.x}"
    for name in ("census", "census.csv", "roads"):
        with pytest.raises(NotReplayable, match=r"ambiguous: raw/.* and raw/"):
            fill(f"{{inputs.{name}}}", values)
    with pytest.raises(NotReplayable, match="ambiguous: a and b"):
        fill("{outputs}/x", {"outputs": folder_of(["a/x", "b/y"])})
    assert fill("{outputs}/x", {"outputs": folder_of(["a/x", "a/y"])}) == "a/x"


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=20))
@example('it\'s a "$HOME" `date` \\ * place\n')
@settings(max_examples=25)
def test_a_placeholder_in_a_shell_line_stays_part_of_its_word(value: str) -> None:
    line = r"""printf '[%s]' x{root}y 'a {root}' "b {root}" \"{root} it\'s {root}"""
    done = subprocess.run(
        ["/bin/sh", "-c", fill_shell(line, {"root": value})], capture_output=True, check=True
    )
    assert done.stdout.decode() == f"[x{value}y][a {value}][b {value}][\"{value}][it's][{value}]"


FUNCTIONS = """
import asyncio, sys
def nothing(): pass
def zero(): return 0
def three(): return 3
def text(): return "data/processed/out.csv"
def true(): return True
def leaves(): sys.exit(4)
def complains(): sys.exit("no licence")
def raises(): raise ValueError("bad county")
def named(year, place="here"): print(year, place)
def whole(params): print(sorted(params))
def needs(year, county): pass
def anything(*args, **kwargs): print(args, kwargs)
def only(year, /): print(year)
async def later(year): await asyncio.sleep(0); print(year)
def line(): print(sys.argv)
class Holder:
    @staticmethod
    def method(): print("method")
method = Holder.method
constant = 5
"""


@pytest.mark.parametrize(
    ("name", "code", "says"),
    [
        ("nothing", 0, ""),
        ("zero", 0, ""),
        ("three", 3, ""),
        ("text", 0, ""),
        ("true", 0, ""),
        ("leaves", 4, ""),
        ("complains", 1, "no licence"),
        ("raises", 1, "bad county"),
        ("named", 0, "1900 there"),
        ("whole", 0, "['place', 'unused', 'year']"),
        ("needs", 1, "pkg.work:needs needs the parameter 'county', which params.json does not have"),
        ("anything", 0, "() {}"),
        ("only", 0, "1900"),
        ("later", 0, "1900"),
        ("line", 0, "['pkg.work:line', '--flag']"),
        ("method", 0, "method"),
        ("constant", 1, "not callable"),
        ("absent", 1, "absent"),
    ],
)
def test_a_function_gets_the_parameters_that_it_names_and_its_number_is_the_exit_code(
    workspace: Path, name: str, code: int, says: str
) -> None:
    (workspace / "pkg/work.py").write_text(FUNCTIONS, encoding="utf-8")
    params = workspace / "params.json"
    params.write_text('{"year": 1900, "place": "there", "unused": 1}', encoding="utf-8")
    argv = build_command(
        Pipeline(entrypoint=f"pkg.work:{name}", args=("--flag",)), workspace, sys.executable, {}
    )
    environ = {**os.environ, "KFM_PARAMS": str(params)}
    done = subprocess.run(argv, cwd=workspace, env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, says in done.stdout + done.stderr) == (code, True), done.stderr


def test_a_module_may_come_from_where_the_interpreter_will_import_from(workspace: Path) -> None:
    (workspace / "src/tool").mkdir(parents=True)
    (workspace / "src/tool/run.py").write_text("", encoding="utf-8")
    pipeline = Pipeline(entrypoint="tool.run")
    with pytest.raises(NotReplayable, match="neither in the recorded code"):
        build_command(pipeline, workspace, sys.executable, {})
    assert build_command(pipeline, workspace, sys.executable, {}, [workspace / "src"])[1:] == [
        "-m",
        "tool.run",
    ]


def test_a_notebook_without_papermill_is_one_clear_line(workspace: Path, tmp_path_factory: Any) -> None:
    (workspace / "n.ipynb").write_text("{}", encoding="utf-8")
    bare = tmp_path_factory.mktemp("bare")
    venv.create(bare, with_pip=False)
    with pytest.raises(NotReplayable, match=r"n\.ipynb needs papermill and ipykernel in") as caught:
        build_command(Pipeline(entrypoint="n.ipynb"), workspace, str(bare / "bin/python"), {"run": "/run"})
    assert "pip install papermill ipykernel" in caught.value.hint
