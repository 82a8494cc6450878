"""Two large files: they are digested while they are compared."""

from __future__ import annotations

from pathlib import Path

import msgspec

from kfm_repro.compare.context import Context
from kfm_repro.compare.engine import finished
from kfm_repro.compare.outputs import Output, Rule, compare_outputs
from kfm_repro.errors import UsageError
from kfm_repro.judge.digests import LARGE, Digests
from kfm_repro.model.finding import FileFacts, Finding, Kind, OutputComparison, OutputVerdict, Rung
from kfm_repro.model.report import Comparison
from kfm_repro.model.verdict import output_verdict

__all__ = ["are_large", "compare_large"]


def are_large(a: Path, b: Path) -> bool:
    """Return whether it pays to digest two files beside their comparison."""
    return min(a.stat().st_size, b.stat().st_size) >= LARGE


def compare_large(a: Path, b: Path, rule: Rule, begun: Digests | None = None) -> Comparison:
    """Compare two files by their bytes and their meaning; of files of the same bytes one is digested.

    ``begun`` are digests that may be theirs. Raises UsageError when one cannot be read.
    """
    sizes = [FileFacts(size_bytes=path.stat().st_size) for path in (a, b)]
    with begun if begun is not None and _are_of(begun, a, b) else Digests(a, b) as digests:
        alike = digests.are_equal()
        known = [_settled(digests, 0), _settled(digests, 1)] if alike else sizes
        compared = compare_outputs(
            {a.name: Output(facts=known[0], file=a)},
            {a.name: Output(facts=known[1], file=b)},
            Context(),
            lambda _: rule,
        )
        facts = _settled(digests, 0), _settled(digests, 1)
    return Comparison(outputs=tuple(_with_facts(output, *facts, alike=alike) for output in compared.outputs))


def _are_of(digests: Digests, a: Path, b: Path) -> bool:
    return tuple(map(Path, digests.paths)) == (a, b)


def _with_facts(output: OutputComparison, a: FileFacts, b: FileFacts, *, alike: bool) -> OutputComparison:
    """Return a comparison with what was found of the files; where that contradicts it, nothing holds for either."""
    if len({alike, a.sha256 == b.sha256, output.verdict is OutputVerdict.IDENTICAL}) > 1:
        evidence = "what was read first and later contradict each other: something still wrote to the file"
        findings = finished([Finding(kind=Kind.BYTES, rung=Rung.UNKNOWN, evidence=evidence)])
        verdict = output_verdict(findings)
        output = msgspec.structs.replace(output, findings=findings, verdict=verdict, accepted=False)
    return msgspec.structs.replace(output, a=a, b=b)


def _settled(digests: Digests, side: int) -> FileFacts:
    try:
        sha256, size = digests.of(side)
    except OSError as exc:
        raise UsageError(
            f"cannot be read: {digests.paths[side]}: {exc.strerror}", hint="check its permissions"
        ) from exc
    return FileFacts(sha256=sha256, size_bytes=size)
