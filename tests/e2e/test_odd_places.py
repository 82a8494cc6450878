"""Links, pipes, devices and folders where files are expected: collected, refused, or said; never a hang."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from workshop import Workshop, plain_python

pytestmark = pytest.mark.slow

JOB = (
    "import pathlib\ntext = pathlib.Path('data/raw/in.csv').read_text()\n"
    "out = pathlib.Path('{out}'); out.mkdir(parents=True, exist_ok=True)\n(out / 'a.csv').write_text(text)\n"
)


def made(shop: Workshop, out: str = "data/processed") -> Workshop:
    shop.write("data/raw/in.csv", "id\n1\n")
    shop.write("pipelines/job.py", JOB.format(out=out))
    return shop


def replay(shop: Workshop, run: str, code: int) -> Any:
    done = shop.kfm("replay", run, "--json")
    assert "Traceback" not in done.err
    assert done.code == code, done.out + done.err
    return done.json


@pytest.mark.parametrize("options", [(), ("--output", "out/**")])
def test_outputs_through_a_link_that_dangles_in_the_fresh_workspace_are_collected(
    workshop: Workshop, options: tuple[str, ...]
) -> None:
    made(workshop, out="out")
    (workshop.root / "data/processed").mkdir()
    (workshop.root / "out").symlink_to("data/processed")
    workshop.commit()
    run = workshop.record("--input", "data/raw/*", *options)
    report = replay(workshop, run, 0)
    expected = "out/a.csv" if options else "data/processed/a.csv"
    assert [(item["path"], item["verdict"]) for item in report["outputs"]] == [(expected, "identical")]
    assert not any("not compared" in note for note in report["scope"]["notes"])


def test_inputs_behind_a_tracked_link_are_laid_where_it_leads(workshop: Workshop) -> None:
    made(workshop)
    (workshop.root / "source").symlink_to("data/raw")
    workshop.write("pipelines/job.py", JOB.format(out="data/processed").replace("data/raw", "source"))
    workshop.commit()
    run = workshop.record("--input", "source/*")
    assert replay(workshop, run, 0)["counts"]["identical"] == 1


def test_a_data_root_that_is_a_link_within_the_project_brings_no_undeclared_data(workshop: Workshop) -> None:
    made(Workshop(workshop.root))
    workshop.write("store/raw/in.csv", "id\n1\n")
    workshop.write("store/raw/undeclared.csv", "id\n")
    workshop.write("kfm-repro.toml", 'data-roots = ["files"]\n')
    (workshop.root / "files").symlink_to("store")
    body = JOB.format(out="files/processed").replace("data/raw", "files/raw")
    workshop.write(
        "pipelines/job.py",
        body + "(out / 'b.txt').write_text(str(len(list(pathlib.Path('store/raw').iterdir()))))\n",
    )
    workshop.commit()
    run = workshop.record("--input", "files/raw/in.csv")
    report = replay(workshop, run, 1)
    verdicts = {item["path"]: item["verdict"] for item in report["outputs"]}
    assert verdicts == {"files/processed/a.csv": "identical", "files/processed/b.txt": "different"}


def test_a_data_root_that_links_to_the_project_itself_is_refused(workshop: Workshop) -> None:
    made(workshop)
    workshop.write("kfm-repro.toml", 'data-roots = ["here"]\n')
    (workshop.root / "here").symlink_to(".")
    workshop.commit()
    run = workshop.record("--input", "data/raw/*", "--output", "data/processed/**")
    error = replay(workshop, run, 2)["error"]
    assert error["code"] == "record-invalid"
    assert "links to the project itself" in error["message"]


def test_links_in_a_circle_are_no_crash(workshop: Workshop) -> None:
    made(workshop)
    for name in ("circle", "data/raw/circle", "data/processed/circle"):
        (workshop.root / name).parent.mkdir(exist_ok=True)
        (workshop.root / name).symlink_to("circle")
    workshop.commit()
    workshop.write("pipelines/job.py", JOB.format(out="data/processed") + "#\n")
    run = workshop.record()
    assert replay(workshop, run, 0)["counts"]["identical"] == 1
    assert workshop.kfm("diff", "data", "data").code == 0


def lay(path: Path, kind: str) -> None:
    """Put something that is no file at ``path``."""
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "folder":
        path.mkdir()
        (path / "inner.csv").write_text("id\n", encoding="utf-8")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as made_one:
            here = Path.cwd()
            os.chdir(path.parent)
            made_one.bind(path.name)
            os.chdir(here)
    else:
        path.symlink_to("/dev/zero") if kind == "link to a device" else os.mknod(
            path, 0o20666, os.makedev(1, 5)
        )


KINDS = ["folder", "pipe", "socket", "link to a device", "device"]


def limited(shop: Workshop, *args: str) -> tuple[int, Any]:
    """Run a command that must not hang; return its exit code and its document."""
    program = Path(sys.executable).with_name("kfm-repro")
    done = subprocess.run(
        [program, *args, "--json"], cwd=shop.root, capture_output=True, text=True, check=False, timeout=120
    )
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout)


@pytest.mark.parametrize("kind", KINDS)
def test_entries_that_name_no_file_are_clear_answers_and_no_hang(workshop: Workshop, kind: str) -> None:
    if kind == "device" and os.geteuid() != 0:
        pytest.skip("making a device needs root")
    made(workshop).commit()
    run = workshop.record("--input", "data/raw/*", "--output", "data/processed/**")
    entry = {"inputs": "data/raw/odd.csv", "outputs": "data/processed/odd.csv"}
    for which in ("inputs", "outputs"):
        lay(workshop.root / entry[which], kind)
        manifest = workshop.run_dir(run) / f"manifests/{which}.json"
        kept = manifest.read_text(encoding="utf-8")
        for digest in ({}, {"sha256": "0" * 64}):
            document = json.loads(kept)
            document[which].append({"path": entry[which], **digest})
            manifest.write_text(json.dumps(document), encoding="utf-8")
            code, answer = limited(workshop, "replay", run)
            if digest and which == "outputs" and kind != "link to a device":
                assert (code, answer["verdict"]) == (1, "not-reproducible")
                assert answer["counts"]["missing"] == 1
            else:
                assert code == 2
                assert answer["error"]["code"] in ("record-invalid", "input-missing", "path-unsafe")
                assert entry[which] in answer["error"]["message"]
        if which == "inputs":
            manifest.write_text(kept, encoding="utf-8")
    if kind != "pipe":
        return
    for command in (("verify", run), ("show", run), ("diff", run, run), ("pack", run), ("prov", run)):
        code, answer = limited(workshop, *command)
        assert code in (0, 1, 2), command
        assert answer.get("error", {}).get("code") != "internal", command


@pytest.mark.parametrize("kind", KINDS)
def test_recording_beside_what_is_no_file_neither_hangs_nor_fails(workshop: Workshop, kind: str) -> None:
    if kind == "device" and os.geteuid() != 0:
        pytest.skip("making a device needs root")
    made(workshop)
    workshop.commit()
    lay(workshop.root / "data/raw/odd.csv", kind)
    lay(workshop.root / "data/processed/odd.csv", kind)
    done = workshop.kfm("record", "--json", "--", plain_python(), "pipelines/job.py")
    assert done.code == 0, done.err
    code, answer = limited(workshop, "diff", "data/processed/a.csv", "data/processed/odd.csv")
    assert code == 2
    assert answer["error"]["code"] == "usage"
    assert workshop.kfm("replay", "latest:job").code == 0


def test_an_output_whose_folder_is_a_file_of_the_code_is_a_clear_error(workshop: Workshop) -> None:
    made(workshop).commit()
    run = workshop.record("--input", "data/raw/*", "--output", "data/processed/**")
    manifest = workshop.run_dir(run) / "manifests/outputs.json"
    for path, says in (("pipelines/job.py/a.csv", "part of its path is a file"), ("pipelines", "a folder")):
        workshop.edit_json(manifest, outputs=[{"path": path, "sha256": "0" * 64}])
        error = replay(workshop, run, 2)["error"]
        assert error["code"] == "record-invalid"
        assert says in error["message"]


LINKED = {
    "a link to a file": "(away / 'x.txt').write_text(os.urandom(9).hex()); (out / 'x.txt').symlink_to(away / 'x.txt')",
    "a link to nowhere": "(out / 'x.txt').symlink_to('nowhere')",
    "files behind a linked folder": "(out / 'sub').mkdir(exist_ok=True); (out / 'sub/x.txt').write_text('same')",
}


@pytest.mark.parametrize("how", LINKED)
def test_an_output_behind_a_link_out_of_the_project_is_recorded_as_unknown(
    workshop: Workshop, how: str, tmp_path: Path
) -> None:
    (tmp_path / "away").mkdir()
    (tmp_path / "away/old.txt").touch()
    workshop.write("data/processed/done.txt", "old")
    if "folder" in how:
        (workshop.root / "data/processed/sub").symlink_to(tmp_path / "away")
    head = (
        f"import os, pathlib\naway = pathlib.Path('{tmp_path}/away'); away.mkdir(parents=True, exist_ok=True)\n"
        "out = pathlib.Path('data/processed'); out.mkdir(parents=True, exist_ok=True)\n"
        "(out / 'done.txt').write_text('ok')\n"
    )
    workshop.write("pipelines/job.py", head + LINKED[how] + "\n")
    workshop.commit()
    done = workshop.kfm("record", "--json", "--", plain_python(), "pipelines/job.py")
    assert done.code == 0, done.err
    path = "data/processed/sub/x.txt" if "folder" in how else "data/processed/x.txt"
    assert any(f"leads out of the project or nowhere: {path};" in note for note in done.json["notes"])
    report = replay(workshop, "latest:job", 2)
    verdicts = {item["path"]: item["verdict"] for item in report["outputs"]}
    assert verdicts == {"data/processed/done.txt": "identical", path: "unknown"}
    (output,) = (item for item in report["outputs"] if item["path"] == path)
    assert "the content is not recorded" in output["findings"][0]["evidence"]


@pytest.mark.parametrize(
    ("body", "code", "verdicts"),
    [
        (
            "(out / 'b\\n.csv').write_text('x'); pathlib.Path(os.fsdecode(b'data/processed/\\xff')).touch()",
            1,
            {"data/processed/b\\n.csv": "extra", "data/processed/\\udcff": "extra"},
        ),
        ("(out / 'c.csv').symlink_to('/nowhere')", 2, {"data/processed/c.csv": "unknown"}),
    ],
)
def test_what_only_a_replay_writes_is_extra_by_an_odd_name_and_unknown_behind_a_link(
    workshop: Workshop, body: str, code: int, verdicts: dict[str, str]
) -> None:
    leak = f"import os\nif 'kfm-repro-' in os.environ['KFM_RUN_DIR']:\n    {body}\n"
    made(workshop).write("pipelines/job.py", JOB.format(out="data/processed") + leak)
    workshop.commit()
    outputs = replay(workshop, workshop.record("--input", "data/raw/*"), code)["outputs"]
    assert {item["path"]: item["verdict"] for item in outputs} == {
        "data/processed/a.csv": "identical",
        **verdicts,
    }
    rung = "value" if code == 1 else "unknown"
    found = [(item["kind"], item["rung"]) for output in outputs for item in output["findings"]]
    assert found == [("extra-output", rung)] * len(verdicts)
