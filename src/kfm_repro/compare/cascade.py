"""Digests of outputs that differ themselves: a consequence of that difference, told with the file that caused it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from kfm_repro.compare.engine import finished
from kfm_repro.compare.samples import MAX_TEXT
from kfm_repro.model.finding import Finding, Kind, OutputComparison, OutputVerdict, Rung
from kfm_repro.model.verdict import output_verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

__all__ = ["Pair", "with_cascades"]

Pair = tuple["Path | None", "Path | None"]
"""The files of one output on both sides, None where there is none."""

_ALGORITHMS = {32: "md5", 40: "sha1", 56: "sha224", 64: "sha256", 96: "sha384", 128: "sha512"}
_TOKEN = re.compile(r"(?<![0-9A-Fa-f])(?:[0-9a-f]{32,128}|[0-9A-F]{32,128})(?![0-9A-Fa-f])")
_LEVELS = 16
"""Digests of files of digests of files…: more levels than anybody writes."""
_RUNGS = {rung: rank for rank, rung in enumerate(Rung)}


def with_cascades(
    results: Sequence[OutputComparison], files: Mapping[str, Pair]
) -> tuple[OutputComparison, ...]:
    """Return the results with values that are digests of differing outputs told as `digest-cascade`.

    Such a finding has the rung of the output that caused it: what follows from a shuffled table is no worse.
    Every value that the finding stands for must be shown, and explained: else it stays a value.
    """
    known = _Digests(files)
    made = list(results)
    for _ in range(_LEVELS):
        causes = {result.path: result for result in made if _differs(result)}
        changed = [_explained(result, causes, known) for result in made]
        if changed == made:
            break
        made = changed
    return tuple(made)


def _differs(result: OutputComparison) -> bool:
    return result.verdict in (OutputVerdict.DIFFERENT, OutputVerdict.EQUIVALENT)


@dataclass
class _Digests:
    """Digests of the outputs on both sides, worked out when first asked for."""

    files: Mapping[str, Pair]
    found: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)

    def of(self, path: str, algorithm: str) -> tuple[str, str]:
        """Return both digests of an output, empty where a side has no bytes."""
        key = (path, algorithm)
        if key not in self.found:
            left, right = (self._digest(file, algorithm) for file in self.files.get(path, (None, None)))
            self.found[key] = (left, right)
        return self.found[key]

    @staticmethod
    def _digest(file: Path | None, algorithm: str) -> str:
        if file is None:
            return ""
        try:
            with file.open("rb") as source:
                return hashlib.file_digest(source, algorithm).hexdigest()
        except OSError:
            return ""


def _explained(
    result: OutputComparison, causes: Mapping[str, OutputComparison], known: _Digests
) -> OutputComparison:
    others = {path: cause for path, cause in causes.items() if path != result.path}
    if not others or result.verdict is not OutputVerdict.DIFFERENT:
        return result
    findings = tuple(_cascade(finding, others, known) for finding in result.findings)
    if findings == result.findings:
        return result
    ordered = finished(findings)
    return msgspec.structs.replace(result, findings=ordered, verdict=output_verdict(ordered))


def _cascade(finding: Finding, causes: Mapping[str, OutputComparison], known: _Digests) -> Finding:
    if finding.kind is Kind.DIGEST_CASCADE:
        return _again(finding, causes)
    if finding.kind is not Kind.VALUE or finding.rung is not Rung.VALUE or "missing" in finding.detail:
        return finding
    if not finding.examples or len(finding.examples) != finding.count:
        return finding
    paths: dict[str, None] = {}
    for example in finding.examples:
        path = _cause(example.a, example.b, lambda pair: _named(pair, causes, known))
        if not path:
            return finding
        paths.update(dict.fromkeys(path))
    rung = max((_worst(causes[path]) for path in paths), key=_RUNGS.__getitem__)
    first, more = next(iter(paths)), len(paths) - 1
    evidence = f"a digest of {first}, which differs itself" + (f", and {more} more such" if more else "")
    return msgspec.structs.replace(
        finding,
        kind=Kind.DIGEST_CASCADE,
        rung=rung,
        evidence=evidence,
        detail={**finding.detail, "caused_by": list(paths)},
        fix=None,
    )


def _again(finding: Finding, causes: Mapping[str, OutputComparison]) -> Finding:
    """Return a cascade with the rung that its causes have by now: one of them may be a cascade itself."""
    found = [_worst(causes[path]) for path in finding.detail.get("caused_by", ()) if path in causes]
    rung = max(found, key=_RUNGS.__getitem__, default=finding.rung)
    return msgspec.structs.replace(finding, rung=rung)


def _cause(a: object, b: object, named: Callable[[tuple[str, str]], str]) -> list[str]:
    """Return the outputs whose digests are all in which two texts differ; none if something else differs.

    A text that an example may show in part may differ in what is not shown.
    """
    if not isinstance(a, str) or not isinstance(b, str) or max(len(a), len(b)) >= MAX_TEXT:
        return []
    if _TOKEN.sub("", a) != _TOKEN.sub("", b):
        return []
    pairs = list(zip(_TOKEN.findall(a), _TOKEN.findall(b), strict=False))
    if len(_TOKEN.findall(a)) != len(_TOKEN.findall(b)):
        return []
    found = [named(pair) for pair in pairs if pair[0] != pair[1]]
    return found if found and all(found) else []


def _named(pair: tuple[str, str], causes: Mapping[str, OutputComparison], known: _Digests) -> str:
    """Return the output of which the two are the digests, empty if there is none."""
    algorithm = _ALGORITHMS.get(len(pair[0]))
    if algorithm is None or len(pair[0]) != len(pair[1]):
        return ""
    wanted = (pair[0].lower(), pair[1].lower())
    return next((path for path in causes if known.of(path, algorithm) == wanted), "")


def _worst(result: OutputComparison) -> Rung:
    """Return the worst rung of what counts in a result."""
    rungs = [finding.rung for finding in result.findings if not finding.latent]
    return max(rungs, key=_RUNGS.__getitem__, default=Rung.VALUE)
