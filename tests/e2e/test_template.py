"""The user's template record, written by hand, through every command: the right answer and exit code of each."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import rdflib
from workshop import REPOSITORY, Workshop

SCHEMA = json.loads((REPOSITORY / "docs/schema/report-1.json").read_text(encoding="utf-8"))
RUN = "2026-02-03T21-14-08Z__import_census__89611ff"
LATEST = "latest:import_census"
PROV = "data/prov/import_census/2026-02-03/import_census__run.jsonld"
OUTPUTS = ["data/processed/census/1900_population.geojson", "data/processed/census/summary.csv"]
INPUT = "data/raw/census_1900/census_1900.csv"


def answer(shop: Workshop, *args: str, code: int, cwd: Path | None = None) -> dict[str, Any]:
    """Return the JSON answer of a command that must exit with ``code``."""
    verb, *words = args
    done = shop.kfm(verb, "--json", *words, cwd=cwd)
    assert done.code == code, done.out + done.err
    jsonschema.validate(done.json, SCHEMA)
    document: dict[str, Any] = done.json
    assert (document["schema"], document["command"]) == ("kfm-repro.report/1", verb)
    return document


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def record_of(shop: Workshop) -> dict[str, str]:
    """Return what the record consists of, without the marks that packing and unpacking leave."""
    folder = shop.run_dir(RUN)
    marks = {"status.json", "foreign.json"}
    return {
        path.relative_to(folder).as_posix(): digest(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in marks
    }


def test_the_template_is_listed(template: Workshop) -> None:
    document = answer(template, "list", code=0)
    (run,) = document["runs"]
    assert (run["run_id"], run["pipeline"], run["state"], run["partial"]) == (
        RUN,
        "import_census",
        "success",
        False,
    )
    assert (run["started_at"], run["replay_of"]) == ("2026-02-03T21:14:08.000Z", None)
    assert (document["total"], document["notes"]) == (1, [])


def test_the_template_is_shown_with_all_that_it_says(template: Workshop) -> None:
    shown = answer(template, "show", LATEST, code=0)
    assert shown["problems"] == []
    assert shown["run"]["duration_s"] == 276
    said = [shown[key] for key in ("git_commit", "repo_dirty", "entrypoint", "host", "runner", "invoked_by")]
    assert said == ["89611ff", False, "pipelines/import_census.py", "devbox-01", "local", "admin"]
    assert [(item["path"], item["records"]) for item in shown["outputs"]["files"]] == list(
        zip(OUTPUTS, [105, 4], strict=True)
    )
    assert [item["path"] for item in shown["inputs"]["files"]] == [INPUT]
    assert {item["name"]: item["status"] for item in shown["validation"]} == {
        "schema_report.json": "pass", "geometry_report.json": "pass", "policy_gate.json": "pass",
    }  # fmt: skip
    assert shown["variables"] == {}


def test_rule_25_the_template_is_reproducible_and_not_publishable(template: Workshop) -> None:
    verified = answer(template, "verify", LATEST, code=1)
    assert verified["verdict"] == "not-publishable"
    assert [item["state"] for item in verified["lines"]] == [*["pass"] * 5, "fail", "fail", "unknown"]
    assert verified["secrets"]["state"] == "pass"
    replayed = answer(template, "replay", LATEST, code=0)
    assert (replayed["verdict"], replayed["counts"]["identical"]) == ("reproducible", 2)


@pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated")  # rdflib's own parser
def test_the_template_gets_its_provenance_where_it_says(template: Workshop) -> None:
    answer(template, "prov", LATEST, code=0)
    graph = rdflib.Graph().parse(template.root / PROV, format="json-ld")
    prov, kfm = rdflib.Namespace("http://www.w3.org/ns/prov#"), "kfm#run_id"
    (activity,) = graph.subjects(rdflib.RDF.type, prov.Activity)
    assert [str(value) for key, value in graph.predicate_objects(activity) if str(key).endswith(kfm)] == [RUN]
    assert len(list(graph.objects(activity, prov.used))) == 1
    assert len(list(graph.subjects(prov.wasGeneratedBy, activity))) == 2
    line = answer(template, "verify", LATEST, code=1)["lines"][6]
    assert (line["number"], line["state"], line["files"]) == (7, "pass", [PROV])


def test_the_template_replays_as_it_was_recorded(template: Workshop) -> None:
    before = record_of(template)
    report = answer(template, "replay", RUN[:12], code=0)
    run = {name: report["run"][name] for name in ("run_id", "pipeline", "git_commit", "source")}
    assert run == {
        "run_id": RUN, "pipeline": "import_census", "git_commit": "89611ff", "source": "pipelines/import_census.py",
    }  # fmt: skip
    assert {item["path"]: item["verdict"] for item in report["outputs"]} == dict.fromkeys(
        OUTPUTS, "identical"
    )
    states = {item["name"]: item["state"] for item in report["preconditions"]}
    assert (
        states.items()
        >= {"code": "ok", "inputs": "ok", "environment": "assumed", "interpreter": "assumed"}.items()
    )
    assert "error" not in report
    assert record_of(template) == before
    assert answer(template, "show", LATEST, code=0)["verdicts"] == {
        report["replays"][0]["run_id"]: "reproducible"
    }


def test_the_template_travels_in_a_pack_and_replays_in_another_project(
    template: Workshop, tmp_path: Path
) -> None:
    before = record_of(template)
    packed = answer(template, "pack", LATEST, "--bundle", "--output", str(tmp_path / "run.zip"), code=0)
    assert packed["contents"] == ["record", "outputs", "inputs", "code"]
    assert record_of(template) == before
    other = Workshop(tmp_path / "another project")
    other.write("kfm-repro.toml", "")
    other.write(".gitignore", "data/\n")
    other.write("pipelines/import_census.py", "raise SystemExit('this project has other code')\n")
    other.commit()
    unpacked = answer(other, "unpack", str(tmp_path / "run.zip"), code=0)
    assert unpacked["run"]["run_id"] == RUN
    assert record_of(other) == before
    assert answer(other, "list", code=0)["runs"][0]["state"] == "success"
    refused = answer(other, "replay", RUN, "--isolation", "none", code=2)
    assert (refused["verdict"], refused["error"]["code"]) == ("unknown", "not-trusted")
    report = answer(other, "replay", RUN, "--trust", code=0)
    assert (report["verdict"], report["counts"]["identical"]) == ("reproducible", 2)


@pytest.mark.parametrize("bundle", [True, False], ids=["with code and data", "record only"])
def test_the_template_is_unpacked_into_a_new_folder(
    template: Workshop, tmp_path: Path, *, bundle: bool
) -> None:
    options = ["--bundle"] if bundle else []
    answer(template, "pack", LATEST, *options, "--output", str(tmp_path / "run.zip"), code=0)
    there = Workshop(tmp_path / "new folder")
    answer(template, "unpack", str(tmp_path / "run.zip"), "--into", str(there.root), code=0)
    assert record_of(there) == record_of(template)
    assert answer(there, "show", LATEST, code=0)["problems"] == []
    report = answer(there, "replay", LATEST, "--trust", code=0 if bundle else 2)
    said = (report["verdict"], report.get("error", {}).get("code"))
    assert said == (("reproducible", None) if bundle else ("unknown", "code-unavailable"))
