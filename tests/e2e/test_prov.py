"""``kfm-repro prov`` (rule 22): read back by rdflib, as any user of linked data would."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from rdflib import PROV, RDF, Graph, Literal, Namespace, URIRef
from workshop import REPOSITORY, Done, Workshop

pytestmark = pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated")  # rdflib's own parser

KFM = Namespace("https://kansasfrontiermatrix.org/ns/kfm#")
COPY = """
import os, pathlib
out = pathlib.Path("data/processed"); out.mkdir(parents=True, exist_ok=True)
text = pathlib.Path("data/raw/in put.csv").read_text() + os.environ.get("ADD", "")
out.joinpath("out.csv").write_text(text)
"""


@pytest.fixture
def job(workshop: Workshop) -> Workshop:
    workshop.write("data/raw/in put.csv", "id,n\n1,10\n")
    workshop.write("pipelines/job.py", COPY)
    workshop.commit()
    return workshop


def record(shop: Workshop) -> str:
    return shop.record("--input", "data/raw/*", "--output", "data/processed/**")


def prov(shop: Workshop, run: str, *args: str, code: int = 0) -> dict[str, Any]:
    done = shop.kfm("prov", run, "--json", *args)
    assert done.code == code, done.out + done.err
    schema = json.loads((REPOSITORY / "docs/schema/report-1.json").read_text(encoding="utf-8"))
    jsonschema.validate(done.json, schema)
    return done.json


def graph_of(shop: Workshop, answer: dict[str, Any]) -> Graph:
    return Graph().parse(shop.root / answer["path"], format="json-ld")


def activity_of(graph: Graph, run: str) -> URIRef:
    (node,) = graph.subjects(KFM.run_id, Literal(run))
    assert isinstance(node, URIRef)
    assert (node, RDF.type, PROV.Activity) in graph
    return node


def sha256_of(graph: Graph, node: Any) -> str:
    return json.loads(str(graph.value(node, KFM.hash)))["sha256"]


def digest(shop: Workshop, path: str) -> str:
    return hashlib.sha256((shop.root / path).read_bytes()).hexdigest()


def test_rule_22_every_input_is_used_and_every_output_generated_by_the_activity(job: Workshop) -> None:
    run = record(job)
    answer = prov(job, run)
    assert answer["written"] is True
    day = job.run_dir(run).joinpath("run.yaml").read_text(encoding="utf-8").split('started_at: "')[1][:10]
    assert answer["path"] == f"data/prov/job/{day}/job__{run}.jsonld"
    graph = graph_of(job, answer)
    activity = activity_of(graph, run)
    (used,) = graph.objects(activity, PROV.used)
    assert sha256_of(graph, used) == digest(job, "data/raw/in put.csv")
    assert str(graph.value(used, KFM.path)) == "data/raw/in put.csv"
    (made,) = graph.subjects(PROV.wasGeneratedBy, activity)
    assert sha256_of(graph, made) == digest(job, "data/processed/out.csv")
    assert {(n, RDF.type, PROV.Entity) in graph for n in (used, made)} == {True}


def test_rule_22_the_activity_says_when_which_code_and_in_what(job: Workshop) -> None:
    run = record(job)
    graph = graph_of(job, prov(job, run))
    activity = activity_of(graph, run)
    started, ended = graph.value(activity, PROV.startedAtTime), graph.value(activity, PROV.endedAtTime)
    assert started.toPython() < ended.toPython()
    code = json.loads(str(graph.value(activity, KFM.code_ref)))
    assert code == {"git_commit": job.git("rev-parse", "HEAD"), "repo_dirty": False}
    environment = json.loads(str(graph.value(activity, KFM.environment)))
    fingerprint = job.run_dir(run) / "environment/fingerprint.json"
    assert environment["fingerprint_sha256"] == hashlib.sha256(fingerprint.read_bytes()).hexdigest()
    assert environment["python"].startswith("3.")


def test_rule_22_agents_are_who_invoked_it_and_kfm_repro_itself(template: Workshop) -> None:
    answer = prov(template, "latest:import_census")
    assert answer["path"] == "data/prov/import_census/2026-02-03/import_census__run.jsonld"
    graph = graph_of(template, answer)
    (activity,) = graph.subjects(RDF.type, PROV.Activity)
    labels = {
        str(graph.value(agent, URIRef(f"{PROV}label")))
        for agent in graph.objects(activity, PROV.wasAssociatedWith)
    }
    assert labels == {"admin", f"kfm-repro {answer_version()}"}


def answer_version() -> str:
    from importlib.metadata import version

    return version("kfm-repro")


@pytest.mark.parametrize(("add", "verdict", "code"), [("", "reproducible", 0), ("x", "not-reproducible", 1)])
def test_rule_22_a_replay_is_linked_to_its_original_with_the_verdict(
    job: Workshop, add: str, verdict: str, code: int
) -> None:
    job.write(
        "pipelines/job.py",
        COPY.replace(
            'os.environ.get("ADD", "")', f'("{add}" if "kfm-repro-" in os.environ["KFM_RUN_DIR"] else "")'
        ),
    )
    job.commit()
    run = record(job)
    replayed = job.kfm("replay", run, "--json")
    assert replayed.code == code
    fresh = replayed.json["replays"][0]["run_id"]
    graph = graph_of(job, prov(job, run)) + graph_of(job, prov(job, fresh))
    replay, original = activity_of(graph, fresh), activity_of(graph, run)
    assert (replay, PROV.wasInformedBy, original) in graph
    assert str(graph.value(replay, KFM.verdict)) == verdict
    assert graph.value(original, KFM.verdict) is None


def test_rule_22_a_record_is_never_rewritten_and_a_second_time_says_so(job: Workshop) -> None:
    run = record(job)
    answer = prov(job, run)
    path = job.root / answer["path"]
    before = (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino)
    manifest = job.run_dir(run) / "manifests/outputs.json"
    job.edit_json(manifest, outputs=[])
    again = prov(job, run)
    assert again["written"] is False
    assert again["path"] == answer["path"]
    assert (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino) == before
    assert "there already" in job.kfm("prov", run).out


def test_rule_22_a_target_taken_by_another_run_is_left_and_the_id_added(template: Workshop) -> None:
    (run,) = (template.root / "data/work/runs/import_census").iterdir()
    target = template.write(
        "data/prov/import_census/2026-02-03/import_census__run.jsonld",
        '{"@graph": [{"@id": "x:1", "@type": "prov:Activity", "kfm:run_id": "another"}]}',
    )
    before = target.read_bytes()
    answer = prov(template, run.name)
    assert answer["path"] == f"data/prov/import_census/2026-02-03/import_census__run__{run.name}.jsonld"
    assert target.read_bytes() == before
    assert prov(template, run.name)["written"] is False
    activity_of(graph_of(template, answer), run.name)


def test_rule_22_a_run_has_provenance_only_when_an_activity_carries_its_id(template: Workshop) -> None:
    (run,) = (template.root / "data/work/runs/import_census").iterdir()
    mention = {"@graph": [{"@id": "x:1", "@type": "prov:Entity", "kfm:run_id": run.name}]}
    template.write("data/prov/elsewhere.jsonld", json.dumps(mention))
    assert prov(template, run.name)["written"] is True


@pytest.mark.parametrize(
    "document",
    [
        {"@graph": [{"@id": "x:1", "@type": ["prov:Activity", "kfm:Run"], "kfm:run_id": {"@value": "RUN"}}]},
        {"activity": {"kfm:act:1": {"kfm:run_id": "RUN"}}},
        {"prov:activity": [{"@type": "prov:Activity", "kfm:run_id": "RUN"}]},
        [{"@type": "http://www.w3.org/ns/prov#Activity",
          "https://kansasfrontiermatrix.org/ns/kfm#run_id": [{"@value": "RUN"}]}],
    ],
    ids=["json-ld", "prov-json", "key", "expanded"],
)  # fmt: skip
def test_rule_22_provenance_that_the_pipeline_wrote_itself_counts(template: Workshop, document: Any) -> None:
    (run,) = (template.root / "data/work/runs/import_census").iterdir()
    template.write("data/provenance/census/prov.json", json.dumps(document).replace("RUN", run.name))
    answer = prov(template, run.name)
    assert answer["written"] is False
    assert answer["path"] == "data/provenance/census/prov.json"


def test_rule_22_licence_and_sensitivity_are_carried_where_known(template: Workshop) -> None:
    (run,) = (template.root / "data/work/runs/import_census").iterdir()
    manifest = run / "manifests/outputs.json"
    document = json.loads(manifest.read_text(encoding="utf-8"))
    document["outputs"][0] |= {"license": "CC-BY-4.0", "sensitivity": "restricted"}
    manifest.write_text(json.dumps(document), encoding="utf-8")
    graph = graph_of(template, prov(template, run.name))
    (entity,) = graph.subjects(KFM.sensitivity, Literal("restricted"))
    assert str(graph.value(entity, KFM.license)) == "CC-BY-4.0"
    assert str(graph.value(entity, KFM.path)) == document["outputs"][0]["path"]


def test_a_run_that_was_cut_off_has_provenance_that_says_so(job: Workshop) -> None:
    run = job.root / "data/work/runs/job/01AAA"
    run.mkdir(parents=True)
    run.joinpath("status.json").write_text('{"state": "aborted", "started_at": "2026-01-02T03:04:05.000Z"}')
    graph = graph_of(job, prov(job, "01AAA"))
    activity = activity_of(graph, "01AAA")
    assert str(graph.value(activity, KFM.state)) == "aborted"
    assert {str(o) for o in graph.objects(activity, KFM.missing)} == {
        "manifests/inputs.json", "manifests/outputs.json",
    }  # fmt: skip


def test_a_run_that_still_runs_gets_no_provenance(job: Workshop) -> None:
    run = job.root / "data/work/runs/job/01AAA"
    run.mkdir(parents=True)
    run.joinpath("status.json").write_text(json.dumps({"state": "running", "pid": os.getpid()}))
    assert prov(job, "01AAA", code=2)["error"]["code"] == "run-inconsistent"
    assert not (job.root / "data/prov").exists()


@pytest.mark.parametrize(
    "target", ["../out.jsonld", "/out.jsonld", "pipelines/job.py", "link/out.jsonld", ".git/x.json"]
)
def test_a_hostile_target_is_refused_and_nothing_written(
    template: Workshop, tmp_path: Path, target: str
) -> None:
    (run,) = (template.root / "data/work/runs/import_census").iterdir()
    (template.root / "link").symlink_to(tmp_path)
    text = (run / "run.yaml").read_text(encoding="utf-8")
    taken = text.replace("data/prov/import_census/2026-02-03/import_census__run.jsonld", target)
    assert taken != text
    (run / "run.yaml").write_text(taken, encoding="utf-8")
    before = sorted(tmp_path.rglob("*"))
    answer = prov(template, run.name, code=2)
    assert answer["error"]["code"] == "path-unsafe"
    assert [path for path in sorted(tmp_path.rglob("*")) if ".prune.lock" not in path.name] == before


def test_the_record_is_the_same_bytes_wherever_and_however_it_is_made(
    template: Workshop, tmp_path: Path
) -> None:
    def made(env: dict[str, str], cwd: Path) -> bytes:
        done: Done = template.kfm(
            "prov", "latest:import_census", "--json", "--root", str(template.root), env=env, cwd=cwd
        )
        assert done.code == 0, done.err
        path = template.root / done.json["path"]
        content = path.read_bytes()
        path.unlink()
        return content

    first = made({"PYTHONHASHSEED": "1", "TZ": "UTC"}, template.root)
    assert first == made({"PYTHONHASHSEED": "2", "TZ": "America/Chicago", "LC_ALL": "C"}, tmp_path)
