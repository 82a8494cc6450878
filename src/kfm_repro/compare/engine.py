"""Cheap first: size, then bytes, then the comparator of the format; what nobody could settle is said.

A comparator returns findings that together explain why two files differ; what it does not mention it has
proven equal. Where it finds nothing although the bytes differ, the residual kind of the format is reported.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from kfm_repro.compare.advice import advised
from kfm_repro.compare.arrays.chunks import is_chunk
from kfm_repro.compare.context import Context
from kfm_repro.compare.registry import (
    BINARY,
    CHUNK,
    Format,
    are_one,
    candidates,
    format_by_content,
    recognise,
)
from kfm_repro.errors import LimitExceeded, NotInstalled, Unreadable
from kfm_repro.model.finding import FileFacts, Finding, Kind, OutputComparison, Rung
from kfm_repro.model.verdict import output_verdict

__all__ = ["compare_files", "finished", "same_bytes"]

_BLOCK = 1 << 18
_RUNG_RANK = {rung: rank for rank, rung in enumerate(Rung)}


def compare_files(
    a: Path,
    b: Path,
    *,
    name: str,
    context: Context,
    facts: tuple[FileFacts | None, FileFacts | None] = (None, None),
) -> OutputComparison:
    """Compare two files that stand for the same output ``name`` and say what differs.

    Raises OSError when a file cannot be opened at all.
    """
    if same_bytes(a, b):
        return OutputComparison(
            path=name, verdict=output_verdict(()), format=_format_name(a, b, name), a=facts[0], b=facts[1]
        )
    context = replace(context, name=name, inner=_compare_inner)
    row = _row(a, b, context)
    findings = (() if row is CHUNK else _of_two_formats(a, b)) or _findings(row, a, b, context)
    return OutputComparison(
        path=name,
        verdict=output_verdict(findings),
        format=row.name,
        a=facts[0],
        b=facts[1],
        findings=finished(findings),
    )


def same_bytes(a: Path, b: Path) -> bool:
    """Return whether two files have the same bytes, reading both once and at most to the first difference."""
    if a.stat().st_size != b.stat().st_size:
        return False
    # Whole bytearrays are compared by the C library; views of them byte by byte.
    left, right = bytearray(_BLOCK), bytearray(_BLOCK)
    with a.open("rb", buffering=0) as file_a, b.open("rb", buffering=0) as file_b:
        while True:
            n, m = file_a.readinto(left), file_b.readinto(right)
            if n != m:
                return a.read_bytes() == b.read_bytes()
            if not n:
                return True
            if left != right if n == _BLOCK else left[:n] != right[:n]:
                return False


def finished(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return findings with advice, in the order of every report: counted before latent, worst first, then by place."""
    return tuple(
        sorted(
            map(advised, findings),
            key=lambda f: (f.latent, -_RUNG_RANK[f.rung], sorted(map(str, f.where.items())), str(f.kind)),
        )
    )


def _format_name(a: Path, b: Path, name: str) -> str:
    return recognise(a, b, name).name


def _of_two_formats(a: Path, b: Path) -> tuple[Finding, ...]:
    """Report two files that are each whole, but of formats that nobody compares, by their first bytes."""
    names = format_by_content(a), format_by_content(b)
    if names[0] == names[1] or "" in names or are_one(*names):
        return ()
    evidence = f"A is {names[0]}, B is {names[1]}"
    return (Finding(kind=Kind.TYPE, rung=Rung.VALUE, evidence=evidence),)


def _compare_inner(a: Path, b: Path, name: str, context: Context) -> tuple[Finding, ...]:
    """Compare two members of a container; the container adds where they lie."""
    if same_bytes(a, b):
        return ()
    deeper = replace(context.deeper(), name=name)
    row = _row(a, b, deeper) if deeper.depth <= context.limits.depth else BINARY
    return (() if row is CHUNK else _of_two_formats(a, b)) or _findings(row, a, b, deeper)


def _row(a: Path, b: Path, context: Context) -> Format:
    return CHUNK if is_chunk(context.name, context) else recognise(a, b, context.name)


def _findings(row: Format, a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    try:
        findings = row.load()(a, b, context)
    except (LimitExceeded, NotInstalled) as exc:
        return (Finding(kind=Kind.BYTES, rung=Rung.UNKNOWN, evidence=f"not compared by meaning: {exc}"),)
    except Unreadable as exc:
        return _unreadable(row, a, b, context, exc)
    except Exception as exc:  # noqa: BLE001 - whatever a file does to a library, the answer is "could not tell"
        evidence = f"the {row.name} comparator failed on these files: {type(exc).__name__}: {exc}"[:300]
        return (Finding(kind=Kind.BYTES, rung=Rung.UNKNOWN, evidence=evidence),)
    if any(not finding.latent for finding in findings):
        return findings
    rung = Rung.VALUE if row == BINARY else Rung.CONTAINER
    evidence = f"every value of the {row.name} is equal; only how they are written differs"
    return (*findings, Finding(kind=row.residual, rung=rung, evidence=evidence))


def _unreadable(row: Format, a: Path, b: Path, context: Context, error: Unreadable) -> tuple[Finding, ...]:
    """Say which side cannot be read: one broken side is a difference, two are of another format or unknown."""
    broken = {side: _why_unreadable(row, path, context) for side, path in (("A", a), ("B", b))}
    bad = [side for side, why in broken.items() if why]
    if len(bad) == 1:
        evidence = f"{bad[0]} {broken[bad[0]]}; the other side is a readable {row.name}"
        return (Finding(kind=Kind.TRUNCATED, rung=Rung.VALUE, evidence=evidence),)
    empty = [side for side, path in (("A", a), ("B", b)) if not path.stat().st_size]
    if len(empty) == 1:
        return (Finding(kind=Kind.TRUNCATED, rung=Rung.VALUE, evidence=f"{empty[0]} is empty"),)
    rows = candidates(a, b, context.name)
    if row in rows[:-1]:
        return _findings(rows[rows.index(row) + 1], a, b, context)
    what = "neither side can be read" if bad else "could not be compared"
    return (Finding(kind=Kind.BYTES, rung=Rung.UNKNOWN, evidence=f"{what}: {error}"),)


def _why_unreadable(row: Format, path: Path, context: Context) -> str:
    try:
        row.load()(path, path, context)
    except Unreadable as exc:
        return str(exc)
    except Exception:  # noqa: BLE001 - only whether it can be read is asked here
        return ""
    return ""
