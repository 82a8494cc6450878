"""The outputs of a recorded run: what its manifest says, and the files that still have those bytes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from kfm_repro.compare.context import Options, Side
from kfm_repro.compare.outputs import Output, Rule
from kfm_repro.errors import CodeNotAvailable, KfmReproError, NotARepository
from kfm_repro.execute.git import Repository, find_repository
from kfm_repro.execute.host import host_names
from kfm_repro.execute.setting import clock_told, shown_window
from kfm_repro.model.finding import OutputComparison
from kfm_repro.model.manifest import UNRECORDED, Entry, Manifest
from kfm_repro.model.run import Run
from kfm_repro.model.verdict import Accept, Verdict
from kfm_repro.model.waiver import WaiverUse, apply_waivers
from kfm_repro.runs.hashing import digest_file, digest_many
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.objects import ObjectStore
from kfm_repro.runs.paths import Root
from kfm_repro.runs.project import Project
from kfm_repro.runs.sizes import parse_size
from kfm_repro.runs.trouble import home_folder
from kfm_repro.runs.write import aware

__all__ = ["local_offsets", "recorded_outputs", "rule_for", "side_of", "source_of", "with_waivers"]


def recorded_outputs(
    project: Project,
    run: Run,
    manifest: Manifest,
    spool: Path,
    *,
    settled: Mapping[str, str | None] | None = None,
) -> dict[str, Output]:
    """Return the outputs of a recorded run by path, each with a file that has the recorded bytes if any does.

    Looked for in the object store, the working tree, and git at the recorded commit. Outputs whose digest is
    the one in ``settled`` need no bytes and are not looked for. Raises UnsafePath.
    """
    root = Root(project.root)
    for entry in manifest.entries:
        if entry.sha256 is not None or UNRECORDED not in entry.extra:
            root.check(entry.path, what="output of the record")
    needed = [
        entry for entry in manifest.entries
        if entry.sha256 is not None and (settled is None or settled.get(entry.path) != entry.sha256)
    ]  # fmt: skip
    finder = _Finder(project, run, spool)
    found = finder.find_all(needed)
    outputs = {}
    for entry in manifest.entries:
        file = found.get(entry.path)
        reason = "" if file else _why(entry, finder)
        outputs[entry.path] = Output(facts=entry.facts, file=file, reason=reason, declared=entry.extra)
    return outputs


def side_of(project: Project, original: RunDir, run: Run) -> Side:
    """Return who wrote the outputs of a recorded run: its id, its window, its folders, its host.

    A replay may have been shown another clock than that of its record; one that does not say so was not.
    """
    started, finished = run.runtime.started_at, run.runtime.finished_at
    machine = window = None
    if started is not None and finished is not None:
        machine = (_seconds(started), _seconds(finished) + _grain(finished))
        window = shown_window(clock_told(run.replay.setting if run.replay else {}), machine)
    root = run.environment.root if run.environment and run.environment.root else str(project.root)
    paths = {root, str(project.root), str(original.path)}
    hosts = {run.runtime.host or ""} - {"", "localhost"}
    if run.runtime.host in host_names():
        paths.add(home_folder())
        hosts |= set(host_names())
    usable = {path.rstrip("/") for path in paths} - {""}
    ids = run.run_id
    zone = run.environment.env.get("TZ") if run.environment else None
    return Side(
        run_id=ids,
        window=window,
        machine_window=None if window == machine else machine,
        offsets=tuple(sorted({*local_offsets(zone, window), *local_offsets(zone, machine)})),
        paths=tuple(sorted(usable, key=lambda path: (-len(path), path))),
        hosts=tuple(sorted(hosts)),
    )


def source_of(run: Run) -> str | msgspec.UnsetType:
    """Return the file of the pipeline relative to the project, UNSET where the record names a program or module."""
    entrypoint = PurePosixPath(run.pipeline.entrypoint or "")
    path = PurePosixPath(run.pipeline.cwd) / entrypoint
    if not entrypoint.suffix or path.is_absolute() or ".." in path.parts:
        return msgspec.UNSET
    return str(path)


def rule_for(project: Project, path: str, accept: Accept | None, given: Options | None = None) -> Rule:
    """Return how one output is compared: what the command line says, else the settings."""
    settings = project.settings.for_output(path)
    own_key = (settings.key,) if isinstance(settings.key, str) else tuple(settings.key)
    tolerance = (
        settings.tolerance if isinstance(settings.tolerance, dict) else {"*": float(settings.tolerance)}
    )
    given = given or Options()
    memory = given.memory_bytes
    if memory is None and project.settings.compare_memory is not None:
        memory = parse_size(project.settings.compare_memory, what="compare-memory")
    options = Options(
        key=given.key or own_key, tolerance=tolerance, ignore=settings.ignore, memory_bytes=memory
    )
    return Rule(options=options, accept=accept or settings.accept or Accept.IDENTICAL)


def with_waivers(
    project: Project, verdict: Verdict, outputs: Sequence[OutputComparison], accept: Accept | None
) -> tuple[Verdict, tuple[WaiverUse, ...]]:
    """Return the verdict with the waivers of the settings that hold today (UTC), and what became of them."""
    return apply_waivers(
        verdict,
        outputs,
        project.settings.waivers,
        datetime.now(UTC).date(),
        lambda path: accept or project.settings.for_output(path).accept or Accept.IDENTICAL,
    )


def local_offsets(zone: str | None, window: tuple[float, float] | None) -> tuple[float, ...]:
    """Return how many seconds the local time of a run was ahead of UTC: by its zone, or by this machine's."""
    if window is None:
        return ()
    try:
        local = (
            datetime.fromtimestamp(window[0], ZoneInfo(zone))
            if zone
            else datetime.fromtimestamp(window[0]).astimezone()
        )
    except (ValueError, OSError, ZoneInfoNotFoundError):
        return ()
    offset = local.utcoffset()
    return (offset.total_seconds(),) if offset else ()


class _Finder:
    """Looks for recorded bytes, cheapest place first; git is asked only when it must be."""

    def __init__(self, project: Project, run: Run, spool: Path) -> None:
        self._project, self._run, self._spool = project, run, spool
        self.store = ObjectStore.of(project)
        self._repository: Repository | None = None
        self._tracked: frozenset[str] = frozenset()
        self._asked = False
        self.trouble = ""

    def find_all(self, entries: Sequence[Entry]) -> dict[str, Path]:
        """Return the files that were found, by the path of their entry; every entry has a digest."""
        stored = self.store.find_all(entry.sha256 or "" for entry in entries)
        found = {entry.path: stored[entry.sha256][0] for entry in entries if entry.sha256 in stored}
        root = self._project.root
        there = [
            entry.path
            for entry in entries
            if entry.path not in found and os.path.isfile(f"{root}/{entry.path}")  # noqa: PTH113 - no Path per file
        ]
        digests = dict(zip(there, digest_many([root / path for path in there]), strict=True))
        for entry in entries:
            if entry.path in digests and digests[entry.path].sha256 == entry.sha256:
                found[entry.path] = root / entry.path
            elif entry.path not in found and (blob := self._from_git(entry)) is not None:
                found[entry.path] = blob
        return found

    def _from_git(self, entry: Entry) -> Path | None:
        commit = self._run.pipeline.version.git_commit
        if not self._asked:
            self._asked = True
            try:
                self._repository = find_repository(self._project.root)
            except NotARepository:
                self._repository = None
            except KfmReproError as exc:
                self.trouble = exc.message
            self._tracked = self._paths_at(commit)
        if self._repository is None or self._repository.prefix + entry.path not in self._tracked:
            return None
        self._spool.mkdir(parents=True, exist_ok=True)
        target = self._spool / (entry.sha256 or "")
        if self._repository.blob(commit or "", self._repository.prefix + entry.path, target):
            if digest_file(target).sha256 == entry.sha256:
                return target
            target.unlink()
        return None

    def _paths_at(self, commit: str | None) -> frozenset[str]:
        """Return every path of a commit, so that git need not be asked for each of many outputs."""
        if self._repository is None or not commit or commit.startswith("-"):
            return frozenset()
        try:
            listing = self._repository.git("ls-tree", "-r", "-z", "--name-only", "--full-tree", commit)
        except CodeNotAvailable:
            return frozenset()
        return frozenset(listing.decode(errors="surrogateescape").split("\0"))


def _why(entry: Entry, finder: _Finder) -> str:
    if entry.sha256 is None:
        return str(entry.extra.get(UNRECORDED) or "the record holds no digest of it")
    git = f"; git could not be asked: {finder.trouble}" if finder.trouble else ", nor in git"
    if finder.store.is_damaged(entry.sha256):
        also = (
            f", and they are not in the working tree{git}"
            if finder.trouble
            else (", and they are neither in the working tree nor in git")
        )
        return f"the stored copy of the recorded bytes is damaged{also}"
    return f"the recorded bytes are neither in the object store, nor in the working tree{git}"


def _seconds(moment: datetime) -> float:
    return aware(moment).timestamp()


def _grain(moment: datetime) -> float:
    """Return how much later an end may have been than it says: a whole second when it has no fraction."""
    return timedelta(seconds=1).total_seconds() if moment.microsecond == 0 else 0.001
