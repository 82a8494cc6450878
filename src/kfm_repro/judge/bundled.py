"""The code that a bundle takes along: checked to replay elsewhere, and searched for what may not leave.

A bundle holds whole commits, hence also tracked data and texts that are no part of the run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from kfm_repro.errors import CodeNotAvailable
from kfm_repro.execute.checkout import Code, check_code
from kfm_repro.execute.submodules import find_submodules
from kfm_repro.execute.tracked import TrackedFile, scan_tracked, tracked_files
from kfm_repro.execute.transfer import pointers_in
from kfm_repro.model.manifest import Entry, Manifest
from kfm_repro.model.run import Run
from kfm_repro.runs.labels import Labels, described_by, may_show, read_labels, strictest
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.project import Project
from kfm_repro.runs.secrets import Scan

__all__ = ["Bundled", "check_bundled"]

_SHOWN = 8
_WITHOUT_CODE = "pack it without --bundle (--with-outputs packs the outputs)"


@dataclass(frozen=True)
class Bundled:
    """The code of a bundle, and what was found in the files of its commit.

    ``closed`` are tracked data that may not leave unasked, ``labels`` those of tracked data that is no part of
    the run. ``older`` is whether the bundle holds commits that were not searched.
    """

    code: Code
    scan: Scan
    closed: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    older: bool = False

    def notes(self, data: set[str]) -> list[str]:
        """Say what is in the code that was not searched or is not whole; ``data`` is packed by its bytes."""
        found = [f"the code has what looks like a secret: {place}" for place in self.secrets()[:_SHOWN]]
        found += [f"not searched to its end for secrets: {path}" for path in self.scan.unread[:_SHOWN]]
        if self.older:
            found.append(
                f"of the code only commit {self.code.commit[:12]} was searched for secrets and restricted data, "
                "not the history before it, which is in the pack, too"
            )
        return found + _pointer_notes(self.code, data)

    def secrets(self) -> list[str]:
        """Return file, line and kind of what looks like a secret in the code."""
        return [f"{hit.file}:{hit.line}: {hit.kind}" for hit in self.scan.hits]


def check_bundled(
    project: Project, run: RunDir, record: Run, manifests: tuple[Manifest, Manifest], labels: Labels
) -> Bundled:
    """Return the recorded code; refuse what would not replay from a pack. Raises CodeNotAvailable."""
    code = _check_code(project, run, record)
    files = tracked_files(code.repository, code.commit)
    found = _label_tracked(project, run, manifests, labels, _data(project, code, files))
    in_use = labels.in_use or any(label is not None for label in found.values())
    parts = {entry.path for manifest in manifests for entry in manifest.entries}
    return Bundled(
        code,
        scan_tracked(code.repository, files),
        closed=tuple(
            path
            for path, label in sorted(found.items())
            if not may_show(label, in_use=in_use, order=labels.order, disclose=labels.disclose)
        ),
        labels={path: label for path, label in found.items() if label is not None and path not in parts},
        older=bool(code.repository.git("rev-list", "--max-count=1", "--skip=1", code.commit)),
    )


def _check_code(project: Project, run: RunDir, record: Run) -> Code:
    code = check_code(project.root, run, record.pipeline.version)
    if code.uncaptured:
        raise CodeNotAvailable(
            f"a bundle of run {run.name} would not replay anywhere: {code.uncaptured}",
            hint=_WITHOUT_CODE,
        )
    submodules = find_submodules(code.repository, code.commit, code.absent)
    if submodules:
        raise CodeNotAvailable(
            f"a bundle of run {run.name} would not replay anywhere: it cannot hold the submodule {submodules[0][0]}",
            hint=_WITHOUT_CODE,
        )
    return code


def _data(project: Project, code: Code, files: Iterable[TrackedFile]) -> set[str]:
    """Return the tracked data of the commit and of its patch, relative to the project; an empty file is none."""
    paths = (*(file.path for file in files if file.size), *code.added)
    prefix = code.repository.prefix
    own = {path.removeprefix(prefix) for path in paths if path.startswith(prefix)}
    roots = project.settings.data_roots
    return {path for path in own if any(PurePosixPath(path).is_relative_to(root) for root in roots)}


def _label_tracked(
    project: Project, run: RunDir, manifests: tuple[Manifest, Manifest], labels: Labels, data: set[str]
) -> dict[str, str | None]:
    """Return the label of tracked data, as of an input or output of that path; a sidecar has that of its file."""
    known = {entry.path: entry for manifest in manifests for entry in manifest.entries}
    of = {path: described_by(path) for path in data}
    entries = [known.get(path, Entry(path=path)) for path in sorted(set(of.values()))]
    as_inputs = read_labels(project, entries, (), run=run).inputs
    as_outputs = read_labels(project, (), entries, run=run).outputs
    sources = (as_inputs, as_outputs, labels.inputs, labels.outputs)
    return {
        path: strictest(
            [found for source in sources if (found := source.get(file)) is not None], labels.order
        )
        for path, file in of.items()
    }


def _pointer_notes(code: Code, data: set[str]) -> list[str]:
    """Say which files of the code are pointers of Git LFS, unless they are data that is packed by its bytes."""
    prefix = code.repository.prefix
    names = [path.removeprefix(prefix) for path in pointers_in(code.repository, code.commit)]
    left = [name for name in names if name not in data]
    if not left:
        return []
    more = f" and {len(left) - _SHOWN} more" if len(left) > _SHOWN else ""
    named = f"{', '.join(left[:_SHOWN])}{more}"
    told = f"the code has pointers of Git LFS, whose data is not in the pack: {named}"
    return [f"{told}; what a replay reads of them has to be a declared input"]
