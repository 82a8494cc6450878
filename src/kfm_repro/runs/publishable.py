"""The definition of done, line by line, as far as the record and the project's files tell (rule 21)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kfm_repro.errors import KfmReproError, UnsafePath
from kfm_repro.model.manifest import Entry, Manifest
from kfm_repro.model.run import Run, RunState
from kfm_repro.model.verification import CheckState, Line, SecretScan
from kfm_repro.runs.activities import FOLDERS, activities_in, is_kept
from kfm_repro.runs.hashing import digest_file
from kfm_repro.runs.labels import read_labels
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.mentions import Search, find_activity, find_mentions
from kfm_repro.runs.paths import Root
from kfm_repro.runs.project import Project
from kfm_repro.runs.provenance import shared_id
from kfm_repro.runs.read import read_manifest, read_run, read_state, read_status
from kfm_repro.runs.secrets import Scan
from kfm_repro.runs.validation import report_state, reports_of

__all__ = ["ASKS", "Facts", "gather", "line", "record_lines", "secret_scan", "validation_line"]

PROCESSED, STAC, CATALOG = "data/processed", "data/stac", "data/catalog"
ASKS: Mapping[int, tuple[str, str]] = {
    1: ("status", "status.json says success"),
    2: ("inputs", "every input has a hash"),
    3: ("outputs", "every output has a hash and a count, and the count is that of the recorded bytes"),
    4: ("validation", "validation/** exists and says pass, without a silent skip"),
    5: ("promotion", f"outputs are promoted to {PROCESSED}/** with the recorded bytes"),
    6: ("metadata", f"{STAC}/** and {CATALOG}/** name the outputs or the run"),
    7: ("provenance", f"a record in {FOLDERS[0]}/** or {FOLDERS[1]}/** has an Activity of this run"),
    8: ("labels", "no output is less restricted than the inputs"),
}
"""Name of each line, and what it asks for."""

_SHOWN = 3
_PASSED, _FAILED, _UNKNOWN = CheckState.PASS, CheckState.FAIL, CheckState.UNKNOWN


@dataclass(frozen=True)
class Facts:
    """One run as far as it can be read; ``faults`` say why a part of it cannot be."""

    project: Project
    run: RunDir
    record: Run | None
    inputs: Manifest | None
    outputs: Manifest | None
    faults: Mapping[str, str]

    @property
    def run_id(self) -> str:
        """The id that the record states, else the name of its folder."""
        return (self.record.run_id if self.record else "") or self.run.name

    def manifest_file(self, which: str) -> str:
        """Return where a manifest lies, relative to the run."""
        return str(getattr(self.record, f"{which}_manifest", f"manifests/{which}.json"))

    def section(self, name: str) -> dict[str, Any]:
        """Return a section of run.yaml that is no part of the model, empty when there is none."""
        found = self.record.raw.get(name) if self.record else None
        return found if isinstance(found, dict) else {}


def gather(project: Project, run: RunDir) -> Facts:
    """Read a run; what cannot be read is a fault, not an error."""
    faults: dict[str, str] = {}
    record, manifests = None, {}
    try:
        record = read_run(run)
    except KfmReproError as exc:
        faults["record"] = exc.message
    for which in ("inputs", "outputs"):
        relative = getattr(record, f"{which}_manifest", f"manifests/{which}.json")
        try:
            manifests[which] = read_manifest(run, relative, which)
        except KfmReproError as exc:
            faults[which] = exc.message
    return Facts(project, run, record, manifests.get("inputs"), manifests.get("outputs"), faults)


def line(number: int, state: CheckState, reason: str, *files: str) -> Line:
    """Return one line of the definition of done."""
    name, asks = ASKS[number]
    return Line(number=number, name=name, asks=asks, state=state, reason=reason, files=tuple(files))


def record_lines(facts: Facts) -> dict[int, Line]:
    """Return the lines that need no recorded bytes: all but 3 and 4."""
    return {
        1: _status(facts),
        2: _inputs(facts),
        5: _promotion(facts),
        6: _metadata(facts),
        7: _provenance(facts),
        8: _labels(facts),
    }


def validation_line(facts: Facts, *, vectors: bool) -> Line:
    """Return line 4; a geometry report that was not run is no gap when ``vectors`` is false: nothing to look at."""
    worst, said, files = _PASSED, [], []
    for name, relative in reports_of(facts.run, facts.section("validation")):
        state, reason = report_state(facts.run, relative)
        files.append(relative)
        if name == "geometry_report" and state is _UNKNOWN and reason.startswith("not run") and not vectors:
            said.append(f"{name} had nothing to look at")
            continue
        if state is not _PASSED:
            said.append(f"{name}: {reason}")
        if _FAILED in (worst, state):
            worst = _FAILED
        elif state is _UNKNOWN:
            worst = _UNKNOWN
    shown = said[:_SHOWN] + [f"and {len(said) - _SHOWN} more"] * (len(said) > _SHOWN)
    return line(4, worst, "; ".join(shown) or "all reports say pass", *files)


def secret_scan(scanned: Scan) -> SecretScan:
    """Return what the search of a record for secrets came to."""
    if scanned.hits:
        count = len(scanned.hits)
        reason = f"{count} found in the record" if count > 1 else "one found in the record"
        return SecretScan(state=_FAILED, reason=reason, hits=scanned.hits, unread=scanned.unread)
    if scanned.unread:
        reason = f"not read to the end: {_some(scanned.unread)}"
        return SecretScan(state=_UNKNOWN, reason=reason, unread=scanned.unread)
    return SecretScan(state=_PASSED, reason="none found in the record")


def _status(facts: Facts) -> Line:
    try:
        status = read_status(facts.run)
        state, why = read_state(facts.run)
    except KfmReproError as exc:
        return line(1, _FAILED, exc.message, "status.json")
    if state is RunState.RUNNING:
        return line(1, _UNKNOWN, "the run has not ended", "status.json")
    if status is None:
        return line(1, _FAILED, "there is no status.json", "status.json")
    if state is not RunState.SUCCESS:
        return line(1, _FAILED, f"the run is {state}{f': {why}' if why else ''}", "status.json")
    if status.state != "success":
        return line(1, _FAILED, "status.json does not say how the run ended", "status.json")
    return line(1, _PASSED, "success", "status.json")


def _inputs(facts: Facts) -> Line:
    file = facts.manifest_file("inputs")
    if facts.inputs is None:
        return line(2, _FAILED, facts.faults["inputs"], file)
    entries = facts.inputs.entries
    if not entries:
        return line(2, _UNKNOWN, "no input is declared: it cannot be told whether there were none", file)
    lacking = [entry.path for entry in entries if entry.sha256 is None]
    if lacking:
        return line(2, _FAILED, f"{len(lacking)} of {len(entries)} without: {_some(lacking)}", file)
    return line(2, _PASSED, f"{len(entries)} of {len(entries)}", file)


def _promotion(facts: Facts) -> Line:
    if facts.outputs is None:
        return line(5, _FAILED, facts.faults["outputs"], facts.manifest_file("outputs"))
    declared = facts.section("promotion").get("processed_paths") or []
    if not isinstance(declared, list) or not all(isinstance(path, str) for path in declared):
        return line(5, _FAILED, "promotion.processed_paths is not a list of paths", "run.yaml")
    own = [entry.path for entry in facts.outputs.entries if entry.path.startswith(f"{PROCESSED}/")]
    paths = sorted({*declared, *own})
    if not paths:
        return line(5, _FAILED, f"no output lies in {PROCESSED}/, and none is promoted to it", "run.yaml")
    faults, open_questions = [], []
    recorded = {entry.path: entry.sha256 for entry in facts.outputs.entries}
    digests = {entry.sha256 for entry in facts.outputs.entries} - {None}
    root = Root(facts.project.root)
    for path in paths:
        state, reason = _promoted(root, recorded, digests, path)
        if state is _FAILED:
            faults.append(f"{path} {reason}")
        elif state is _UNKNOWN:
            open_questions.append(f"{path} {reason}")
    if faults or open_questions:
        state = _FAILED if faults else _UNKNOWN
        return line(5, state, "; ".join((faults or open_questions)[:_SHOWN]), *paths)
    return line(5, _PASSED, f"{len(paths)} of {len(paths)} with the recorded bytes", *paths)


def _promoted(  # noqa: PLR0911 - one line per answer
    root: Root, recorded: Mapping[str, str | None], digests: Collection[str | None], path: str
) -> tuple[CheckState, str]:
    """Compare one promoted file with what was recorded: under its path, else under any output of these bytes."""
    try:
        file = root.path(path, what="promoted path")
        if not Path(path).is_relative_to(PROCESSED):
            return _FAILED, f"does not lie in {PROCESSED}/"
        if not file.is_file():
            return _FAILED, "does not exist"
        found = digest_file(file).sha256
    except UnsafePath as exc:
        return _FAILED, exc.message
    except OSError as exc:
        return _UNKNOWN, f"cannot be read: {exc.strerror}"
    if path in recorded and recorded[path] is None:
        return _UNKNOWN, "has no recorded hash"
    if path in recorded:
        return (_PASSED, "") if recorded[path] == found else (_FAILED, "has other bytes than recorded")
    if found in digests:
        return _PASSED, ""
    return _FAILED, "has the bytes of no recorded output"


def _metadata(facts: Facts) -> Line:
    if facts.outputs is None or facts.record is None:
        return line(6, _FAILED, facts.faults.get("record") or facts.faults["outputs"])
    if not facts.outputs.entries:
        return line(6, _FAILED, "there are no outputs that could be named")
    root, files, worst, said = facts.project.root, list[str](), _PASSED, list[str]()
    for tree in (STAC, CATALOG):
        found = find_mentions(root, tree, facts.run_id, facts.outputs.entries)
        files += found.files
        state, reason = _mentioned(found, tree)
        if state is not _PASSED:
            said.append(reason)
            worst = _FAILED if _FAILED in (worst, state) else _UNKNOWN
    return line(6, worst, "; ".join(said) or "named in both", *(files or (STAC, CATALOG)))


def _mentioned(found: Search, tree: str) -> tuple[CheckState, str]:
    if not found.missing:
        return _PASSED, ""
    if found.unread:
        return _UNKNOWN, f"{tree}: some files cannot be read ({_some(found.unread)})"
    if not found.looked_at:
        return _FAILED, f"nothing in {tree}/"
    return _FAILED, f"nothing in {tree}/ names {_some(found.missing)}"


def _provenance(facts: Facts) -> Line:
    if facts.record is None:
        return line(7, _FAILED, facts.faults["record"], "run.yaml")
    project, run = facts.project, facts.run
    target = facts.section("prov").get("target_path") or ""
    shared = shared_id(project, run, facts.record)
    try:
        found = find_activity(
            project.root,
            FOLDERS,
            str(target),
            facts.run_id,
            lambda path: is_kept(project, path),
            lambda document, path: (
                activities_in(document, path).path_of(run, facts.run_id, shared) is not None
            ),
        )
    except UnsafePath as exc:
        return line(7, _FAILED, exc.message, "run.yaml")
    if found.files:
        return line(7, _PASSED, "an Activity carries the run id", *found.files)
    if found.unread:
        return line(
            7, _UNKNOWN, f"some records cannot be read: {_some(found.unread)}", *found.unread[:_SHOWN]
        )
    missing = f"no Activity carries kfm:run_id {facts.run_id}; kfm-repro prov writes one"
    return line(7, _FAILED, missing, *FOLDERS)


def _labels(facts: Facts) -> Line:
    files = (facts.manifest_file("inputs"), facts.manifest_file("outputs"))
    if facts.inputs is None or facts.outputs is None:
        return line(8, _FAILED, facts.faults.get("inputs") or facts.faults["outputs"], *files)
    labels = read_labels(facts.project, facts.inputs.entries, facts.outputs.entries, run=facts.run)
    if not labels.in_use:
        return line(8, _UNKNOWN, "no input and no output has a label (classification or sensitivity)", *files)
    reasons = labels.less_restricted()
    if not labels.outputs:
        return line(8, _UNKNOWN, "there are no outputs", *files)
    if reasons:
        return line(8, _FAILED, "; ".join(reasons[:_SHOWN]), *files)
    return line(8, _PASSED, f"{len(labels.outputs)} of {len(labels.outputs)}", *files)


def _some(names: tuple[str, ...] | list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def counted(entry: Entry) -> dict[str, int]:
    """Return the counts that a manifest entry states."""
    stated = {"row_count": entry.row_count, "feature_count": entry.feature_count}
    return {name: value for name, value in stated.items() if value is not None}
