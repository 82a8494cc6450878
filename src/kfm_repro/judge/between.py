"""What lies between two recorded runs besides their outputs, and how far apart they were executed."""

from __future__ import annotations

from dataclasses import dataclass

from kfm_repro.execute.drift import environment_drift
from kfm_repro.execute.fingerprint import read_fingerprint
from kfm_repro.judge.drift import (
    code_drift,
    conditions,
    environment_of,
    source_drift,
    stated_models,
    validator_drift,
    variable_drift,
)
from kfm_repro.judge.level import exercised_level
from kfm_repro.judge.parameters import command_drift, config_drift, snapshot_files
from kfm_repro.model.manifest import Manifest
from kfm_repro.model.report import CodedDrift, Drift, DriftCode, Precondition, Scope
from kfm_repro.model.run import Run
from kfm_repro.runs.layout import RunDir

__all__ = ["Between", "Recorded", "between"]

_SAME_WORK = frozenset(
    (DriftCode.CODE, DriftCode.TRANSFORM_PARAMETERS, DriftCode.SOURCE_SNAPSHOT, DriftCode.MODEL_IDENTITY)
)
"""Where one of these drifted, two runs did not do the same work: equal outputs show no level."""


@dataclass(frozen=True)
class Recorded:
    """One of two runs: where it lies, what it says, which files went in, and whether that is ``known``."""

    directory: RunDir
    run: Run
    inputs: Manifest
    known: bool = True


@dataclass(frozen=True)
class Between:
    """What differs between two runs; nothing of all that is said of files and folders."""

    drift: tuple[CodedDrift, ...] = ()
    conditions: tuple[Precondition, ...] = ()
    environment: tuple[Drift, ...] = ()
    level: tuple[str, str] = ("", "")

    def scope(self, *, identical: bool) -> Scope:
        """Return what the comparison covers: a level only of two runs that did the same work."""
        level, why = self.level
        return Scope(
            level=level, shown=level if identical else "", notes=(f"level {level}: {why}",) if level else ()
        )


def between(a: Recorded, b: Recorded) -> Between:
    """Compare what two records say of code, parameters, inputs, models, environment and validators."""
    prints = [read_fingerprint(side.directory, side.run) for side in (a, b)]
    environment = environment_drift(*prints)
    drift = (
        *code_drift(a.run.pipeline.version, b.run.pipeline.version),
        *command_drift(a.run, b.run),
        *config_drift(snapshot_files(a.directory, a.run), snapshot_files(b.directory, b.run)),
        *(
            source_drift(*({entry.path: entry for entry in side.inputs.entries} for side in (a, b)))
            if a.known and b.known
            else ()
        ),
        *stated_models(a.run, b.run),
        *environment_of(environment),
        *variable_drift(a.run, b.run),
        *validator_drift(a.directory, b.directory),
    )
    unknown = _unknown(a, b, prints)
    same_work = not {item.code for item in drift} & _SAME_WORK and not {"code", "inputs"} & unknown.keys()
    level = exercised_level(prints[0], prints[1], (a.run.runtime.host, b.run.runtime.host))
    return Between(
        drift=drift,
        conditions=conditions(drift, unknown),
        environment=environment,
        level=level if same_work else ("", ""),
    )


def _unknown(a: Recorded, b: Recorded, prints: list[dict[str, object]]) -> dict[str, str]:
    """Return what cannot be told of the two runs, and why, by the name of its precondition."""
    names = {0: "A", 1: "B"}
    found = {}
    versions = [side.run.pipeline.version for side in (a, b)]
    without = [names[n] for n, version in enumerate(versions) if not version.git_commit]
    unkept = [
        names[n] for n, version in enumerate(versions) if version.repo_dirty and not version.patch_sha256
    ]
    if without:
        found["code"] = f"no commit is recorded of {' and '.join(without)}"
    elif unkept:
        found["code"] = f"uncommitted changes of {' and '.join(unkept)} were not kept"
    unhashed = [
        names[n]
        for n, side in enumerate((a, b))
        if any(entry.sha256 is None for entry in side.inputs.entries)
    ]
    listless = [names[n] for n, side in enumerate((a, b)) if not side.known]
    if listless:
        found["inputs"] = f"there is no inputs manifest of {' and '.join(listless)}"
    elif unhashed:
        found["inputs"] = f"inputs without a digest in {' and '.join(unhashed)}"
    blank = [names[n] for n, side in enumerate(prints) if not side]
    if blank:
        found["environment"] = f"there is no fingerprint of {' and '.join(blank)}"
    empty = [names[n] for n, side in enumerate((a, b)) if not any(side.directory.validation.glob("*.json"))]
    if empty:
        found["validators"] = f"there are no validation reports of {' and '.join(empty)}"
    return found
