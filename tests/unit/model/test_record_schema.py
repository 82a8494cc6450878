"""The schemas of a run record: what validates is read, what is malformed does not validate."""

from __future__ import annotations

import copy
import json
import re
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from kit import KIT
from workshop import RECORDS, REPOSITORY, Workshop

from kfm_repro.errors import InvalidRecord, KfmReproError, UnsafePath
from kfm_repro.model.record_schema import PATH_PATTERN, record_schemas
from kfm_repro.runs.hashing import normal_sha256
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.paths import safe_relative
from kfm_repro.runs.read import read_manifest, read_run, read_status

SCHEMAS = record_schemas()
DOCUMENTS = {
    "run.yaml": "run",
    "status.json": "status",
    "manifests/inputs.json": "inputs-manifest",
    "manifests/outputs.json": "outputs-manifest",
}
HEX = "a" * 64


def as_json(document: Any) -> Any:
    """Return a parsed run.yaml with times as the schema has them: as text."""
    if isinstance(document, dict):
        return {key: as_json(value) for key, value in document.items()}
    if isinstance(document, list):
        return [as_json(value) for value in document]
    return document.isoformat() if isinstance(document, datetime) else document


def validates(name: str, document: Any) -> bool:
    """Return whether a document fits the schema ``name``."""
    return jsonschema.Draft202012Validator(SCHEMAS[name]).is_valid(as_json(document))


def file_validates(run: Path, name: str) -> bool:
    """Return whether a file of a run can be parsed and fits its schema."""
    text = (run / name).read_text(encoding="utf-8")
    try:
        document = yaml.safe_load(text) if name.endswith(".yaml") else json.loads(text)
    except (yaml.YAMLError, ValueError):
        return False
    return validates(DOCUMENTS[name], document)


def test_the_schemas_are_schemas() -> None:
    assert set(SCHEMAS) == set(DOCUMENTS.values())
    for schema in SCHEMAS.values():
        jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("case", KIT.case_names())
def test_of_the_records_of_the_kit_exactly_the_malformed_ones_are_refused(case: str) -> None:
    project = KIT.CASES / case / "project"
    refused = [
        (run / name).relative_to(project).as_posix()
        for run in sorted((project / "data/work/runs").glob("[!.]*/*"))
        for name in DOCUMENTS
        if (run / name).is_file() and not file_validates(run, name)
    ]
    assert sorted(refused) == sorted(KIT.expected(case).get("malformed", []))


def test_the_users_template_record_validates() -> None:
    for name in DOCUMENTS:
        assert file_validates(RECORDS / "template_project/run", name), name


def test_what_we_write_validates_and_is_strict(workshop: Workshop) -> None:
    workshop.write("data/raw/in.csv", "id\n1\n")
    workshop.write(
        "pipelines/job.py",
        "import pathlib\nout = pathlib.Path('data/processed'); out.mkdir(parents=True, exist_ok=True)\n"
        "(out / 'out.csv').write_text(open('data/raw/in.csv').read())\n",
    )
    workshop.commit()
    workshop.write("pipelines/helper.py", "# not committed\n")
    run = workshop.record("--input", "data/raw/*", "--output", "data/processed/**", env={"TZ": "UTC"})
    replayed = workshop.kfm("replay", run, "--json").json["replays"][0]["run_id"]
    failed = workshop.kfm(
        "record", "--pipeline", "job", "--json", "--", sys.executable, "-c", "raise SystemExit(3)"
    )
    assert failed.code == 2
    folders = sorted((workshop.root / "data/work/runs/job").iterdir())
    assert {run, replayed} < {folder.name for folder in folders}
    assert len(folders) == 3
    for folder in folders:
        for name in DOCUMENTS:
            assert file_validates(folder, name), (folder.name, name)
        for which in ("inputs", "outputs"):
            for entry in json.loads((folder / f"manifests/{which}.json").read_text())[which]:
                assert re.fullmatch("[0-9a-f]{64}", entry["sha256"])
                assert isinstance(entry["size_bytes"], int)


PATHS = st.lists(
    st.sampled_from([*"./~\\:agitC \n\x00\x7f", "..", ".git", "é", "/.", "data/"]), max_size=6
).map("".join)


@given(PATHS)
@example("a\n")
@example("C:\\x")
@example("./.")
@example("a/.git/x")
@example("\udc80")
def test_rule_6_the_pattern_of_a_path_is_the_check_of_a_path(text: str) -> None:
    try:
        safe_relative(text, what="path")
    except UnsafePath:
        assert not re.search(PATH_PATTERN, text)
    else:
        assert re.search(PATH_PATTERN, text)


@given(
    st.sampled_from(
        ["", "sha256:", "sha256-", "jcs:sha256:", "SHA256:", "jcs:", "jcs:sha256-", "md5:", "sha256"]
    ),
    st.text("0aAfFgG-", max_size=2),
)
def test_rule_8_the_pattern_of_a_digest_is_what_is_read_as_one(prefix: str, end: str) -> None:
    text = prefix + "A" * (64 - len(end)) + end
    try:
        normal_sha256(text, where="x")
    except InvalidRecord:
        assert not re.search(SCHEMAS["run"]["$defs"]["sha256"]["pattern"], text)
    else:
        assert re.search(SCHEMAS["run"]["$defs"]["sha256"]["pattern"], text)


@given(
    st.datetimes(),
    st.sampled_from(["", "Z", "z", "+01:00", "-0530", "+1", "+24:00"]),
    st.sampled_from("Tt _"),
)
def test_rule_7_the_pattern_of_a_time_is_what_is_read_as_one(
    moment: datetime, zone: str, between: str
) -> None:
    text = moment.isoformat(between) + zone
    try:
        msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        readable = False
    else:
        readable = True
    assert bool(re.search(SCHEMAS["run"]["$defs"]["time"]["pattern"], text)) == readable


RUN = {
    "schema": "kfm-repro.run/1",
    "run_id": "r1",
    "pipeline": {
        "name": "p", "entrypoint": "pipelines/p.py", "args": ["--config", "{config}/p.yaml"], "cwd": "src",
        "version": {"git_commit": "a1b2c3d", "repo_dirty": True, "tree": "b" * 40, "patch": "config/dirty.patch",
                    "patch_sha256": f"sha256:{HEX}"},
        "outputs": ["data/processed/**"], "config": {"params.json": "settings/params.json"},
    },
    "runtime": {"started_at": "2026-02-03T21:14:08Z", "finished_at": "2026-02-03 21:18:44", "host": "h"},
    "actor": {"invoked_by": "admin"},
    "inputs_manifest": "manifests/inputs.json", "outputs_manifest": "manifests/outputs.json",
    "validation": {"schema_report": "validation/schema_report.json", "geometry_report": None, "policy_gate": None},
    "promotion": {"processed_paths": ["data/processed/a.csv"]}, "prov": {"target_path": "data/prov/a.jsonld"},
    "environment": {"fingerprint": "environment/fingerprint.json", "lock": "environment/requirements.lock",
                    "python": "3.11.7", "executable": "/usr/bin/python3", "root": "/p", "env": {"TZ": "UTC"}},
    "replay": {"of": "r0", "setting": {"clock": "+1"}, "isolation": "none"},
    "notes": "x",
}  # fmt: skip
STATUS = {
    "state": "success", "pid": 1, "pid_started": 2, "boot_id": "b", "started_at": "2026-02-03T21:14:08Z",
    "finished_at": None, "reason": "", "replay": {"of": "r0"}, "retain": "published",
}  # fmt: skip
ENTRY = {
    "path": "data/a.csv",
    "sha256": HEX,
    "size_bytes": 1,
    "row_count": 2,
    "feature_count": 3,
    "version": "1",
}
MANIFEST = {"run_id": "r1", "generated_at": "2026-02-03T21:14:08Z", "inputs": [ENTRY, {"path": "b"}]}
JUNK = st.sampled_from([
    None, 0, -1, 7, 1.5, True, False, "", "x", "..", "../x", "/etc/x.py", "~/x", "x.py", "sh: x.py", "abcdef", "zz",
    "2026-02-03", "2026-02-03T21:14:08Z", HEX, f"md5:{HEX}", "a\nb", [], ["x"], [1], [None], {}, {"x": 1}, {"x": "y"},
    {"path": "x"}, {"x": "../y"}, [{"path": "../x"}], "success", "finished",
])  # fmt: skip


def places(document: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return where the values of a document are."""
    items = document.items() if isinstance(document, dict) else enumerate(document)
    found = []
    for key, value in items:
        found.append((*above, key))
        if isinstance(value, (dict, list)):
            found += places(value, (*above, key))
    return found


def mutated(document: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Draw a document in which up to three values are something else, or gone."""

    def change(changes: list[tuple[tuple[Any, ...], Any, bool]]) -> dict[str, Any]:
        made = copy.deepcopy(document)
        for place, value, gone in changes:
            at: Any = made
            try:
                for key in place[:-1]:
                    at = at[key]
                if gone:
                    del at[place[-1]]
                else:
                    at[place[-1]] = copy.deepcopy(value)
            except (KeyError, IndexError, TypeError):
                continue
        return made

    one = st.tuples(st.sampled_from(places(document)), JUNK, st.booleans())
    return st.lists(one, min_size=0, max_size=3).map(change)


def read(name: str, document: dict[str, Any]) -> None:
    """Read a document as kfm-repro does, and check its paths. Raises KfmReproError."""
    with tempfile.TemporaryDirectory() as folder:
        run = RunDir(Path(folder) / "p" / "r1")
        (run.path / "manifests").mkdir(parents=True)
        if name == "run":
            run.run_yaml.write_text(yaml.safe_dump(document), encoding="utf-8")
            record = read_run(run)
            version, config = record.pipeline.version, record.pipeline.config or {}
            paths = [record.inputs_manifest, record.outputs_manifest, version.patch, *config.values()]
            for path in (*filter(None, paths), *record.pipeline.outputs):
                safe_relative(path, what="path")
            if version.patch_sha256:
                normal_sha256(version.patch_sha256, where="patch")
        elif name == "status":
            run.status.write_text(json.dumps(document), encoding="utf-8")
            read_status(run)
        else:
            run.inputs.write_text(json.dumps(document), encoding="utf-8")
            read_manifest(run, "manifests/inputs.json", "inputs")


@pytest.mark.parametrize(
    ("name", "document"),
    [("run", RUN), ("status", STATUS), ("inputs-manifest", MANIFEST)],
    ids=lambda x: str(x)[:9],
)
def test_a_whole_record_validates_and_is_read(name: str, document: dict[str, Any]) -> None:
    assert validates(name, document)
    read(name, document)


@given(mutated(RUN))
def test_a_run_yaml_that_validates_is_read(document: dict[str, Any]) -> None:
    if validates("run", document):
        read("run", document)


@given(mutated(STATUS))
def test_a_status_that_validates_is_read(document: dict[str, Any]) -> None:
    if validates("status", document):
        read("status", document)


@given(mutated(MANIFEST))
def test_a_manifest_that_validates_is_read(document: dict[str, Any]) -> None:
    if validates("inputs-manifest", document):
        paths = [item["path"] for item in document["inputs"]]
        if len(paths) == len(set(paths)):
            read("inputs-manifest", document)


@pytest.mark.parametrize(
    ("name", "where", "value"),
    [
        ("run", ("run_id",), 7),
        ("run", ("run_id",), None),
        ("run", ("pipeline", "version", "git_commit"), 1234567),
        ("run", ("pipeline", "version", "git_commit"), "main"),
        ("run", ("pipeline", "version", "patch"), "../x.patch"),
        ("run", ("pipeline", "entrypoint"), "../x.py"),
        ("run", ("pipeline", "cwd"), "/tmp"),  # noqa: S108 - an absolute path is what must be refused
        ("run", ("environment", "env", "TZ"), 4),
        ("run", ("runtime", "started_at"), "yesterday"),
        ("run", ("inputs_manifest",), "/etc/hostname"),
        ("status", ("state",), "finished"),
        ("status", ("state",), None),
        ("inputs-manifest", ("inputs", 0, "path"), "../x"),
        ("inputs-manifest", ("inputs", 0, "path"), None),
        ("inputs-manifest", ("inputs", 0, "sha256"), "md5:0"),
        ("inputs-manifest", ("inputs", 0, "size_bytes"), -1),
        ("inputs-manifest", ("inputs", 0, "row_count"), True),
        ("inputs-manifest", ("inputs",), None),
    ],
)
def test_what_is_malformed_does_not_validate(name: str, where: tuple[Any, ...], value: Any) -> None:
    document: Any = copy.deepcopy({"run": RUN, "status": STATUS, "inputs-manifest": MANIFEST}[name])
    at = document
    for key in where[:-1]:
        at = at[key]
    at[where[-1]] = value
    assert not validates(name, document)


def test_every_key_of_the_docs_is_in_the_schema() -> None:
    """Keys of the YAML blocks in docs/run-record.md."""
    text = (REPOSITORY / "docs/run-record.md").read_text(encoding="utf-8")
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)]
    assert len(blocks) >= 2
    for block in blocks:
        assert validates("run", {"run_id": "r1", **block})
        assert set(block) <= set(SCHEMAS["run"]["properties"])


def test_reading_raises_our_errors_only() -> None:
    with pytest.raises(KfmReproError):
        read("run", {"run_id": 7})


@pytest.mark.parametrize(
    ("name", "document"),
    [("run", RUN), ("status", STATUS), ("inputs-manifest", MANIFEST)],
    ids=lambda x: str(x)[:9],
)
def test_rule_2_null_is_the_same_as_a_key_that_is_not_there(name: str, document: dict[str, Any]) -> None:
    required = {
        "run": [("run_id",), ("replay", "of")],
        "status": [("state",)],
        "inputs-manifest": [("inputs",), ("inputs", 0, "path"), ("inputs", 1, "path")],
    }
    optional = [
        place for place in places(document) if isinstance(place[-1], str) and place not in required[name]
    ]
    assert len(optional) > 6
    for place in optional:
        changed: Any = copy.deepcopy(document)
        at = changed
        for key in place[:-1]:
            at = at[key]
        at[place[-1]] = None
        assert validates(name, changed), place
        read(name, changed)
