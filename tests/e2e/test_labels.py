"""How restricted data is goes with it: into provenance, into replays, into packs and what is made of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from workshop import Workshop

LEAKY = """
import os, pathlib
out = pathlib.Path("data/processed"); out.mkdir(parents=True, exist_ok=True)
text = pathlib.Path("data/raw/in.csv").read_text(encoding="utf-8")
(out / "out.csv").write_text(text + "site-" + os.urandom(8).hex() + ",1\\n", encoding="utf-8")
(out / "free.csv").write_text(text, encoding="utf-8")
"""
PLACE = "site-"


@pytest.fixture
def job(workshop: Workshop) -> Workshop:
    workshop.write("pipelines/job.py", LEAKY)
    workshop.write(".gitignore", "data/\n")
    workshop.commit()
    workshop.write("data/raw/in.csv", "id,n\na,1\n")
    return workshop


def record(shop: Workshop) -> str:
    return shop.record("--input", "data/raw/in.csv", "--output", "data/processed/**")


def label(shop: Workshop, path: str, **fields: Any) -> None:
    shop.write(f"{path}.meta.json", json.dumps(fields))


def edit(shop: Workshop, run: str, which: str, path: str, **fields: Any) -> None:
    manifest = shop.run_dir(run) / f"manifests/{which}.json"
    document = json.loads(manifest.read_text())
    next(entry for entry in document[which] if entry["path"] == path).update(fields)
    manifest.write_text(json.dumps(document))


def entry(shop: Workshop, run: str, which: str, path: str) -> dict[str, Any]:
    document = json.loads((shop.run_dir(run) / f"manifests/{which}.json").read_text())
    return next(item for item in document[which] if item["path"] == path)


def entities(shop: Workshop, run: str) -> dict[str, dict[str, Any]]:
    """Return the Entities of a run's PROV record by path."""
    done = shop.kfm("prov", run, "--json")
    assert done.code == 0, done.err
    graph = json.loads((shop.root / done.json["path"]).read_text())["@graph"]
    return {node["kfm:path"]: node for node in graph if "kfm:path" in node}


def said(node: dict[str, Any]) -> tuple[Any, Any]:
    return node.get("kfm:sensitivity"), node.get("kfm:license")


def test_rule_22_sensitivity_and_licence_come_from_manifests_sidecars_and_settings(job: Workshop) -> None:
    job.write(
        "kfm-repro.toml",
        '[inputs."data/raw/*"]\nlabel = "internal"\nlicense = "CC0-1.0"\n'
        '[outputs."*.csv"]\nlabel = "internal"\nlicense = "MIT"\n',
    )
    run = record(job)
    label(job, "data/raw/in.csv", **{"kfm:sensitivity": "sensitive", "properties": {"license": "CC-BY-4.0"}})
    edit(job, run, "outputs", "data/processed/free.csv", classification="public", license_spdx="ODbL-1.0")
    found = entities(job, run)
    assert said(found["data/raw/in.csv"]) == ("sensitive", "CC-BY-4.0")
    assert said(found["data/processed/out.csv"]) == ("internal", "MIT")
    assert said(found["data/processed/free.csv"]) == ("internal", "ODbL-1.0")


def test_rule_22_what_is_not_known_is_not_in_the_provenance(job: Workshop) -> None:
    run = record(job)
    job.write("data/raw/in.csv.meta.json", "{ not JSON")
    edit(job, run, "outputs", "data/processed/out.csv", sensitivity=7, license=["a", "list"])
    assert {said(node) for node in entities(job, run).values()} == {(None, None)}


def test_rule_17_a_replay_keeps_the_recorded_labels_and_withholds_what_they_do(job: Workshop) -> None:
    run = record(job)
    out = "data/processed/out.csv"
    edit(
        job, run, "outputs", out, **{"kfm:sensitivity": "restricted", "license": "CC-BY-4.0", "colour": "red"}
    )
    edit(job, run, "inputs", "data/raw/in.csv", classification="internal")
    done = job.kfm("replay", run, "--json")
    assert (done.code, PLACE in done.out) == (1, False)
    replay = done.json["replays"][0]["run_id"]
    kept = entry(job, replay, "outputs", out)
    assert (kept["kfm:sensitivity"], kept["license"]) == ("restricted", "CC-BY-4.0")
    assert "colour" not in kept
    assert entry(job, replay, "inputs", "data/raw/in.csv")["classification"] == "internal"
    assert "license" not in entry(job, replay, "outputs", "data/processed/free.csv")
    again = job.kfm("diff", replay, job.kfm("replay", run, "--json").json["replays"][0]["run_id"], "--json")
    assert (again.code, PLACE in again.out) == (1, False)
    error = job.kfm("pack", replay, "--json").json["error"]
    assert error["code"] == "not-disclosed"
    assert said(entities(job, replay)[out]) == ("restricted", "CC-BY-4.0")


def test_rule_17_labels_of_sidecars_go_along_with_a_pack(job: Workshop, tmp_path: Path) -> None:
    run = record(job)
    out = "data/processed/out.csv"
    label(job, out, sensitivity="restricted")
    assert job.kfm("pack", run, "--bundle", "--json").json["error"]["code"] == "not-disclosed"
    done = job.kfm("pack", run, "--bundle", "--restricted", "--output", str(tmp_path / "run.zip"))
    assert done.code == 0, done.err
    there = Workshop(tmp_path / "there")
    assert Workshop(tmp_path).kfm("unpack", "run.zip", "--into", "there").code == 0
    done = there.kfm("replay", run, "--trust", "--json")
    assert (done.code, PLACE in done.out) == (1, False), done.err
    replay = done.json["replays"][0]["run_id"]
    assert entry(there, replay, "outputs", out)["label"] == "restricted"
    for name in (run, replay):
        assert there.kfm("pack", name, "--json").json["error"]["code"] == "not-disclosed"
        assert said(entities(there, name)[out]) == ("restricted", None)
    lines = {line["name"]: line["reason"] for line in there.kfm("verify", run, "--json").json["lines"]}
    assert "has no label" in lines["labels"]
    again = there.kfm("pack", run, "--bundle", "--restricted", "--output", str(tmp_path / "again.zip"))
    assert again.code == 0, again.err
    assert (tmp_path / "again.zip").read_bytes() == (tmp_path / "run.zip").read_bytes()


def test_rule_17_without_labels_values_are_shown(job: Workshop) -> None:
    """What the tests above look for is there when nothing withholds it."""
    done = job.kfm("replay", record(job), "--json")
    assert (done.code, PLACE in done.out) == (1, True)


MORE = """
import os, pathlib
out = pathlib.Path("data/processed"); out.mkdir(parents=True, exist_ok=True)
(out / "a.csv").write_text("id\\n1\\n", encoding="utf-8")
if "kfm-repro-" in os.environ["KFM_RUN_DIR"]:
    (out / "sites.csv").write_text("id,lat\\n1,38.765432\\n2,38.9\\n", encoding="utf-8")
"""


def test_rule_17_an_output_that_only_the_replay_wrote_shows_no_values(workshop: Workshop) -> None:
    workshop.write("pipelines/job.py", MORE)
    workshop.write("data/raw/in.csv", "id,n\na,1\n")
    workshop.write("kfm-repro.toml", '[outputs."data/processed/sites.csv"]\nlabel = "sensitive"\n')
    workshop.commit()
    run = workshop.record("--input", "data/raw/in.csv", "--output", "data/processed/**")
    done = workshop.kfm("replay", run, "--json")
    assert done.code == 1, done.err
    assert {item["path"]: item["verdict"] for item in done.json["outputs"]} == {
        "data/processed/a.csv": "identical",
        "data/processed/sites.csv": "extra",
    }
    folder = workshop.run_dir(done.json["replays"][0]["run_id"])
    schema = (folder / "validation/schema_report.json").read_text()
    assert "data/processed/sites.csv" in schema
    assert not [
        path for path in folder.rglob("*") if path.is_file() and "38.765432" in path.read_text("utf-8")
    ]
    assert "38.765432" not in done.out
