"""``verify`` as a user runs it: each line of rule 21 passing, failing and unknown, and secrets (rule 24)."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from workshop import REPOSITORY, Done, Workshop

from kfm_repro.runs.secrets import scan

SCHEMA = json.loads((REPOSITORY / "docs/schema/report-1.json").read_text(encoding="utf-8"))
RUN = "data/work/runs/import_census/2026-02-03T21-14-08Z__import_census__89611ff"
RUN_ID = RUN.rpartition("/")[2]
TARGET = "data/prov/import_census/2026-02-03/import_census__run.jsonld"
GEOJSON, CSV = "data/processed/census/1900_population.geojson", "data/processed/census/summary.csv"
LABELS = '[inputs."*"]\nlabel = "public"\n[outputs."*"]\nlabel = "public"\n'


def activity(run_id: str = RUN_ID) -> str:
    return json.dumps({"@graph": [{"@id": "run", "@type": ["prov:Activity"], "kfm:run_id": run_id}]})


@pytest.fixture
def done(template: Workshop) -> Workshop:
    """Return the template project with all that makes its run publishable."""
    template.write("kfm-repro.toml", LABELS)
    template.write("data/stac/census/item.json", json.dumps({"assets": {"a": {"href": f"../../{GEOJSON[5:]}"},
                                                             "b": {"href": f"../../{CSV[5:]}"}}}))  # fmt: skip
    template.write("data/catalog/census.yaml", f"run: {RUN_ID}\n")
    template.write(TARGET, activity())
    return template


def verify(shop: Workshop, code: int) -> dict[str, Any]:
    result: Done = shop.kfm("verify", "latest:import_census", "--json")
    assert result.code == code, result.out + result.err
    jsonschema.validate(result.json, SCHEMA)
    document: dict[str, Any] = result.json
    return document


def line(document: dict[str, Any], number: int) -> tuple[str, str]:
    (found,) = (item for item in document["lines"] if item["number"] == number)
    return found["state"], found["reason"]


def states(document: dict[str, Any]) -> list[str]:
    return [item["state"] for item in document["lines"]]


def edit(shop: Workshop, name: str, old: str, new: str) -> None:
    path = shop.root / RUN / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def edit_manifest(shop: Workshop, which: str, index: int, **changes: Any) -> None:
    path = shop.root / RUN / f"manifests/{which}.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    entry = document[which][index] | changes
    document[which][index] = {name: value for name, value in entry.items() if value is not None}
    path.write_text(json.dumps(document), encoding="utf-8")


def test_rule_21_a_run_with_everything_is_publishable(done: Workshop) -> None:
    document = verify(done, 0)
    assert (document["verdict"], states(document)) == ("publishable", ["pass"] * 8)
    assert document["secrets"]["state"] == "pass"
    assert document["run"]["run_id"] == RUN_ID


def test_rule_21_the_bare_template_is_not_publishable_and_every_reason_names_a_file(
    template: Workshop,
) -> None:
    document = verify(template, 1)
    assert states(document) == ["pass", "pass", "pass", "pass", "pass", "fail", "fail", "unknown"]
    assert all(item["reason"] and item["files"] for item in document["lines"])


def test_rule_21_the_text_ends_with_the_verdict(template: Workshop) -> None:
    result = template.kfm("verify", RUN_ID)
    assert result.out.splitlines()[-1] == "NOT PUBLISHABLE: 5 of 8 lines pass, 2 fail, 1 unknown."
    quiet = template.kfm("verify", RUN_ID, "--quiet")
    assert (quiet.out.splitlines(), quiet.code) == (result.out.splitlines()[-1:], 1)


def test_rule_21_verify_changes_nothing_and_says_the_same_anywhere(done: Workshop, tmp_path: Path) -> None:
    def files(root: Path) -> dict[str, tuple[int, int]]:
        return {
            str(p.relative_to(root)): (p.stat().st_size, p.stat().st_mtime_ns)
            for p in root.rglob("*") if p.is_file()
        }  # fmt: skip

    before = files(done.root)
    first = done.kfm("verify", RUN_ID, "--json", env={"PYTHONHASHSEED": "1", "TZ": "UTC"})
    assert files(done.root) == before
    shutil.copytree(done.root, tmp_path / "elsewhere", symlinks=True)
    other = Workshop(tmp_path / "elsewhere")
    assert (
        other.kfm("verify", RUN_ID, "--json", env={"PYTHONHASHSEED": "2", "TZ": "Asia/Tokyo"}).out
        == first.out
    )


@pytest.mark.parametrize(
    ("status", "sentinel", "state", "says"),
    [
        ({"state": "failed"}, "_FAILED", "fail", "failed"),
        ({"state": "failed"}, "_SUCCESS", "fail", "inconsistent"),
        ({"state": "aborted"}, None, "fail", "aborted"),
        (None, "_SUCCESS", "fail", "no status.json"),
        ({"state": "running", "pid": os.getpid()}, None, "unknown", "not ended"),
        ({"stat": 1}, "_SUCCESS", "fail", "status.json"),
    ],
)
def test_rule_21_line_1_status(
    status: dict[str, Any] | None, sentinel: str | None, state: str, says: str, done: Workshop
) -> None:
    (done.root / RUN / "_SUCCESS").unlink()
    (done.root / RUN / "status.json").unlink()
    if status is not None:
        done.write(f"{RUN}/status.json", json.dumps(status))
    if sentinel:
        done.write(f"{RUN}/{sentinel}", "")
    result = done.kfm("verify", RUN_ID, "--json")
    assert result.code == (2 if state == "unknown" else 1)
    assert line(result.json, 1)[0] == state
    assert says in line(result.json, 1)[1]


@pytest.mark.parametrize("command", [("prov", "--published"), ("pack", "--restricted")])
def test_rule_21_line_1_a_mark_of_ours_is_no_word_of_success(
    command: tuple[str, ...], done: Workshop
) -> None:
    (done.root / RUN / "status.json").unlink()
    assert done.kfm(command[0], RUN_ID, *command[1:]).code == 0
    assert line(verify(done, 1), 1) == ("fail", "status.json does not say how the run ended")
    (run,) = done.kfm("list", "--json").json["runs"]
    assert run["state"] == "success"


def test_rule_21_line_1_an_empty_state_is_no_success(done: Workshop) -> None:
    done.write(f"{RUN}/status.json", '{"state": ""}')
    assert line(verify(done, 1), 1)[0] == "fail"


def test_rule_21_line_2_an_input_without_a_hash_fails(done: Workshop) -> None:
    edit_manifest(done, "inputs", 0, sha256=None)
    assert line(verify(done, 1), 2) == ("fail", "1 of 1 without: data/raw/census_1900/census_1900.csv")


def test_rule_21_line_2_no_input_at_all_is_unknown(done: Workshop) -> None:
    done.write(f"{RUN}/manifests/inputs.json", '{"inputs": []}')
    assert line(verify(done, 2), 2)[0] == "unknown"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"sha256": None}, "no hash"),
        ({"row_count": None}, "no count"),
        ({"row_count": 5}, "row_count 5 recorded, 4 counted"),
        ({"row_count": None, "feature_count": 5}, "row_count 4 counted"),
    ],
)
def test_rule_21_line_3_counts_are_taken_again_from_the_recorded_bytes(
    changes: dict[str, Any], says: str, done: Workshop
) -> None:
    edit_manifest(done, "outputs", 1, **changes)
    state, reason = line(verify(done, 1), 3)
    assert state == "fail"
    assert reason.startswith(f"{CSV}: ")
    assert says in reason


def put(shop: Workshop, name: str, content: str, **stated: Any) -> None:
    """Add an output to the record, promoted as it is."""
    path = shop.write(f"data/processed/census/{name}", content)
    manifest = shop.root / RUN / "manifests/outputs.json"
    document = json.loads(manifest.read_text(encoding="utf-8"))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    document["outputs"].append({"path": f"data/processed/census/{name}", "sha256": digest} | stated)
    manifest.write_text(json.dumps(document), encoding="utf-8")


FEATURES = (
    '{"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {}, "geometry": null}]}'
)


@pytest.mark.parametrize(
    ("name", "content", "stated", "state"),
    [
        ("a.json", FEATURES, {"feature_count": 999}, "fail"),
        ("a.json", FEATURES, {}, "fail"),
        ("a.json", FEATURES, {"feature_count": 1}, "pass"),
        ("a.json", '{"type": "report"}', {}, "pass"),
        ("a.csv.gz", "x", {}, "fail"),
        ("a.csv.bz2", "x", {}, "fail"),
        ("a.csv.7z", "x", {}, "unknown"),
        ("a.kml", "<kml/>", {}, "unknown"),
        ("a.kml", "<kml/>", {"feature_count": 1}, "pass"),
        ("a.md", "text", {}, "pass"),
        ("a", "text", {}, "unknown"),
    ],
)
def test_rule_21_line_3_what_may_have_records_needs_a_count(
    name: str, content: str, stated: dict[str, int], state: str, done: Workshop
) -> None:
    put(done, name, content, **stated)
    document = done.kfm("verify", RUN_ID, "--json").json
    assert line(document, 3)[0] == state, line(document, 3)


@pytest.mark.parametrize(("name", "content"), [("a.kml", "<kml/>"), ("a.zip", "PK"), ("a.json", FEATURES)])
def test_rule_21_line_4_vector_formats_that_are_not_counted_need_a_geometry_report(
    name: str, content: str, done: Workshop
) -> None:
    done.write(f"{RUN}/validation/geometry_report.json", '{"status": "not-run", "reason": "no geometries"}')
    edit_manifest_outputs(done)
    put(done, name, content)
    assert line(done.kfm("verify", RUN_ID, "--json").json, 4)[0] == "unknown"


def edit_manifest_outputs(shop: Workshop) -> None:
    """Leave only the table among the outputs."""
    path = shop.root / RUN / "manifests/outputs.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(manifest | {"outputs": manifest["outputs"][1:]}), encoding="utf-8")


def test_rule_21_line_3_without_the_recorded_bytes_the_count_is_unknown(done: Workshop) -> None:
    edit_manifest(done, "outputs", 1, sha256="0" * 64)
    state, reason = line(verify(done, 1), 3)
    assert state == "unknown"
    assert "neither in the object store" in reason


def test_rule_21_line_4_a_missing_report_fails_and_one_that_was_not_run_is_unknown(done: Workshop) -> None:
    gate = done.write(f"{RUN}/validation/policy_gate.json", '{"status": "not-run", "reason": "no rules"}')
    assert line(verify(done, 2), 4) == ("unknown", "policy_gate: not run: no rules")
    gate.unlink()
    assert line(verify(done, 1), 4) == ("fail", "policy_gate: does not exist")


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ('{"status": "fail", "reason": "3 invalid"}', "fail"),
        ('{"passed": false}', "fail"),
        ('{"status": "pass", "valid": false}', "fail"),
        ('{"passed": true}', "pass"),
        ('{"result": "OK"}', "pass"),
        ('{"status": "skipped"}', "unknown"),
        ('{"checked": []}', "unknown"),
        ("[]", "unknown"),
        ('{"status": "pass"', "unknown"),
        ("[" * 100_000, "unknown"),
    ],
)
def test_rule_21_line_4_only_a_pass_is_a_pass(text: str, state: str, done: Workshop) -> None:
    done.write(f"{RUN}/validation/schema_report.json", text)
    document = verify(done, {"pass": 0, "fail": 1, "unknown": 2}[state])
    assert line(document, 4)[0] == state


@pytest.mark.parametrize(
    ("name", "text", "code", "says"),
    [
        (
            "quality_report.json",
            '{"status": "fail", "reason": "half is null"}',
            1,
            "quality_report.json: fail: half",
        ),
        ("deep/er.json", '{"status": "not-run", "reason": "no time"}', 2, "deep/er.json: not run: no time"),
        ("deep/er.json", '{"status": "pass"}', 0, "all reports"),
        ("repro_report.json", '{"verdict": "not_reproducible"}', 0, "all reports"),
        ("notes.txt", "fail", 0, "all reports"),
    ],
)
def test_rule_21_line_4_every_report_that_is_there_counts(
    name: str, text: str, code: int, says: str, done: Workshop
) -> None:
    done.write(f"{RUN}/validation/{name}", text)
    assert says in line(verify(done, code), 4)[1]


@pytest.mark.parametrize(
    ("document", "code", "says"),
    [
        ({"rules": [{"rule": "labels", "status": "fail"}]}, 1, "rules: labels: fail"),
        (
            {"rules": [{"rule": "labels", "status": "not-run", "reason": "none"}]},
            2,
            "rules: labels: not run: none",
        ),
        ({"checks": {"crs": {"passed": False}}}, 1, "checks: crs: fail"),
        ({"outputs": [{"path": "a", "status": "pass", "checks": [{"valid": False}]}]}, 1, "checks: 0: fail"),
        ({"outputs": [{"path": "a", "status": "skipped"}]}, 2, "outputs: a: says neither"),
        (
            {"outputs": [{"path": "a"}], "columns": {"valid": False, "x": {"status": "fail"}}},
            0,
            "all reports",
        ),
    ],
)
def test_rule_21_line_4_the_worst_of_the_parts_of_a_report_holds(
    document: dict[str, Any], code: int, says: str, done: Workshop
) -> None:
    done.write(f"{RUN}/validation/policy_gate.json", json.dumps({"status": "pass"} | document))
    assert says in line(verify(done, code), 4)[1]


def test_rule_21_line_4_no_geometry_report_is_needed_only_where_there_are_no_geometries(
    done: Workshop,
) -> None:
    done.write(f"{RUN}/validation/geometry_report.json", '{"status": "not-run", "reason": "no geometries"}')
    assert line(verify(done, 2), 4)[0] == "unknown"
    path = done.root / RUN / "manifests/outputs.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(manifest | {"outputs": manifest["outputs"][1:]}), encoding="utf-8")
    edit(done, "run.yaml", GEOJSON, CSV)
    assert line(verify(done, 0), 4) == ("pass", "geometry_report had nothing to look at")


def test_rule_21_line_5_other_bytes_and_a_missing_file_fail(done: Workshop) -> None:
    path = done.root / CSV
    path.write_bytes(path.read_bytes() + b"\n")
    assert line(verify(done, 1), 5) == ("fail", f"{CSV} has other bytes than recorded")
    path.unlink()
    assert line(verify(done, 1), 5) == ("fail", f"{CSV} does not exist")


def test_rule_21_line_5_a_copy_of_the_recorded_bytes_under_another_name_is_a_promotion(
    done: Workshop,
) -> None:
    shutil.copyfile(done.root / GEOJSON, done.write("data/processed/release/counties.geojson", ""))
    edit(done, "run.yaml", GEOJSON, "data/processed/release/counties.geojson")
    assert line(verify(done, 0), 5)[0] == "pass"
    done.write("data/processed/release/counties.geojson", "{}")
    assert "bytes of no recorded output" in line(verify(done, 1), 5)[1]


@pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd", "data/raw/census_1900/census_1900.csv"])
def test_rule_21_line_5_a_promoted_path_outside_processed_fails(path: str, done: Workshop) -> None:
    edit(done, "run.yaml", GEOJSON, path)
    assert line(verify(done, 1), 5)[0] == "fail"


def test_rule_21_line_6_metadata_that_names_something_else_fails(done: Workshop) -> None:
    done.write("data/catalog/census.yaml", f"run: {RUN_ID}-more\nfile: {CSV}.bak\n")
    state, reason = line(verify(done, 1), 6)
    assert (state, reason) == ("fail", f"nothing in data/catalog/ names {GEOJSON}, {CSV}")


def test_rule_21_line_6_metadata_that_cannot_be_read_is_unknown(done: Workshop) -> None:
    (done.root / "data/catalog/census.yaml").unlink()
    done.write("data/catalog/census.json", '{"run": ')
    assert line(verify(done, 2), 6)[0] == "unknown"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (activity("another run"), 1),
        (activity().replace("prov:Activity", "prov:Entity"), 1),
        (
            (
                '{"@type": "http://www.w3.org/ns/prov#Activity", '
                '"https://kansasfrontiermatrix.org/ns/kfm#run_id": [{"@value": "%s"}]}'
            ),
            0,
        ),
        ('{"@type": "http://www.w3.org/ns/prov#Activity", "https://other.example/ns#run_id": "%s"}', 1),
        ('{"@type": "as:Activity", "kfm:run_id": "%s"}', 1),
        ('{"@type": "prov:Activity", "run_id": "%s"}', 1),
        ('{"@type": "prov:Activity", "kfm:run_id": "%s", "kfm:pipeline": "another"}', 1),
        ('{"@type": "prov:Activity", "kfm:run_id": "%s", "kfm:pipeline": "import_census"}', 0),
        ('{"activity": {"_:a": {"kfm:run_id": "%s"}}}', 0),
        ("{", 2),
        ("[" * 50_000, 2),
    ],
)
def test_rule_21_line_7_only_an_activity_that_carries_the_run_id_is_provenance(
    text: str, code: int, done: Workshop
) -> None:
    done.write(TARGET, text.replace("%s", RUN_ID))
    assert line(verify(done, code), 7)[0] == ["pass", "fail", "unknown"][code]


def test_rule_21_line_7_an_id_that_two_pipelines_share_needs_the_pipeline(done: Workshop) -> None:
    (done.root / "data/work/runs/other" / RUN_ID).mkdir(parents=True)
    result = done.kfm("verify", f"import_census/{RUN_ID}", "--json")
    assert line(result.json, 7)[0] == "fail"
    done.write(TARGET, activity().replace('"kfm:run_id"', '"kfm:pipeline": "import_census", "kfm:run_id"'))
    result = done.kfm("verify", f"import_census/{RUN_ID}", "--json")
    assert line(result.json, 7)[0] == "pass"


def test_rule_21_line_7_provenance_in_the_legacy_folder_counts(done: Workshop) -> None:
    done.write(TARGET, activity("another run"))
    done.write("data/provenance/old.json", activity())
    (item,) = (item for item in verify(done, 0)["lines"] if item["number"] == 7)
    assert item["files"] == ["data/provenance/old.json"]


def test_rule_21_line_7_a_target_outside_the_project_fails(done: Workshop) -> None:
    edit(done, "run.yaml", TARGET, "../../prov.jsonld")
    assert line(verify(done, 1), 7)[0] == "fail"


def test_rule_21_line_8_an_output_less_restricted_than_its_input_fails(done: Workshop) -> None:
    edit_manifest(done, "inputs", 0, sensitivity="restricted")
    state, reason = line(verify(done, 1), 8)
    assert state == "fail"
    assert "is public, but its input data/raw/census_1900/census_1900.csv is restricted" in reason


def test_rule_21_line_8_an_unknown_label_denies(done: Workshop) -> None:
    edit_manifest(done, "outputs", 0, classification="open-ish")
    assert "unknown label" in line(verify(done, 1), 8)[1]


def test_rule_21_line_8_without_any_label_it_cannot_be_told(done: Workshop) -> None:
    done.write("kfm-repro.toml", "")
    assert line(verify(done, 2), 8)[0] == "unknown"


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("logs/stderr.log", "GET https://example.org/x?token=abcd1234\n", "url-token"),
        ("config/extra.yaml", "db:\n  password: hunter2x\n", "secret-keyword"),
        ("environment/fingerprint.json", '{"key": "%s"}', "aws-access-key"),
    ],
)
def test_rule_24_a_secret_anywhere_in_the_record_fails_verify(
    name: str, text: str, kind: str, done: Workshop
) -> None:
    done.write(f"{RUN}/{name}", text.replace("%s", "AK" + "IAIOSFODNN7ABCDEFG"))
    document = verify(done, 1)
    assert states(document) == ["pass"] * 8
    assert [(hit["file"], hit["kind"]) for hit in document["secrets"]["hits"]] == [(name, kind)]
    shown = done.kfm("verify", RUN_ID).out
    assert f"{name}:" in shown
    assert not {"abcd1234", "hunter2x"} & set(shown.replace("=", " ").split())


def test_rule_24_a_token_in_a_source_url_of_the_inputs_manifest_fails_verify(done: Workshop) -> None:
    edit_manifest(done, "inputs", 0, source_url="https://example.org/c.csv?token=abcd1234")
    (hit,) = verify(done, 1)["secrets"]["hits"]
    assert (hit["file"], hit["kind"]) == ("manifests/inputs.json", "url-token")


def test_rule_21_a_record_without_run_yaml_or_manifests_fails_line_by_line(done: Workshop) -> None:
    for name in ("run.yaml", "manifests/inputs.json", "manifests/outputs.json"):
        (done.root / RUN / name).unlink()
    result = done.kfm("verify", RUN_ID, "--json")
    assert result.code == 1, result.err
    assert {line(result.json, number)[0] for number in (2, 3, 5, 6, 7, 8)} == {"fail"}


def test_rule_24_the_kansas_demo_has_no_secrets_in_any_record(tmp_path: Path) -> None:
    shop = Workshop(tmp_path)
    assert shop.kfm("demo", str(tmp_path / "kansas"), "--json").code == 0
    runs = sorted((tmp_path / "kansas/data/work/runs").glob("[!.]*/*"))
    assert len(runs) == 4
    assert [scan(run).hits for run in runs] == [()] * 4
    assert all(scan(run).clean for run in runs)
    for run in runs:
        document = shop.kfm("verify", run.name, "--json", cwd=tmp_path / "kansas").json
        assert [line(document, number)[0] for number in (1, 2, 3)] == ["pass"] * 3, document


def test_rule_21_a_record_that_names_itself_vaguely_is_not_found_in_any_text(done: Workshop) -> None:
    edit(done, "run.yaml", f'run_id: "{RUN_ID}"', 'run_id: "run"')
    assert line(verify(done, 1), 6)[0] == "fail"


def test_help_names_the_exit_codes_and_loads_no_detector(tmp_path: Path) -> None:
    probe = (
        "import sys; from kfm_repro.cli import main; main(['verify', '--help']); "
        "sys.exit(bool({'detect_secrets', 'requests', 'pyarrow', 'yaml', 'msgspec'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", probe], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "Exit codes: 0 publishable, 1 not publishable, 2 it cannot be told" in result.stdout


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (f'promotion: {{processed_paths: ["{GEOJSON}"]}}', "promotion: [1, 2]"),
        (f'promotion: {{processed_paths: ["{GEOJSON}"]}}', "promotion: {processed_paths: all}"),
        (f'promotion: {{processed_paths: ["{GEOJSON}"]}}', "promotion: {processed_paths: [{a: 1}]}"),
        (f'prov: {{target_path: "{TARGET}"}}', "prov: {target_path: [1]}"),
        (f'prov: {{target_path: "{TARGET}"}}', "prov: 3"),
        ('schema_report: "validation/schema_report.json"', "schema_report: {a: 1}"),
        ('schema_report: "validation/schema_report.json"', 'schema_report: "../../../../../kfm-repro.toml"'),
        ('schema_report: "validation/schema_report.json"', 'schema_report: "validation"'),
    ],
)
def test_a_record_with_odd_sections_gets_eight_lines_and_no_error(old: str, new: str, done: Workshop) -> None:
    edit(done, "run.yaml", old, new)
    result = done.kfm("verify", RUN_ID, "--json")
    assert result.code in (0, 1), result.out + result.err
    assert len(result.json["lines"]) == 8
    assert "error" not in result.json


def test_no_such_run_is_an_error_with_exit_2(done: Workshop) -> None:
    result = done.kfm("verify", "nothing", "--json")
    assert (result.code, result.json["error"]["code"]) == (2, "run-not-found")


def test_a_run_that_we_recorded_has_no_false_alarms(workshop: Workshop) -> None:
    workshop.write("data/raw/in.csv", "id,n\n1,10\n")
    workshop.write("pipelines/job.py", "import shutil, pathlib\np = pathlib.Path('data/processed'); "
                   "p.mkdir(exist_ok=True)\nshutil.copy('data/raw/in.csv', p / 'out.csv')\n")  # fmt: skip
    workshop.commit()
    run = workshop.record("--input", "data/raw/*", "--output", "data/processed/**")
    result = workshop.kfm("verify", run, "--json")
    assert result.json["secrets"]["state"] == "pass", result.json["secrets"]
    assert [line(result.json, number)[0] for number in (1, 2, 3, 5)] == ["pass"] * 4
